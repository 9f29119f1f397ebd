//! Gateway variables (`wit/variables.wit`): nginx's (`remote_port`,
//! `arg_name`, `cookie_name`) and APISIX's own (`route_id`, `consumer_name`).
//!
//! Each is asked of the gateway once per call and then kept for the filters
//! that follow (APISIX 2.9 and later). Every function returns
//! [`Error::WrongPhase`] from `configure` and [`Error::Gateway`] when the
//! gateway does not answer.

use crate::Error;
use crate::imports::variables as host;

/// A variable's value; `None` when the gateway does not know it, which is
/// different from an empty one. Bytes that are not UTF-8 show as U+FFFD.
pub fn get(name: &str) -> Result<Option<String>, Error> {
    host::get(name)
}

/// [`get`] without a change of any byte.
pub fn get_bytes(name: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get_bytes(name)
}

/// Several variables in one exchange, in the order asked for. Faster than
/// asking one after the other.
pub fn get_many(names: &[&str]) -> Result<Vec<Option<String>>, Error> {
    host::get_many(names)
}

/// [`get_many`] without a change of any byte.
pub fn get_many_bytes(names: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    host::get_many_bytes(names)
}
