//! Random numbers that nobody can foretell (`wit/random.wit`), unless the
//! operator says that this plugin gets the same ones each time. Works in every
//! phase; but what [`configure`](crate::Filter::configure) draws may be kept with
//! the state it leaves.

use crate::Error;
use crate::imports::random as host;

/// So many random bytes, at most 65,536, else [`Error::Limit`].
pub fn get_bytes(len: u32) -> Result<Vec<u8>, Error> {
    host::get_bytes(len)
}

/// A random number, each of them as likely as any other.
pub fn get_u64() -> Result<u64, Error> {
    host::get_u64()
}
