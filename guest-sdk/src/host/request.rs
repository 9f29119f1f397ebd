//! The request of the current call (`wit/request.wit`).

use crate::imports::request as host;
use crate::{ArgEntry, ArgEntryBytes, Error, HeaderEntry, HeaderEntryBytes};

/// The request of the current call, as the filters before this one left it.
///
/// A handle without contents: every method asks the host, so keep what you
/// need twice. Text methods show bytes that are not UTF-8 as U+FFFD; their
/// twins ending in `_bytes` show them as they are. What a filter does not
/// touch keeps its original bytes.
///
/// # Errors
///
/// Every method returns [`Error::WrongPhase`] outside
/// [`on_request`](crate::RequestFilter::on_request), and may return
/// [`Error::Unsupported`] or [`Error::Denied`]. Those that a method adds are
/// named there. An edit that returns an error changed nothing.
#[derive(Debug)]
pub struct Request(());

impl Request {
    pub(crate) fn current() -> Self {
        Request(())
    }

    /// The number the gateway gave this call, unique among its calls in
    /// flight. 0 is an ordinary number; another phase of the same client
    /// request has another.
    pub fn id(&self) -> Result<u32, Error> {
        host::id()
    }

    /// The method in upper case, such as `GET`.
    pub fn method(&self) -> Result<String, Error> {
        host::method()
    }

    /// The client's address as text: `127.0.0.1`, `2001:db8::1`. Empty when
    /// the gateway did not send one.
    pub fn source_address(&self) -> Result<String, Error> {
        host::source_address()
    }

    // === Path ===

    /// The path, always percent-decoded and without the query, such as `/a b`.
    /// May return [`Error::Gateway`]: for a path with `%` the host has to ask
    /// whether it was decoded.
    pub fn path(&self) -> Result<String, Error> {
        host::path()
    }

    /// [`path`](Self::path) without a change of any byte.
    pub fn path_bytes(&self) -> Result<Vec<u8>, Error> {
        host::path_bytes()
    }

    /// Replaces the path and keeps the query. Give it decoded: the gateway
    /// percent-encodes it, `?` and `%` included. [`Error::Invalid`] unless it
    /// starts with `/` and has no NUL byte.
    pub fn set_path(&mut self, path: &str) -> Result<(), Error> {
        host::set_path(path)
    }

    /// [`set_path`](Self::set_path) for any bytes.
    pub fn set_path_bytes(&mut self, path: &[u8]) -> Result<(), Error> {
        host::set_path_bytes(path)
    }

    // === Headers ===

    /// The first value of a header; the name matches in any case. `None` when
    /// there is no such header. The gateway sends at most the first 100
    /// headers of a request.
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

    /// All headers, names in lower case. The order of different names means
    /// nothing.
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

    /// Adds a header that is not there yet. [`Error::Invalid`] for one that
    /// is, because the gateway's protocol cannot add a second value to a
    /// request header, and as in [`set_header`](Self::set_header).
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::add_header(name, value)
    }

    /// [`add_header`](Self::add_header) for any bytes.
    pub fn add_header_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        host::add_header_bytes(name, value)
    }

    /// Removes every value of a header; nothing happens when there is none.
    /// [`Error::Invalid`] for `host`: the gateway would forward the request
    /// without an upstream host.
    pub fn remove_header(&mut self, name: &str) -> Result<(), Error> {
        host::remove_header(name)
    }

    // === Query arguments ===

    /// The first entry of a query argument; names match exactly. `None` when
    /// there is no such argument; an entry whose value is `None` is
    /// value-less (`?name`).
    pub fn arg(&self, name: &str) -> Result<Option<ArgEntry>, Error> {
        host::arg(name)
    }

    /// [`arg`](Self::arg) without a change of any byte.
    pub fn arg_bytes(&self, name: &[u8]) -> Result<Option<ArgEntryBytes>, Error> {
        host::arg_bytes(name)
    }

    /// Every value of a query argument in the order received. `None` inside
    /// is a value-less occurrence.
    pub fn arg_values(&self, name: &str) -> Result<Vec<Option<String>>, Error> {
        host::arg_values(name)
    }

    /// [`arg_values`](Self::arg_values) without a change of any byte.
    pub fn arg_values_bytes(&self, name: &[u8]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        host::arg_values_bytes(name)
    }

    /// All query arguments, percent-decoded. The order of different names
    /// means nothing.
    pub fn args(&self) -> Result<Vec<ArgEntry>, Error> {
        host::args()
    }

    /// [`args`](Self::args) without a change of any byte.
    pub fn args_bytes(&self) -> Result<Vec<ArgEntryBytes>, Error> {
        host::args_bytes()
    }

    /// Replaces every value of a query argument by this one. A value-less
    /// argument cannot be written: an empty value arrives as `name=`.
    /// [`Error::Invalid`] for an empty name.
    pub fn set_arg(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::set_arg(name, value)
    }

    /// [`set_arg`](Self::set_arg) for any bytes.
    pub fn set_arg_bytes(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        host::set_arg_bytes(name, value)
    }

    /// Adds a value to a query argument and keeps those it has.
    /// [`Error::Invalid`] for an empty name, and where one of those is
    /// value-less, because it could not be kept as it is; use
    /// [`set_arg`](Self::set_arg).
    pub fn add_arg(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::add_arg(name, value)
    }

    /// [`add_arg`](Self::add_arg) for any bytes.
    pub fn add_arg_bytes(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        host::add_arg_bytes(name, value)
    }

    /// Removes every value of a query argument; nothing happens when there is
    /// none.
    pub fn remove_arg(&mut self, name: &str) -> Result<(), Error> {
        host::remove_arg(name)
    }

    /// [`remove_arg`](Self::remove_arg) for any bytes.
    pub fn remove_arg_bytes(&mut self, name: &[u8]) -> Result<(), Error> {
        host::remove_arg_bytes(name)
    }

    // === Body ===

    /// The whole body; `None` when the request has none. The gateway is asked
    /// once per call and waits for the client to send it all; over 16 MiB it
    /// cannot be had ([`Error::Gateway`]).
    pub fn body(&self) -> Result<Option<Vec<u8>>, Error> {
        host::body()
    }

    /// Replaces the body (APISIX 3.6 and later). An empty body cannot be
    /// expressed ([`Error::Invalid`]).
    pub fn set_body(&mut self, body: &[u8]) -> Result<(), Error> {
        host::set_body(body)
    }

    // === Headers of the response to this request ===

    /// Sets a header of the response while the request goes on to the
    /// upstream (APISIX 2.13 and later). A stop does not carry it.
    /// [`Error::Invalid`] for the headers that the gateway ignores here:
    /// connection, content-length, transfer-encoding, location, server,
    /// www-authenticate, content-encoding, content-type, content-location
    /// and content-language.
    pub fn set_response_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::set_response_header(name, value)
    }

    /// [`set_response_header`](Self::set_response_header) for any bytes.
    pub fn set_response_header_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        host::set_response_header_bytes(name, value)
    }

    /// [`set_response_header`](Self::set_response_header), keeping the values
    /// that filters of this call set before.
    pub fn add_response_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        host::add_response_header(name, value)
    }

    /// [`add_response_header`](Self::add_response_header) for any bytes.
    pub fn add_response_header_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        host::add_response_header_bytes(name, value)
    }
}
