//! The fake `secrets`: those that the test gave.

use crate::Error;
use crate::testing::call;

pub(crate) fn get(name: &str) -> Result<String, Error> {
    let found = call::with(|call| call.around.secrets.get(name).cloned());
    found
        .flatten()
        .ok_or_else(|| Error::Denied(["get: no secret ", name].concat()))
}
