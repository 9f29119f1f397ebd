//! What an operator can choose, with its defaults. Who reads it from where is
//! not known here.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the values of one tenant are, and how many there may be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where they are kept.
    pub backend: Backend,
    /// What they may take.
    pub limits: Limits,
}

/// Where values are kept.
#[derive(Debug, Clone)]
pub enum Backend {
    /// In the memory of this process, with a file behind it.
    Embedded(EmbeddedSettings),
    /// In a Redis, which other runners may use too.
    Redis(RedisSettings),
}

/// What the values of one tenant may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one key. 512.
    pub max_key_bytes: usize,
    /// Bytes of one value. 64 KiB.
    pub max_value_bytes: usize,
    /// Bytes of all keys and values, with 128 more for each entry; a number
    /// counts as 20 bytes, however long its text is. 16 MiB. Not enforced where
    /// the values are in Redis: there `maxmemory` bounds all tenants together.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_key_bytes: 512,
            max_value_bytes: 64 << 10,
            max_bytes: 16 << 20,
        }
    }
}

/// A file for each tenant.
#[derive(Clone)]
pub struct EmbeddedSettings {
    /// Where `TENANT.kv` lies. It is made, for this user only, where it is
    /// missing; nobody else may be allowed to write to it.
    pub folder: PathBuf,
    /// How long a change may wait until it is written to the file, 1 s. This,
    /// and what one write takes, is what a crash loses. Closing the store loses
    /// nothing.
    pub flush_interval: Duration,
    /// How long an operation waits for a store that is not open yet, 2 s: on a
    /// reload the runner before this one has the file until it ends.
    pub open_wait: Duration,
    /// What the thread that writes does first; nothing.
    pub thread_start: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for EmbeddedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSettings")
            .field("folder", &self.folder)
            .field("flush_interval", &self.flush_interval)
            .field("open_wait", &self.open_wait)
            .finish_non_exhaustive()
    }
}

impl EmbeddedSettings {
    /// The defaults, in a folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        EmbeddedSettings {
            folder: folder.into(),
            flush_interval: Duration::from_secs(1),
            open_wait: Duration::from_secs(2),
            thread_start: Arc::new(|| {}),
        }
    }
}

/// A Redis, or what speaks its protocol, without a cluster.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://USER:PASSWORD@HOST:PORT/DATABASE` or `unix:///PATH`; not
    /// `rediss://`.
    pub address: String,
    /// How long one operation may take, connecting included, 500 ms.
    pub timeout: Duration,
    /// How many operations may be under way, 1,024. One more is
    /// [`StoreError::Busy`](crate::StoreError::Busy).
    pub max_waiting: usize,
}

impl RedisSettings {
    /// The defaults, at an address.
    pub fn at(address: impl Into<String>) -> Self {
        RedisSettings {
            address: address.into(),
            timeout: Duration::from_millis(500),
            max_waiting: 1024,
        }
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisSettings")
            .field("timeout", &self.timeout)
            .field("max_waiting", &self.max_waiting)
            .finish_non_exhaustive()
    }
}
