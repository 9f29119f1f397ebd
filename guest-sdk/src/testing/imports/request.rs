//! The fake `request`: acts on the call's request and keeps the rules.

use crate::testing::call::{self, Call, Phase};
use crate::testing::request::lossy;
use crate::testing::{headers, rules};
use crate::{ArgEntry, ArgEntryBytes, Error, HeaderEntry, HeaderEntryBytes};

fn within<R>(
    function: &str,
    access: impl FnOnce(&mut Call) -> Result<R, Error>,
) -> Result<R, Error> {
    call::within(&[Phase::Request], function, access)
}

pub(crate) fn id() -> Result<u32, Error> {
    within("id", |call| Ok(call.around.id))
}

pub(crate) fn method() -> Result<String, Error> {
    within("method", |call| Ok(call.request.method.clone()))
}

pub(crate) fn source_address() -> Result<String, Error> {
    within("source-address", |call| Ok(call.source_address.clone()))
}

// === Path ===

pub(crate) fn path() -> Result<String, Error> {
    path_bytes().map(|path| lossy(&path))
}

pub(crate) fn path_bytes() -> Result<Vec<u8>, Error> {
    within("path", |call| Ok(call.request.path.clone()))
}

pub(crate) fn set_path(path: &str) -> Result<(), Error> {
    set_path_bytes(path.as_bytes())
}

pub(crate) fn set_path_bytes(path: &[u8]) -> Result<(), Error> {
    within("set-path", |call| {
        rules::path("set-path", path)?;
        call.request.path = path.to_vec();
        call.note("set-path", &[path]);
        Ok(())
    })
}

// === Headers ===

pub(crate) fn header(name: &str) -> Result<Option<String>, Error> {
    Ok(header_bytes(name)?.as_deref().map(lossy))
}

pub(crate) fn header_bytes(name: &str) -> Result<Option<Vec<u8>>, Error> {
    within("header", |call| {
        Ok(headers::first(&call.request.headers, name).map(<[u8]>::to_vec))
    })
}

pub(crate) fn header_values(name: &str) -> Result<Vec<String>, Error> {
    let values = header_values_bytes(name)?;
    Ok(values.iter().map(|value| lossy(value)).collect())
}

pub(crate) fn header_values_bytes(name: &str) -> Result<Vec<Vec<u8>>, Error> {
    within("header-values", |call| {
        let values = headers::values(&call.request.headers, name);
        Ok(values.map(<[u8]>::to_vec).collect())
    })
}

pub(crate) fn headers() -> Result<Vec<HeaderEntry>, Error> {
    Ok(headers::text(&headers_bytes()?))
}

pub(crate) fn headers_bytes() -> Result<Vec<HeaderEntryBytes>, Error> {
    within("headers", |call| Ok(call.request.headers.clone()))
}

pub(crate) fn set_header(name: &str, value: &str) -> Result<(), Error> {
    set_header_bytes(name, value.as_bytes())
}

pub(crate) fn set_header_bytes(name: &str, value: &[u8]) -> Result<(), Error> {
    within("set-header", |call| {
        rules::request_header("set-header", name, value)?;
        headers::set(&mut call.request.headers, name, value);
        call.note("set-header", &[name.as_bytes(), value]);
        Ok(())
    })
}

pub(crate) fn add_header(name: &str, value: &str) -> Result<(), Error> {
    add_header_bytes(name, value.as_bytes())
}

pub(crate) fn add_header_bytes(name: &str, value: &[u8]) -> Result<(), Error> {
    within("add-header", |call| {
        rules::request_header("add-header", name, value)?;
        let exists = headers::first(&call.request.headers, name).is_some();
        rules::new_header("add-header", exists)?;
        headers::add(&mut call.request.headers, name.as_bytes(), value);
        call.note("add-header", &[name.as_bytes(), value]);
        Ok(())
    })
}

pub(crate) fn remove_header(name: &str) -> Result<(), Error> {
    within("remove-header", |call| {
        rules::removable_header("remove-header", name)?;
        headers::remove(&mut call.request.headers, name);
        call.note("remove-header", &[name.as_bytes()]);
        Ok(())
    })
}

// === Query arguments ===

pub(crate) fn arg(name: &str) -> Result<Option<ArgEntry>, Error> {
    Ok(arg_bytes(name.as_bytes())?.map(text))
}

pub(crate) fn arg_bytes(name: &[u8]) -> Result<Option<ArgEntryBytes>, Error> {
    within("arg", |call| {
        let mut args = call.request.args.iter();
        Ok(args.find(|arg| arg.name == name).cloned())
    })
}

pub(crate) fn arg_values(name: &str) -> Result<Vec<Option<String>>, Error> {
    let values = arg_values_bytes(name.as_bytes())?;
    Ok(values
        .into_iter()
        .map(|value| value.as_deref().map(lossy))
        .collect())
}

pub(crate) fn arg_values_bytes(name: &[u8]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    within("arg-values", |call| {
        let args = call.request.args.iter().filter(|arg| arg.name == name);
        Ok(args.map(|arg| arg.value.clone()).collect())
    })
}

pub(crate) fn args() -> Result<Vec<ArgEntry>, Error> {
    Ok(args_bytes()?.into_iter().map(text).collect())
}

pub(crate) fn args_bytes() -> Result<Vec<ArgEntryBytes>, Error> {
    within("args", |call| Ok(call.request.args.clone()))
}

pub(crate) fn set_arg(name: &str, value: &str) -> Result<(), Error> {
    set_arg_bytes(name.as_bytes(), value.as_bytes())
}

pub(crate) fn set_arg_bytes(name: &[u8], value: &[u8]) -> Result<(), Error> {
    within("set-arg", |call| {
        rules::arg_name("set-arg", name)?;
        let args = &mut call.request.args;
        let place = args.iter().position(|arg| arg.name == name);
        args.retain(|arg| arg.name != name);
        args.insert(place.unwrap_or(args.len()), entry(name, value));
        call.note("set-arg", &[name, value]);
        Ok(())
    })
}

pub(crate) fn add_arg(name: &str, value: &str) -> Result<(), Error> {
    add_arg_bytes(name.as_bytes(), value.as_bytes())
}

pub(crate) fn add_arg_bytes(name: &[u8], value: &[u8]) -> Result<(), Error> {
    within("add-arg", |call| {
        rules::arg_name("add-arg", name)?;
        let mut values = call.request.args.iter().filter(|arg| arg.name == name);
        rules::keepable_args("add-arg", values.any(|arg| arg.value.is_none()))?;
        call.request.args.push(entry(name, value));
        call.note("add-arg", &[name, value]);
        Ok(())
    })
}

pub(crate) fn remove_arg(name: &str) -> Result<(), Error> {
    remove_arg_bytes(name.as_bytes())
}

pub(crate) fn remove_arg_bytes(name: &[u8]) -> Result<(), Error> {
    within("remove-arg", |call| {
        call.request.args.retain(|arg| arg.name != name);
        call.note("remove-arg", &[name]);
        Ok(())
    })
}

// === Body ===

pub(crate) fn body() -> Result<Option<Vec<u8>>, Error> {
    within("body", |call| {
        call.ask(String::from("body"));
        match &call.body_error {
            Some(error) => Err(error.clone()),
            None => Ok(call.request.body.clone()),
        }
    })
}

pub(crate) fn set_body(body: &[u8]) -> Result<(), Error> {
    within("set-body", |call| {
        rules::body("set-body", body)?;
        call.request.body = Some(body.to_vec());
        call.body_error = None;
        call.note("set-body", &[body]);
        Ok(())
    })
}

// === Headers of the response to this request ===

pub(crate) fn set_response_header(name: &str, value: &str) -> Result<(), Error> {
    set_response_header_bytes(name, value.as_bytes())
}

pub(crate) fn set_response_header_bytes(name: &str, value: &[u8]) -> Result<(), Error> {
    within("set-response-header", |call| {
        rules::header("set-response-header", name, value)?;
        rules::early_response_header("set-response-header", name)?;
        headers::set(&mut call.request.response_headers, name, value);
        call.note("set-response-header", &[name.as_bytes(), value]);
        Ok(())
    })
}

pub(crate) fn add_response_header(name: &str, value: &str) -> Result<(), Error> {
    add_response_header_bytes(name, value.as_bytes())
}

pub(crate) fn add_response_header_bytes(name: &str, value: &[u8]) -> Result<(), Error> {
    within("add-response-header", |call| {
        rules::header("add-response-header", name, value)?;
        rules::early_response_header("add-response-header", name)?;
        let headers = &mut call.request.response_headers;
        headers::add(headers, name.as_bytes(), value);
        call.note("add-response-header", &[name.as_bytes(), value]);
        Ok(())
    })
}

fn entry(name: &[u8], value: &[u8]) -> ArgEntryBytes {
    ArgEntryBytes {
        name: name.to_vec(),
        value: Some(value.to_vec()),
    }
}

fn text(arg: ArgEntryBytes) -> ArgEntry {
    ArgEntry {
        name: lossy(&arg.name),
        value: arg.value.as_deref().map(lossy),
    }
}
