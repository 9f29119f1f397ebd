//! The configuration, in two shapes: [`raw`] is what the operator wrote,
//! [`Config`] is what the program needs. It is decoded once, before any socket
//! is opened.

mod cache;
pub mod checked;
pub mod env;
mod place;
pub mod raw;

pub use cache::CacheSettings;
pub use checked::{Config, ConfigError, Plugins, load};
pub use env::{Environment, ProcessEnvironment};
