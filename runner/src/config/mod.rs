//! The configuration, in two shapes: [`raw`] is what the operator wrote,
//! [`Config`] is what the program needs. It is decoded once, before any socket
//! is opened.

mod admin;
mod cache;
pub mod checked;
pub mod env;
mod error;
mod grants;
mod integrity;
mod key_value;
mod limit_keys;
mod limits;
mod on_error;
mod place;
mod plugins;
pub mod raw;
mod socket;
mod source;
mod tenants;

pub use admin::AdminAddress;
pub use cache::CacheSettings;
pub use checked::{Config, ConfigText, load, load_tenant, settle, settle_tenant};
pub use env::{Environment, ProcessEnvironment};
pub use error::ConfigError;
pub use grants::{Grants, HttpGrant, SecretText, Secrets};
pub use integrity::{Integrity, ModuleDigest};
pub use key_value::{KeyValueSettings, KeyValueStore};
pub use plugins::{PluginConfig, Plugins};
pub use raw::{Compile, Isolation, LogFormat, RawConfinement, RawConfinementMapping};
pub use socket::SocketSettings;
pub use tenants::{Share, TenantConfig};
