//! A store as its users see it, wherever the values are: what is asked is held
//! against the limits here, once for all back ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::embedded::Embedded;
use crate::redis_store::RedisStore;
use crate::table::Table;
use crate::{Backend, Limits, OpenError, Settings, StoreError};

/// How long closing may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The values of one tenant. Clones share them. Every operation may be awaited
/// on any runtime, and given up at any time: it is then done or not done.
///
/// Keys are text of 1 to `max_key_bytes` bytes. Lifetimes are rounded up to
/// milliseconds, at least one, and cut to a century.
#[derive(Clone)]
pub struct Store {
    limits: Limits,
    values: Values,
}

#[derive(Clone)]
enum Values {
    Memory(Arc<Table>),
    Embedded(Arc<Embedded>),
    Redis(Arc<RedisStore>),
}

/// What a store holds in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many entries, those included that are over and not removed yet.
    pub entries: usize,
    /// Bytes, as [`Limits::max_bytes`] counts them.
    pub bytes: usize,
}

impl Store {
    /// Opens the store of a tenant. Neither a Redis that is down nor a file that
    /// another process still has is an error: operations find out. All waiting
    /// is done on `runtime`, which must have I/O and time enabled and outlive
    /// the store.
    ///
    /// # Errors
    /// [`OpenError`], where waiting would not help.
    pub fn open(settings: Settings, tenant: &str, runtime: &Handle) -> Result<Self, OpenError> {
        check_tenant(tenant)?;
        let limits = settings.limits;
        let values = match settings.backend {
            Backend::Embedded(settings) => {
                let embedded = Embedded::open(&settings, limits, tenant, runtime)?;
                Values::Embedded(Arc::new(embedded))
            }
            Backend::Redis(settings) => {
                let redis = RedisStore::open(settings, tenant, runtime)?;
                Values::Redis(Arc::new(redis))
            }
        };
        Ok(Store { limits, values })
    }

    /// A store that is gone with its last clone.
    pub fn in_memory(limits: Limits) -> Self {
        let table = Table::new(limits.max_bytes, None);
        let values = Values::Memory(Arc::new(table));
        Store { limits, values }
    }

    /// The value of a key, if there is one and its lifetime is not over. A
    /// number is its decimal text.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge` (somebody with other limits wrote it),
    /// `Unavailable`, `Busy`.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_key(key)?;
        let value = match &self.values {
            Values::Memory(table) => table.get(key),
            Values::Embedded(embedded) => embedded.table().await?.get(key),
            Values::Redis(redis) => redis.get(key).await,
        }?;
        self.check_value(value.as_deref().unwrap_or_default())?;
        Ok(value)
    }

    /// Puts a value in place of what the key had, lifetime included: without
    /// one the value stays until it is removed.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`, `Full`, `Unavailable`, `Busy`.
    pub async fn set(
        &self,
        key: &str,
        value: Vec<u8>,
        lifetime: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.check_key(key)?;
        self.check_value(&value)?;
        match &self.values {
            Values::Memory(table) => table.set(key, value, lifetime),
            Values::Embedded(embedded) => embedded.table().await?.set(key, value, lifetime),
            Values::Redis(redis) => redis.set(key, value, lifetime).await,
        }
    }

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// `InvalidKey`, `Unavailable`, `Busy`.
    pub async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.check_key(key)?;
        match &self.values {
            Values::Memory(table) => table.remove(key),
            Values::Embedded(embedded) => embedded.table().await?.remove(key),
            Values::Redis(redis) => redis.remove(key).await,
        }
    }

    /// Adds to a number and gives the sum; nobody else's addition comes between.
    /// A key that is not there, or is over, counts as 0 and gets the lifetime;
    /// one that is there keeps its own, so that a window of a rate limit ends
    /// when it was to end.
    ///
    /// # Errors
    /// `InvalidKey`, `NotANumber`, `Overflow`, `Full`, `Unavailable`, `Busy`.
    /// After `Unavailable` from Redis the addition may have been made.
    pub async fn increment(
        &self,
        key: &str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Result<i64, StoreError> {
        self.check_key(key)?;
        match &self.values {
            Values::Memory(table) => table.increment(key, by, lifetime),
            Values::Embedded(embedded) => embedded.table().await?.increment(key, by, lifetime),
            Values::Redis(redis) => redis.increment(key, by, lifetime).await,
        }
    }

    /// What is held in this process; nothing where the values are in Redis or
    /// the file is not open yet.
    pub fn usage(&self) -> Option<Usage> {
        let table = match &self.values {
            Values::Memory(table) => Some(&**table),
            Values::Embedded(embedded) => embedded.filled_table(),
            Values::Redis(_) => None,
        };
        let space = table?.space();
        Some(Usage {
            entries: space.entries(),
            bytes: space.bytes(),
        })
    }

    /// Ends the store for all clones: writes what is left to the disk and lets
    /// go of the file, for at most 5 s. Without it, the last clone that is
    /// dropped has the same done in the background, which a process that ends
    /// does not wait for.
    ///
    /// # Errors
    /// `Unavailable` where the file could not be written in time.
    pub async fn close(&self) -> Result<(), StoreError> {
        match &self.values {
            Values::Memory(table) => {
                table.close();
                Ok(())
            }
            Values::Embedded(embedded) => embedded.close(CLOSE_LIMIT).await,
            Values::Redis(redis) => {
                redis.close();
                Ok(())
            }
        }
    }

    fn check_key(&self, key: &str) -> Result<(), StoreError> {
        let (bytes, limit) = (key.len(), self.limits.max_key_bytes);
        if bytes == 0 || bytes > limit {
            return Err(StoreError::InvalidKey { bytes, limit });
        }
        Ok(())
    }

    fn check_value(&self, value: &[u8]) -> Result<(), StoreError> {
        let (bytes, limit) = (value.len(), self.limits.max_value_bytes);
        if bytes > limit {
            return Err(StoreError::TooLarge { bytes, limit });
        }
        Ok(())
    }
}

fn check_tenant(tenant: &str) -> Result<(), OpenError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if matches!(tenant.len(), 1..=63) && tenant.bytes().all(allowed) {
        return Ok(());
    }
    Err(OpenError::Tenant(tenant.to_owned()))
}
