//! Values that the filters of one call pass to those after them
//! (`wit/chain.wit`). They live as long as the call; another phase of the
//! same client request is another call. Every function returns
//! [`Error::WrongPhase`] from `configure`.

use crate::Error;
use crate::imports::chain as host;

/// The value under a key; `None` when no filter of this call set it.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    host::get(key)
}

/// Sets a value. All keys and values of one call together may take 64 KiB,
/// else [`Error::Limit`].
pub fn set(key: &str, value: &str) -> Result<(), Error> {
    host::set(key, value)
}

/// Removes a value; nothing happens when there is none.
pub fn remove(key: &str) -> Result<(), Error> {
    host::remove(key)
}
