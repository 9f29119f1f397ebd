//! The fake `chain`: a map, with the limit of the real one.

use crate::Error;
use crate::testing::call::{self, Call, Phase};

const PHASES: [Phase; 2] = [Phase::Request, Phase::Response];

/// Bytes of all keys and values of a call together.
const LIMIT: usize = 64 * 1024;

pub(crate) fn get(key: &str) -> Result<Option<String>, Error> {
    call::within(&PHASES, "get", |call| {
        Ok(call.around.chain.get(key).cloned())
    })
}

pub(crate) fn set(key: &str, value: &str) -> Result<(), Error> {
    call::within(&PHASES, "set", |call| {
        if size_of_others(call, key) + key.len() + value.len() > LIMIT {
            return Err(Error::Limit(String::from(
                "set: all keys and values of a call may take 64 KiB",
            )));
        }
        call.around.chain.insert(key.to_owned(), value.to_owned());
        Ok(())
    })
}

pub(crate) fn remove(key: &str) -> Result<(), Error> {
    call::within(&PHASES, "remove", |call| {
        call.around.chain.remove(key);
        Ok(())
    })
}

fn size_of_others(call: &Call, key: &str) -> usize {
    let others = call.around.chain.iter().filter(|(other, _)| *other != key);
    others.map(|(other, value)| other.len() + value.len()).sum()
}
