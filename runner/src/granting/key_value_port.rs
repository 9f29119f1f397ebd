//! The sandbox's port for what outlives a call, on the tenant's store. Each
//! plugin has the part of it whose keys begin with its name and a slash, which no
//! name of a file has.

use std::time::Duration;

use bytes::Bytes;
use key_value::{Store, StoreError};
use sandbox::{KeyValue, KeyValueError, Stored};

/// What one plugin keeps.
pub(super) struct KeyValuePort {
    store: Store,
    /// Its name and the slash.
    prefix: String,
}

impl KeyValuePort {
    /// The part of `store` that is this plugin's.
    pub(super) fn new(store: Store, plugin: &str) -> Self {
        let prefix = format!("{plugin}/");
        KeyValuePort { store, prefix }
    }

    fn key(&self, key: &str) -> String {
        [&*self.prefix, key].concat()
    }
}

impl KeyValue for KeyValuePort {
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Bytes>> {
        Box::pin(async move {
            let value = self.store.get(&self.key(key)).await.map_err(for_guest)?;
            Ok(value.map(Bytes::from))
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, lifetime: Option<Duration>) -> Stored<'a, ()> {
        Box::pin(async move {
            let set = self
                .store
                .set(&self.key(key), value.to_vec(), lifetime)
                .await;
            set.map_err(for_guest)
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        Box::pin(async move { self.store.remove(&self.key(key)).await.map_err(for_guest) })
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Stored<'a, i64> {
        Box::pin(async move {
            let sum = self.store.increment(&self.key(key), by, lifetime).await;
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

#[cfg(test)]
mod tests {
    use key_value::{Backend, EmbeddedSettings, Limits, Settings};

    use super::*;

    #[tokio::test]
    async fn what_one_plugin_keeps_no_other_should_see() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let settings = Settings {
            backend: Backend::Embedded(EmbeddedSettings::in_folder(folder.path())),
            limits: Limits::default(),
        };
        let runtime = tokio::runtime::Handle::current();
        let store = Store::open(settings, "t", &runtime).expect("a store");
        let [a, b] = ["a", "b"].map(|plugin| KeyValuePort::new(store.clone(), plugin));
        assert_eq!(a.increment("k", 7, None).await.expect("counted"), 7);
        assert_eq!(b.increment("k", 1, None).await.expect("counted"), 1);
        b.remove("k").await.expect("removed");
        assert_eq!(a.get("k").await.expect("got"), Some(Bytes::from("7")));
        store.close().await.expect("closed");
    }
}
