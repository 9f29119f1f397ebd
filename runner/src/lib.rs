//! The glue between the gateway's wire and the sandbox, in the order in which
//! a call meets it:
//!
//! ```text
//!   unix socket
//!       | bytes
//!   listener, server     bind; accept; drain
//!       |
//!   gateway_link         bytes <-> frames  <-------------------+
//!       | Frame                                                |
//!   dispatcher           frame -> handler, panic barrier       | a filter's
//!       |                                                      | question
//!   handlers             one use case per RPC type             | (ExtraInfo)
//!       | conf token                                           |
//!   conf_cache           configuration <-> token <-> chain     |
//!       |                                                      |
//!   filter_chain, chain_link    order, first stop wins         |
//!       |                                                      |
//!   sandbox (crate)      one fresh instance per filter --------+
//!       | outcome
//!   after_chain          what the gateway needs beyond the filters' changes
//!       |
//!   translate, error_reply    the only way back to bytes
//! ```
//!
//! Every arrow points down; the one question that goes up does so through the
//! port `sandbox::Gateway`.
//!
//! Beside it, in the background, a file becomes what serves:
//!
//! ```text
//!   module_folder, folder_events    what lies there, and that it changed
//!       |
//!   module_watch         which file is new, and whole
//!       |
//!   module_swap          compile it aside; it serves, or is refused
//!       |          \___ compiler     in a process of its own
//!   plugin_catalog, module          name -> version
//!       |
//!   configuration_checks the guest's configure -> chain_link
//! ```

pub mod admin;
pub mod after_chain;
pub mod background;
pub mod cases;
pub mod chain_link;
pub mod cli;
pub mod commands;
pub mod compiled_code;
pub mod compiler;
pub mod conf_cache;
pub mod config;
pub mod configuration_checks;
pub mod dispatcher;
pub mod doors;
pub mod error_reply;
pub mod failure;
pub mod failure_policy;
pub mod file_descriptors;
pub mod filter_chain;
pub mod folder_events;
pub mod gateway_link;
pub mod granting;
pub mod handlers;
pub mod listener;
pub mod metrics;
pub mod module;
pub mod module_folder;
pub mod module_swap;
pub mod module_watch;
mod parent_process;
pub mod picture;
pub mod plugin_catalog;
pub mod second_wall;
pub mod server;
pub mod serving;
pub mod serving_threads;
pub mod socket_owner;
pub mod supervisor;
pub mod telemetry;
pub mod tenant;
pub mod tenant_service;
pub mod translate;
pub mod trial;
