//! Keys, passwords and other texts that the operator grants to this filter by
//! name (`wit/secrets.wit`). A filter that asks here without any grant is not
//! loaded. Works in every phase.

use crate::Error;
use crate::imports::secrets as host;

/// The text that a name stands for; [`Error::Denied`] for a name that the
/// operator did not grant.
pub fn get(name: &str) -> Result<String, Error> {
    host::get(name)
}
