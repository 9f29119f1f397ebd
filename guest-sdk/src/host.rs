//! What a filter can ask of its host: one file per interface in `wit/`, with
//! the same name. They only forward; what the answers are is decided by the
//! runner, or by the fake host in a native test.

pub mod chain;
pub mod clock;
pub mod http;
pub mod key_value;
pub mod log;
pub mod plugin;
pub mod random;
pub(crate) mod request;
pub(crate) mod response;
pub mod secrets;
pub mod variables;
