//! The sandbox's port for what outlives a call, on the tenant's store.

use std::time::Duration;

use bytes::Bytes;
use key_value::{Store, StoreError};
use sandbox::{KeyValue, KeyValueError, Stored};

/// What the filters of one tenant keep.
pub(super) struct KeyValuePort(pub(super) Store);

impl KeyValue for KeyValuePort {
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Bytes>> {
        Box::pin(async move {
            let value = self.0.get(key).await.map_err(for_guest)?;
            Ok(value.map(Bytes::from))
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, lifetime: Option<Duration>) -> Stored<'a, ()> {
        Box::pin(async move {
            let set = self.0.set(key, value.to_vec(), lifetime).await;
            set.map_err(for_guest)
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        Box::pin(async move { self.0.remove(key).await.map_err(for_guest) })
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Stored<'a, i64> {
        Box::pin(async move {
            let sum = self.0.increment(key, by, lifetime).await;
            sum.map_err(for_guest)
        })
    }
}

fn for_guest(error: StoreError) -> KeyValueError {
    let text = error.to_string();
    match error {
        StoreError::InvalidKey { .. } => KeyValueError::Invalid(text),
        StoreError::TooLarge { .. } | StoreError::Full { .. } => KeyValueError::Limit(text),
        StoreError::NotANumber | StoreError::Overflow => KeyValueError::NotANumber(text),
        StoreError::Unavailable(_) | StoreError::Busy => KeyValueError::Unavailable(text),
    }
}
