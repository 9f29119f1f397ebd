//! The fake `variables`: those that the test gave, unless they are to fail.

use crate::Error;
use crate::testing::call::{self, Phase};
use crate::testing::request::lossy;

pub(crate) fn get(name: &str) -> Result<Option<String>, Error> {
    one("get", name).map(text)
}

pub(crate) fn get_bytes(name: &str) -> Result<Option<Vec<u8>>, Error> {
    one("get-bytes", name)
}

pub(crate) fn get_many(names: &[&str]) -> Result<Vec<Option<String>>, Error> {
    let values = many("get-many", names)?;
    Ok(values.into_iter().map(text).collect())
}

pub(crate) fn get_many_bytes(names: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    many("get-many-bytes", names)
}

fn many(function: &str, names: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    names.iter().map(|name| one(function, name)).collect()
}

fn one(function: &str, name: &str) -> Result<Option<Vec<u8>>, Error> {
    call::within(&[Phase::Request, Phase::Response], function, |call| {
        call.ask(format!("variable {name}"));
        match &call.around.variables_error {
            Some(error) => Err(error.clone()),
            None => Ok(call.around.variables.get(name).cloned()),
        }
    })
}

fn text(value: Option<Vec<u8>>) -> Option<String> {
    value.as_deref().map(lossy)
}
