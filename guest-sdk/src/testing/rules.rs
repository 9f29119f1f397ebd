//! What the host refuses to write, and why. Each rule is a sentence in
//! `wit/`; none of them changes anything.

use crate::{Error, StopResponse};

/// What the gateway ignores in a response that it is yet to get.
const IGNORED_IN_RESPONSES: [&str; 10] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "location",
    "server",
    "www-authenticate",
    "content-encoding",
    "content-type",
    "content-location",
    "content-language",
];

pub(super) fn header(function: &str, name: &str, value: &[u8]) -> Result<(), Error> {
    header_name(function, name)?;
    check(
        !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
        function,
        "the value may not contain CR, LF or NUL",
    )
}

pub(super) fn header_name(function: &str, name: &str) -> Result<(), Error> {
    check(
        !name.is_empty() && name.bytes().all(is_token),
        function,
        "the name must be an HTTP token",
    )
}

pub(super) fn new_header(function: &str, exists: bool) -> Result<(), Error> {
    let reason = "the header exists; use set-header with a joined value";
    check(!exists, function, reason)
}

pub(super) fn removable_header(function: &str, name: &str) -> Result<(), Error> {
    header_name(function, name)?;
    of_no_connection(function, name)?;
    check(
        !name.eq_ignore_ascii_case("host"),
        function,
        "host cannot be removed",
    )
}

pub(super) fn early_response_header(function: &str, name: &str) -> Result<(), Error> {
    let ignored = IGNORED_IN_RESPONSES
        .iter()
        .any(|ignored| name.eq_ignore_ascii_case(ignored));
    check(!ignored, function, "the gateway ignores this header here")
}

/// What describes a response body, and goes with it.
pub(super) const OF_THE_BODY: [&str; 7] = [
    "content-length",
    "content-encoding",
    "content-range",
    "content-md5",
    "content-digest",
    "repr-digest",
    "digest",
];

/// What belongs to the connection, or is counted by the gateway.
const OF_THE_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn of_no_connection(function: &str, name: &str) -> Result<(), Error> {
    let own = OF_THE_CONNECTION
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own));
    check(!own, function, "this header is the gateway's own business")
}

pub(super) fn request_header(function: &str, name: &str, value: &[u8]) -> Result<(), Error> {
    header(function, name, value)?;
    of_no_connection(function, name)?;
    let no_host = name.eq_ignore_ascii_case("host") && value.is_empty();
    check(!no_host, function, "host cannot be empty")
}

pub(super) fn response_header(function: &str, name: &str, value: &[u8]) -> Result<(), Error> {
    header(function, name, value)?;
    of_no_connection(function, name)
}

pub(super) fn path(function: &str, path: &[u8]) -> Result<(), Error> {
    check(
        path.starts_with(b"/") && !path.contains(&0),
        function,
        "the path must start with / and may not contain NUL",
    )
}

pub(super) fn arg_name(function: &str, name: &[u8]) -> Result<(), Error> {
    check(!name.is_empty(), function, "the name may not be empty")
}

pub(super) fn keepable_args(function: &str, value_less: bool) -> Result<(), Error> {
    let reason = "a value-less value of this argument could not be kept; use set-arg";
    check(!value_less, function, reason)
}

pub(super) fn body(function: &str, body: &[u8]) -> Result<(), Error> {
    check(
        !body.is_empty(),
        function,
        "an empty body cannot be expressed",
    )
}

pub(super) fn status(function: &str, status: u16) -> Result<(), Error> {
    check(
        (200..=599).contains(&status),
        function,
        "the status must be 200 to 599",
    )
}

pub(super) fn stop_response(response: &StopResponse) -> Result<(), Error> {
    status("stop", response.status)?;
    for entry in &response.headers {
        response_header("stop", &entry.name, entry.value.as_bytes())?;
    }
    Ok(())
}

fn check(holds: bool, function: &str, reason: &str) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(Error::Invalid(format!("{function}: {reason}"))),
    }
}

/// RFC 9110 section 5.6.2, `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
