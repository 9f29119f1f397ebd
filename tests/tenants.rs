//! Several tenants in one runner, in one process or each in its own: whatever
//! the one does, uses up, breaks or says, the other's answers, figures, values
//! and lines stay its own. One module for each thing that tenants could share.

#[path = "tenants/alone.rs"]
mod alone;
#[path = "tenants/caches.rs"]
mod caches;
#[path = "tenants/capacity.rs"]
mod capacity;
#[path = "tenants/children.rs"]
mod children;
#[path = "tenants/figures.rs"]
mod figures;
#[path = "tenants/house.rs"]
mod house;
#[path = "tenants/lines.rs"]
mod lines;
#[path = "tenants/peers.rs"]
mod peers;
#[allow(dead_code)]
#[path = "compile_process/processes.rs"]
mod processes;
#[path = "tenants/signatures.rs"]
mod signatures;
#[allow(dead_code)]
#[path = "hot_swap/stage.rs"]
mod stage;
#[path = "tenants/storage.rs"]
mod storage;
#[path = "tenants/tokens.rs"]
mod tokens;
