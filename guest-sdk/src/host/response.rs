//! The upstream's response in the current call (`wit/response.wit`).

use crate::imports::response as host;
use crate::{Error, HeaderEntry, HeaderEntryBytes};

/// The upstream's response, as the filters before this one left it (APISIX
/// 2.14.1 and later). What no filter changes reaches the client as the
/// upstream sent it.
///
/// A handle without contents, as [`Request`](crate::Request); text and
/// `_bytes` methods are the same pairs.
///
/// # Errors
///
/// Every method returns [`Error::WrongPhase`] outside
/// [`on_response`](crate::ResponseFilter::on_response), and may return
/// [`Error::Unsupported`] or [`Error::Denied`]. Those that a method adds are
/// named there. An edit that returns an error changed nothing.
#[derive(Debug)]
pub struct Response(());

impl Response {
    pub(crate) fn current() -> Self {
        Response(())
    }

    /// The number the gateway gave this call; another than the request phase
    /// had.
    pub fn id(&self) -> Result<u32, Error> {
        host::id()
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> Result<u16, Error> {
        host::status()
    }

    /// Replaces the status code: 200 to 599, else [`Error::Invalid`].
    pub fn set_status(&mut self, status: u16) -> Result<(), Error> {
        host::set_status(status)
    }

    // === Headers ===

    /// The first value of a header; the name matches in any case. `None` when
    /// there is no such header.
    pub fn header(&self, name: &str) -> Result<Option<String>, Error> {
        host::header(name)
    }

    /// [`header`](Self::header) without a change of any byte.
    pub fn header_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        host::header_bytes(name)
    }

    /// Every value of a header in the order received; empty when there is no
    /// such header.
    pub fn header_values(&self, name: &str) -> Result<Vec<String>, Error> {
        host::header_values(name)
    }

    /// [`header_values`](Self::header_values) without a change of any byte.
    pub fn header_values_bytes(&self, name: &str) -> Result<Vec<Vec<u8>>, Error> {
        host::header_values_bytes(name)
    }

    /// All headers, in the order and case received.
    pub fn headers(&self) -> Result<Vec<HeaderEntry>, Error> {
        host::headers()
    }

    /// [`headers`](Self::headers) without a change of any byte.
    pub fn headers_bytes(&self) -> Result<Vec<HeaderEntryBytes>, Error> {
        host::headers_bytes()
    }

    /// Replaces every value of a header by this one. [`Error::Invalid`]
    /// unless the name is an HTTP token (RFC 9110 section 5.6.2) and the
    /// value free of CR, LF and NUL.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::set_header(name, value)
    }

    /// [`set_header`](Self::set_header) for any bytes.
    pub fn set_header_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        host::set_header_bytes(name, value)
    }

    /// Adds a value and keeps those that are there. [`Error::Invalid`] as in
    /// [`set_header`](Self::set_header).
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::add_header(name, value)
    }

    /// [`add_header`](Self::add_header) for any bytes.
    pub fn add_header_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        host::add_header_bytes(name, value)
    }

    /// Removes every value of a header; nothing happens when there is none.
    pub fn remove_header(&mut self, name: &str) -> Result<(), Error> {
        host::remove_header(name)
    }

    // === Body ===

    /// The whole body; `None` when the gateway has none. It is asked for once
    /// per call (APISIX 3.0 and later; [`Error::Gateway`] when it does not
    /// answer).
    pub fn body(&self) -> Result<Option<Vec<u8>>, Error> {
        host::body()
    }

    /// Replaces the body. An empty body cannot be expressed
    /// ([`Error::Invalid`]).
    pub fn set_body(&mut self, body: &[u8]) -> Result<(), Error> {
        host::set_body(body)
    }
}
