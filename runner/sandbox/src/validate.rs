//! What may go into a request or response line: the rules a guest's edits are
//! held to, at the call that makes them, so that nothing invalid is ever
//! recorded.

use crate::bindings::apisix::filter::types::Error;
use crate::limits::EditLimits;

/// RFC 9110 section 5.6.2: `token`.
pub(crate) fn header_name(name: &str) -> Result<(), Error> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.is_empty() && name.bytes().all(is_token) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "header name {name:?} is not an HTTP token (RFC 9110 section 5.6.2)"
    )))
}

/// CR and LF would start another header line, NUL ends a string in the
/// gateway.
pub(crate) fn header_value(name: &str, value: &[u8]) -> Result<(), Error> {
    match value.iter().find(|b| matches!(b, b'\r' | b'\n' | 0)) {
        None => Ok(()),
        Some(byte) => Err(Error::Invalid(format!(
            "the value of header {name} contains the byte 0x{byte:02x}; CR, LF and NUL cannot be sent"
        ))),
    }
}

/// A header of the request as the upstream sees it. An empty `host` would be
/// none: nginx does not send empty headers.
pub(crate) fn request_header(name: &str, value: &[u8]) -> Result<(), Error> {
    header_name(name)?;
    header_value(name, value)?;
    of_no_connection(name)?;
    if name.eq_ignore_ascii_case("host") && value.is_empty() {
        return Err(Error::Invalid("the host header cannot be empty".into()));
    }
    Ok(())
}

/// The method of a request that a filter sends itself.
pub(crate) fn method(method: &str) -> Result<(), Error> {
    let is_upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(&b);
    if !method.is_empty() && method.len() <= 32 && method.bytes().all(is_upper) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{method:?} is no method; it is a word in upper case, such as GET"
    )))
}

/// A header of such a request, whose target is in the URL.
pub(crate) fn header_of_own_request(name: &str, value: &[u8]) -> Result<(), Error> {
    request_header(name, value)?;
    match name.eq_ignore_ascii_case("host") {
        true => Err(Error::Invalid(
            "the host header is that of the URL; it cannot be set".into(),
        )),
        false => Ok(()),
    }
}

/// The gateway takes `host` without a value as "no upstream host"
/// (`init.lua`).
pub(crate) fn removable_header(name: &str) -> Result<(), Error> {
    header_name(name)?;
    of_no_connection(name)?;
    if name.eq_ignore_ascii_case("host") {
        return Err(Error::Invalid(
            "the host header cannot be removed; set it to another value instead".into(),
        ));
    }
    Ok(())
}

/// The response headers that the gateway ignores on a request that goes on
/// (`init.lua`), so that setting one would be silently lost.
const SET_BY_THE_GATEWAY: [&str; 10] = [
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

pub(crate) fn response_header_on_request(name: &str) -> Result<(), Error> {
    header_name(name)?;
    match SET_BY_THE_GATEWAY
        .iter()
        .find(|set| set.eq_ignore_ascii_case(name))
    {
        None => Ok(()),
        Some(set) => Err(Error::Invalid(format!(
            "the gateway ignores {set} as a response header of a request that goes on; set it in \
             the response phase"
        ))),
    }
}

/// Headers that say where a message ends or belong to one connection. The
/// gateway writes them itself: another length than the body's would let what
/// follows pass for a message of its own (RFC 9112 section 11.2).
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

fn of_no_connection(name: &str) -> Result<(), Error> {
    match OF_THE_CONNECTION
        .iter()
        .find(|of| of.eq_ignore_ascii_case(name))
    {
        None => Ok(()),
        Some(of) => Err(Error::Invalid(format!(
            "{of} is the gateway's own business; it cannot be changed"
        ))),
    }
}

/// A header of the response to the client.
pub(crate) fn response_header(name: &str, value: &[u8]) -> Result<(), Error> {
    header_name(name)?;
    header_value(name, value)?;
    of_no_connection(name)
}

/// What all edits of a call may take: more could not be sent in any case (a
/// frame carries 16,777,215 bytes).
const EDITS_LIMIT: usize = 16_777_215;

/// Whether `more` bytes may be added to edits of `size` bytes.
pub(crate) fn edits_size(size: usize, more: usize) -> Result<(), Error> {
    match size.saturating_add(more) > EDITS_LIMIT {
        false => Ok(()),
        true => Err(Error::Limit(format!(
            "the edits of one call may take {EDITS_LIMIT} bytes together"
        ))),
    }
}

impl EditLimits {
    /// One more header, argument or the like, of so many bytes, beside `others`.
    pub(crate) fn entry(&self, what: &str, others: usize, size: usize) -> Result<(), Error> {
        if size > self.header {
            return Err(Error::Limit(format!(
                "a {what} of {size} bytes; a filter may write {} (limits.header_kib)",
                self.header
            )));
        }
        if others >= self.headers {
            return Err(Error::Limit(format!(
                "more than {} {what}s were written (limits.headers)",
                self.headers
            )));
        }
        Ok(())
    }

    /// A body of so many bytes, read or written.
    pub(crate) fn body(&self, size: u64) -> Result<(), Error> {
        let limit = self.body;
        match size > u64::try_from(limit).unwrap_or(u64::MAX) {
            false => Ok(()),
            true => Err(Error::Limit(format!(
                "the body has {size} bytes; a filter may read and write {limit} (limits.body_kib)"
            ))),
        }
    }
}

/// How many variables are asked for at once. A name that comes twice is asked
/// for once, so there may be more of them than questions, but not without end:
/// nothing interrupts the host while it reads them.
pub(crate) fn variable_names(names: usize, questions: u32) -> Result<(), Error> {
    let most = usize::try_from(questions).unwrap_or(usize::MAX).max(64) * 4;
    match names > most {
        false => Ok(()),
        true => Err(Error::Limit(format!(
            "{names} variables at once; the most is {most}, four times limits.questions"
        ))),
    }
}

/// A variable's name, as it goes into a question to the gateway.
pub(crate) fn variable_name(name: &str, longest: usize) -> Result<(), Error> {
    match name.len() {
        bytes if bytes > longest => Err(Error::Limit(format!(
            "a variable's name of {bytes} bytes; the most is {longest} (limits.header_kib)"
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn path(path: &[u8]) -> Result<(), Error> {
    if path.first() != Some(&b'/') {
        return Err(Error::Invalid(format!(
            "path {:?} does not start with /",
            String::from_utf8_lossy(path)
        )));
    }
    if path.contains(&0) {
        return Err(Error::Invalid("the path contains a NUL byte".into()));
    }
    Ok(())
}

pub(crate) fn arg_name(name: &[u8]) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Invalid("an argument needs a name".into()));
    }
    Ok(())
}

pub(crate) fn body(body: &[u8]) -> Result<(), Error> {
    if body.is_empty() {
        return Err(Error::Invalid(
            "an empty body cannot be expressed in the gateway's protocol".into(),
        ));
    }
    Ok(())
}

/// The status codes a client can be given as a final response.
pub(crate) fn final_status(status: u16) -> Result<(), Error> {
    if (200..=599).contains(&status) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "status {status} is not between 200 and 599"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_should_be_tokens() {
        for good in ["x", "X-A6", "a_b", "!#$%&'*+-.^_`|~09"] {
            assert!(header_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a:b", "a\r\nb", "\u{e4}", "a\0"] {
            assert!(header_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn where_a_message_ends_should_be_nobodys_business_but_the_gateways() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Upgrade",
        ] {
            assert!(request_header(name, b"1").is_err(), "{name}");
            assert!(response_header(name, b"1").is_err(), "{name}");
            assert!(removable_header(name).is_err(), "{name}");
        }
        assert!(request_header("host", b"").is_err());
        assert!(request_header("x", b"").is_ok());
    }

    #[test]
    fn paths_should_start_with_a_slash() {
        for (bytes, good) in [
            (&b"/"[..], true),
            (b"/a?b%", true),
            (b"", false),
            (b"a", false),
            (b"/\0", false),
        ] {
            assert_eq!(path(bytes).is_ok(), good, "{bytes:?}");
        }
    }

    #[test]
    fn statuses_should_be_final() {
        for (status, good) in [
            (0, false),
            (199, false),
            (200, true),
            (599, true),
            (600, false),
        ] {
            assert_eq!(final_status(status).is_ok(), good, "{status}");
        }
    }
}
