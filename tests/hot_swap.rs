//! Modules that change while the runner serves: a good one takes over for
//! configurations that are there already, a bad one changes nothing and is
//! named, and whatever happens to the folder, what served goes on serving.

#[path = "hot_swap/configurations.rs"]
mod configurations;
#[path = "hot_swap/files.rs"]
mod files;
#[path = "hot_swap/folders.rs"]
mod folders;
#[path = "hot_swap/freed.rs"]
mod freed;
#[path = "hot_swap/signals.rs"]
mod signals;
#[path = "hot_swap/stage.rs"]
mod stage;
