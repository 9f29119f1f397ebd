//! Where filters keep what outlives a call. Must not know how it is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ConfigError;
use super::cache;
use super::env::Environment;
use super::limits::millis;
use super::raw::{RawKeyValue, RawStore};
use super::source::Source;

/// The storage of all tenants.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyValueSettings {
    /// Which kind, and where.
    pub store: KeyValueStore,
    /// How long an operation may take.
    pub time: Duration,
}

/// A kind of storage.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyValueStore {
    /// A file for each tenant, in the first of these folders that can be used.
    Embedded(Vec<PathBuf>),
    /// A Redis at this address.
    Redis(String),
}

/// The address may carry a password.
impl std::fmt::Debug for KeyValueSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.store {
            KeyValueStore::Embedded(folders) => write!(f, "embedded in {folders:?}"),
            KeyValueStore::Redis(_) => f.write_str("redis"),
        }
    }
}

impl Source {
    /// `socket` is a gateway's.
    pub(super) fn key_value(
        &self,
        raw: &RawKeyValue,
        socket: &Path,
        env: &dyn Environment,
    ) -> Result<KeyValueSettings, ConfigError> {
        let store = match (raw.store, &raw.redis, &raw.folder) {
            (RawStore::Redis, Some(address), _) => {
                let address = self.expand("key_value.redis", address, env)?;
                let schemes = ["redis://", "redis+unix://", "unix://"];
                if !schemes.iter().any(|scheme| address.starts_with(scheme)) {
                    let message = "is no address such as redis://HOST:6379 or unix:///PATH";
                    return Err(self.value_error("key_value.redis", message.into()));
                }
                KeyValueStore::Redis(address)
            }
            (RawStore::Redis, None, _) => {
                let message = "store is redis; add its address, such as redis://HOST:6379";
                return Err(self.value_error("key_value.redis", message.into()));
            }
            (RawStore::Embedded, Some(_), _) => {
                let message = "store is embedded; set key_value.store to redis, or leave this out";
                return Err(self.value_error("key_value.redis", message.into()));
            }
            (RawStore::Embedded, None, Some(folder)) => {
                let folder = self.expand("key_value.folder", folder, env)?;
                KeyValueStore::Embedded(vec![PathBuf::from(folder)])
            }
            (RawStore::Embedded, None, None) => {
                KeyValueStore::Embedded(cache::state_folders(socket, env))
            }
        };
        let time = self.at_least_one("key_value.timeout_ms", raw.timeout_ms)?;
        self.check_time("key_value.timeout_ms", time)?;
        let time = millis(time);
        Ok(KeyValueSettings { store, time })
    }
}
