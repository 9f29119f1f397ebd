//! `apisix:filter/key-value`: values that outlive the call, in the store that
//! the operator granted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::bindings::apisix::filter::key_value::{Error, Host};
use crate::call_state::{CallState, NotAsked};
use crate::services::UnderWay;
use crate::{Grant, KeyValue, KeyValueError, Stored};

/// Bytes of a key; `wit/key-value.wit` says so.
const KEY: usize = 512;

impl CallState {
    /// The store, and the right to ask it once.
    fn store(&mut self, function: &str, key: &str) -> Result<(Arc<dyn KeyValue>, UnderWay), Error> {
        let Some(store) = self.grants().key_value.clone() else {
            return Err(Error::Denied(super::not_granted(self, Grant::KeyValue)));
        };
        if key.is_empty() || key.len() > KEY {
            return Err(Error::Invalid(format!(
                "{function}: a key has 1 to {KEY} bytes, not {}",
                key.len()
            )));
        }
        Ok((store, self.ask_service(function)?))
    }
}

impl Host for CallState {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        let (store, under_way) = self.store("key-value.get", &key)?;
        let value = answer(under_way, store.get(&key)).await?;
        Ok(value.map(Into::into))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        lifetime_ms: Option<u64>,
    ) -> Result<(), Error> {
        let most = self.limits().body;
        if value.len() > most {
            return Err(Error::Limit(format!(
                "key-value.set: a value may have {} KiB (limits.body_kib)",
                most >> 10
            )));
        }
        let lifetime = lifetime("key-value.set", lifetime_ms)?;
        let (store, under_way) = self.store("key-value.set", &key)?;
        answer(under_way, store.set(&key, Bytes::from(value), lifetime)).await
    }

    async fn remove(&mut self, key: String) -> Result<(), Error> {
        let (store, under_way) = self.store("key-value.remove", &key)?;
        answer(under_way, store.remove(&key)).await
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
        lifetime_ms: Option<u64>,
    ) -> Result<i64, Error> {
        let lifetime = lifetime("key-value.increment", lifetime_ms)?;
        let (store, under_way) = self.store("key-value.increment", &key)?;
        answer(under_way, store.increment(&key, by, lifetime)).await
    }
}

fn lifetime(function: &str, millis: Option<u64>) -> Result<Option<Duration>, Error> {
    match millis {
        Some(0) => Err(Error::Invalid(format!(
            "{function}: a value cannot live for 0 ms; leave the lifetime out to keep it"
        ))),
        millis => Ok(millis.map(Duration::from_millis)),
    }
}

async fn answer<T>(under_way: UnderWay, stored: Stored<'_, T>) -> Result<T, Error> {
    let answer = under_way.within(None, stored).await;
    Ok(answer.map_err(|late| Error::Unavailable(late.to_string()))??)
}

impl From<KeyValueError> for Error {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::Invalid(text) => Error::Invalid(text),
            KeyValueError::Limit(text) => Error::Limit(text),
            KeyValueError::NotANumber(text) => Error::NotANumber(text),
            KeyValueError::Unavailable(text) => Error::Unavailable(text),
            KeyValueError::Other(text) => Error::Other(text),
        }
    }
}

impl From<NotAsked> for Error {
    fn from(error: NotAsked) -> Self {
        match error {
            NotAsked::WrongPhase(text) => Error::WrongPhase(text),
            NotAsked::Exhausted(limit) => Error::Limit(limit.to_string()),
        }
    }
}
