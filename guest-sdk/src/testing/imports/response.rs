//! The fake `response`: acts on the call's response and keeps the rules.

use crate::testing::call::{self, Call, Phase};
use crate::testing::request::lossy;
use crate::testing::{headers, rules};
use crate::{Error, HeaderEntry, HeaderEntryBytes};

fn within<R>(
    function: &str,
    access: impl FnOnce(&mut Call) -> Result<R, Error>,
) -> Result<R, Error> {
    call::within(&[Phase::Response], function, access)
}

pub(crate) fn id() -> Result<u32, Error> {
    within("id", |call| Ok(call.around.id))
}

pub(crate) fn status() -> Result<u16, Error> {
    within("status", |call| Ok(call.response.status))
}

pub(crate) fn set_status(status: u16) -> Result<(), Error> {
    within("set-status", |call| {
        rules::status("set-status", status)?;
        call.response.status = status;
        call.note("set-status", &[status.to_string().as_bytes()]);
        Ok(())
    })
}

// === Headers ===

pub(crate) fn header(name: &str) -> Result<Option<String>, Error> {
    Ok(header_bytes(name)?.as_deref().map(lossy))
}

pub(crate) fn header_bytes(name: &str) -> Result<Option<Vec<u8>>, Error> {
    within("header", |call| {
        Ok(headers::first(&call.response.headers, name).map(<[u8]>::to_vec))
    })
}

pub(crate) fn header_values(name: &str) -> Result<Vec<String>, Error> {
    let values = header_values_bytes(name)?;
    Ok(values.iter().map(|value| lossy(value)).collect())
}

pub(crate) fn header_values_bytes(name: &str) -> Result<Vec<Vec<u8>>, Error> {
    within("header-values", |call| {
        let values = headers::values(&call.response.headers, name);
        Ok(values.map(<[u8]>::to_vec).collect())
    })
}

pub(crate) fn headers() -> Result<Vec<HeaderEntry>, Error> {
    Ok(headers::text(&headers_bytes()?))
}

pub(crate) fn headers_bytes() -> Result<Vec<HeaderEntryBytes>, Error> {
    within("headers", |call| Ok(call.response.headers.clone()))
}

pub(crate) fn set_header(name: &str, value: &str) -> Result<(), Error> {
    set_header_bytes(name, value.as_bytes())
}

pub(crate) fn set_header_bytes(name: &str, value: &[u8]) -> Result<(), Error> {
    within("set-header", |call| {
        rules::response_header("set-header", name, value)?;
        headers::set(&mut call.response.headers, name, value);
        call.note("set-header", &[name.as_bytes(), value]);
        Ok(())
    })
}

pub(crate) fn add_header(name: &str, value: &str) -> Result<(), Error> {
    add_header_bytes(name, value.as_bytes())
}

pub(crate) fn add_header_bytes(name: &str, value: &[u8]) -> Result<(), Error> {
    within("add-header", |call| {
        rules::response_header("add-header", name, value)?;
        headers::add(&mut call.response.headers, name.as_bytes(), value);
        call.note("add-header", &[name.as_bytes(), value]);
        Ok(())
    })
}

pub(crate) fn remove_header(name: &str) -> Result<(), Error> {
    within("remove-header", |call| {
        rules::header_name("remove-header", name)?;
        headers::remove(&mut call.response.headers, name);
        call.note("remove-header", &[name.as_bytes()]);
        Ok(())
    })
}

// === Body ===

pub(crate) fn body() -> Result<Option<Vec<u8>>, Error> {
    within("body", |call| {
        call.ask(String::from("body"));
        match &call.body_error {
            Some(error) => Err(error.clone()),
            None => Ok(call.response.body.clone()),
        }
    })
}

pub(crate) fn set_body(body: &[u8]) -> Result<(), Error> {
    within("set-body", |call| {
        rules::body("set-body", body)?;
        // They described the body that was.
        for name in rules::OF_THE_BODY {
            headers::remove(&mut call.response.headers, name);
        }
        call.response.body = Some(body.to_vec());
        call.body_error = None;
        call.note("set-body", &[body]);
        Ok(())
    })
}
