//! The fake `key_value`: a map, in which no time goes by.

use crate::key_value::Error;
use crate::testing::call::{self, Call, Phase};

/// Bytes of a key.
const KEY: usize = 512;

fn within<R>(
    function: &str,
    key: &str,
    access: impl FnOnce(&mut Call) -> Result<R, Error>,
) -> Result<R, Error> {
    let wrong_phase = || Error::WrongPhase(format!("{function}: there is no call"));
    if key.is_empty() || key.len() > KEY {
        return Err(Error::Invalid(format!(
            "{function}: a key has 1 to 512 bytes"
        )));
    }
    call::with(|call| match call.phase {
        Phase::Configure => Err(wrong_phase()),
        Phase::Request | Phase::Response => access(call),
    })
    .unwrap_or_else(|| Err(wrong_phase()))
}

fn lifetime(function: &str, millis: Option<u64>) -> Result<(), Error> {
    match millis {
        Some(0) => Err(Error::Invalid(format!("{function}: a lifetime of 0 ms"))),
        _ => Ok(()),
    }
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    within("get", key, |call| {
        Ok(call.around.key_value.get(key).cloned())
    })
}

pub(crate) fn set(key: &str, value: &[u8], lifetime_ms: Option<u64>) -> Result<(), Error> {
    lifetime("set", lifetime_ms)?;
    within("set", key, |call| {
        call.around.key_value.insert(key.to_owned(), value.to_vec());
        Ok(())
    })
}

pub(crate) fn remove(key: &str) -> Result<(), Error> {
    within("remove", key, |call| {
        call.around.key_value.remove(key);
        Ok(())
    })
}

pub(crate) fn increment(key: &str, by: i64, lifetime_ms: Option<u64>) -> Result<i64, Error> {
    lifetime("increment", lifetime_ms)?;
    within("increment", key, |call| {
        let number = match call.around.key_value.get(key) {
            None => Some(0),
            Some(value) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok()),
        };
        let sum = number.and_then(|number| number.checked_add(by));
        let sum = sum.ok_or_else(|| Error::NotANumber(format!("increment: {key}")))?;
        let digits = sum.to_string().into_bytes();
        call.around.key_value.insert(key.to_owned(), digits);
        Ok(sum)
    })
}
