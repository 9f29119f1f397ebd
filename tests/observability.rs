//! What an operator can see of a runner: the pages of its admin listener, its
//! log, and what it does when there are more connections than it may have.

#[path = "observability/connections.rs"]
mod connections;
#[path = "observability/figures.rs"]
mod figures;
#[path = "observability/lines.rs"]
mod lines;
#[path = "observability/pages.rs"]
mod pages;
#[path = "observability/stage.rs"]
mod stage;
