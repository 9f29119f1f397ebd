//! The configuration, in two shapes: [`raw`] is what the operator wrote,
//! [`Config`] is what the program needs. It is decoded once, before any socket
//! is opened.

mod admin;
mod cache;
pub mod checked;
pub mod env;
mod error;
mod limit_keys;
mod limits;
mod on_error;
mod place;
mod plugins;
pub mod raw;
mod source;

pub use admin::AdminAddress;
pub use cache::CacheSettings;
pub use checked::{Config, load, settle};
pub use env::{Environment, ProcessEnvironment};
pub use error::ConfigError;
pub use plugins::Plugins;
pub use raw::LogFormat;
