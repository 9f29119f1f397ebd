//! The fake host: one file per interface in `wit/`, each with the functions
//! that the generated bindings have in a component, so that `host/` cannot
//! tell the two apart.

pub(crate) mod chain;
pub(crate) mod clock;
pub(crate) mod http;
pub(crate) mod key_value;
pub(crate) mod log;
pub(crate) mod plugin;
pub(crate) mod random;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod secrets;
pub(crate) mod variables;
