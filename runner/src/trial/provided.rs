//! What stands behind the grants of a filter that is tried: a store of its own
//! for each run, the answers that whoever tries it wrote down, and secrets that
//! are none. Nothing here reaches a network.
//!
//! Must not know which filter asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sandbox::{
    Grants, KeyValue, KeyValueError, Outbound, OutboundError, OutboundRequest, OutboundResponse,
    Secrets, Sending, Stored,
};

/// What a filter finds where it was granted something.
#[derive(Debug, Clone, Default)]
pub struct Provided {
    /// Answers to its requests.
    pub answers: Vec<Answer>,
    /// Secrets by name.
    pub secrets: Arc<Secrets>,
}

/// What a request of a filter comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The method; any unless it says so.
    pub method: Option<String>,
    /// The URL, as the filter writes it.
    pub url: String,
    /// The response, or why there is none.
    pub result: Result<OutboundResponse, OutboundError>,
}

impl Provided {
    /// Every grant there is, with this behind it. Clocks and random numbers are
    /// as in `granted`.
    pub(super) fn grants(&self, granted: &Grants) -> Arc<Grants> {
        Arc::new(Grants {
            http: Some(Arc::new(Answers(self.answers.clone()))),
            key_value: Some(Arc::new(TrialStore::default())),
            secrets: Some(Arc::clone(&self.secrets)),
            ..granted.clone()
        })
    }
}

struct Answers(Vec<Answer>);

impl Outbound for Answers {
    fn send(&self, request: OutboundRequest) -> Sending<'_> {
        let is_meant = |answer: &&Answer| {
            let method = answer.method.as_ref();
            answer.url == request.url && method.is_none_or(|method| *method == request.method)
        };
        let result = match self.0.iter().find(is_meant) {
            Some(answer) => answer.result.clone(),
            None => Err(OutboundError::Denied(format!(
                "there is no network here, and no answer to {} {}; write one down under `http` of \
                 the case, or as --http of `runner try`",
                request.method, request.url
            ))),
        };
        Box::pin(std::future::ready(result))
    }
}

/// A store in memory, without limits: whoever tries a filter is its author.
#[derive(Default)]
struct TrialStore {
    values: Mutex<HashMap<String, Value>>,
}

struct Value {
    bytes: Bytes,
    gone: Option<Instant>,
}

impl TrialStore {
    /// The values that are still there.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Value>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        values.retain(|_, value| value.gone.is_none_or(|gone| now < gone));
        values
    }

    fn add(&self, key: &str, by: i64, lifetime: Option<Duration>) -> Result<i64, KeyValueError> {
        let mut values = self.lock();
        let (number, gone) = match values.get(key) {
            None => (0, end_of(lifetime)),
            Some(value) => {
                let text = std::str::from_utf8(&value.bytes).ok();
                let number = text.and_then(|text| text.parse::<i64>().ok());
                let number = number.ok_or_else(|| {
                    KeyValueError::NotANumber(format!("the value under {key:?} is no number"))
                })?;
                (number, value.gone)
            }
        };
        let sum = number.checked_add(by).ok_or_else(|| {
            KeyValueError::NotANumber(format!("{number} and {by} do not fit into 64 bits"))
        })?;
        let bytes = sum.to_string().into();
        values.insert(key.to_owned(), Value { bytes, gone });
        Ok(sum)
    }
}

/// A lifetime that no clock can tell the end of has none.
fn end_of(lifetime: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(lifetime?)
}

fn at_once<'a, T: Send + 'a>(result: Result<T, KeyValueError>) -> Stored<'a, T> {
    Box::pin(std::future::ready(result))
}

impl KeyValue for TrialStore {
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Bytes>> {
        let value = self.lock().get(key).map(|value| value.bytes.clone());
        at_once(Ok(value))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, lifetime: Option<Duration>) -> Stored<'a, ()> {
        let value = Value {
            bytes: value,
            gone: end_of(lifetime),
        };
        self.lock().insert(key.to_owned(), value);
        at_once(Ok(()))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        self.lock().remove(key);
        at_once(Ok(()))
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Stored<'a, i64> {
        at_once(self.add(key, by, lifetime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_counter_should_keep_the_lifetime_that_it_began_with() {
        let store = TrialStore::default();
        assert_eq!(store.increment("a", 2, Some(30 * MS)).await, Ok(2));
        assert_eq!(store.increment("a", 3, None).await, Ok(5));
        assert_eq!(store.get("a").await, Ok(Some("5".into())));
        tokio::time::sleep(40 * MS).await;
        assert_eq!(store.get("a").await, Ok(None));
        assert_eq!(store.increment("a", -1, None).await, Ok(-1));
    }

    #[tokio::test]
    async fn what_is_no_number_should_stay_as_it_is() {
        let store = TrialStore::default();
        for value in ["x", "9223372036854775807", ""] {
            let set = store.set("a", value.into(), None).await;
            assert_eq!(set, Ok(()));
            let sum = store.increment("a", 1, None).await;
            assert!(matches!(sum, Err(KeyValueError::NotANumber(_))), "{value}");
            assert_eq!(store.get("a").await, Ok(Some(value.into())));
        }
        assert_eq!(store.remove("a").await, Ok(()));
        assert_eq!(store.get("a").await, Ok(None));
    }
}
