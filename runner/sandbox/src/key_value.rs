//! The port through which filters keep values that outlive a call. Whoever
//! implements it knows where they are kept, and whose they are.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// Why a store did not do what was asked. Each text is one sentence for the
/// filter's author and the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    /// A key or value that the store cannot take.
    #[error("{0}")]
    Invalid(String),
    /// The store holds as much as it may.
    #[error("{0}")]
    Limit(String),
    /// What is there is no number, or the sum does not fit into 64 bits.
    #[error("{0}")]
    NotANumber(String),
    /// The store cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What a store says, some time.
pub type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyValueError>> + Send + 'a>>;

/// The values of one plugin. Each function is one step that no other call sees
/// half of. Keys have 1 to 512 bytes. The caller limits the time, and may drop
/// a future at any moment.
pub trait KeyValue: Send + Sync {
    /// The value under a key, unless its lifetime is over.
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Bytes>>;

    /// Sets a value in place of what was there, with a lifetime (not zero) or
    /// until it is removed.
    fn set<'a>(&'a self, key: &'a str, value: Bytes, lifetime: Option<Duration>) -> Stored<'a, ()>;

    /// Removes a value, if there is one.
    fn remove<'a>(&'a self, key: &'a str) -> Stored<'a, ()>;

    /// Adds to a number, which is kept in decimal digits, and returns the sum.
    /// A key that is not there counts as 0 and gets the lifetime; one that is
    /// there keeps its own.
    fn increment<'a>(
        &'a self,
        key: &'a str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Stored<'a, i64>;
}
