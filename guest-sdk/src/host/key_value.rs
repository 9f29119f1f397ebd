//! Values that outlive the call (`wit/key-value.wit`): counters, what was looked
//! up before. Each plugin has a store of its own, which all its calls share.
//!
//! The operator grants it; a filter that calls anything here without the grant
//! is not loaded. Each function is one step: no other call sees half of it.
//! Works in `on_request` and `on_response`. A key has 1 to 512 bytes. A lifetime
//! is in milliseconds, at least 1.

use crate::imports::key_value as host;

/// Why the store did not do what was asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The operator did not grant the store.
    Denied(String),
    /// An argument cannot be used.
    Invalid(String),
    /// A limit was reached: calls or waiting of this call, bytes of a value, or
    /// what the store holds.
    Limit(String),
    /// [`increment`] found a value that is no number, or the sum would not fit
    /// into 64 bits.
    NotANumber(String),
    /// The store cannot be reached. Whether something was changed is not known.
    Unavailable(String),
    /// There is no call to which this could belong.
    WrongPhase(String),
    /// Anything that a later runner cannot say with the cases above.
    Other(String),
}

crate::error_kinds::error_kinds! {
    Denied = "denied",
    Invalid = "invalid",
    Limit = "limit",
    NotANumber = "not-a-number",
    Unavailable = "unavailable",
    WrongPhase = "wrong-phase",
    Other = "other",
}

/// The value under a key; `None` when there is none or its lifetime is over.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key)
}

/// Sets a value, with a lifetime or until it is removed. What was there before
/// is gone, its lifetime too.
pub fn set(key: &str, value: &[u8], lifetime_ms: Option<u64>) -> Result<(), Error> {
    host::set(key, value, lifetime_ms)
}

/// Removes a value; nothing happens when there is none.
pub fn remove(key: &str) -> Result<(), Error> {
    host::remove(key)
}

/// Adds to a number and returns the sum. A key that is not there counts as 0
/// and gets this lifetime; one that is there keeps its own, so that a counter
/// with a lifetime counts what happens in a fixed window. The number is a value
/// like others, in decimal digits.
pub fn increment(key: &str, by: i64, lifetime_ms: Option<u64>) -> Result<i64, Error> {
    host::increment(key, by, lifetime_ms)
}
