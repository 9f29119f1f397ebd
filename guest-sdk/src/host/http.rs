//! Requests of the filter's own to other servers (`wit/http.wit`), such as one
//! that knows who may pass.
//!
//! The operator grants them with the addresses that may be reached; a filter
//! that calls anything here and was granted nothing is not loaded. Waiting is
//! not charged to the filter's own time. Works in `on_request` and
//! `on_response`.

use crate::HeaderEntry;
use crate::imports::http as host;

/// Why there is no response. The text is meant for the filter's author and the
/// operator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The operator did not grant this address, method or port.
    Denied(String),
    /// The request cannot be sent as HTTP. Nothing was sent.
    Invalid(String),
    /// A limit of the runner was reached: requests or waiting of this call, or
    /// the bytes of a body.
    Limit(String),
    /// There is no call to which the request could belong.
    WrongPhase(String),
    /// The name of the host is not known.
    Unresolvable(String),
    /// No connection could be made, or it was lost.
    Unreachable(String),
    /// No whole response within the time.
    Timeout(String),
    /// What came is no HTTP, or the certificate is not one to be trusted.
    Protocol(String),
    /// Anything that a later runner cannot say with the cases above.
    Other(String),
}

crate::error_kinds::error_kinds! {
    Denied = "denied",
    Invalid = "invalid",
    Limit = "limit",
    WrongPhase = "wrong-phase",
    Unresolvable = "unresolvable",
    Unreachable = "unreachable",
    Timeout = "timeout",
    Protocol = "protocol",
    Other = "other",
}

/// A request to another server, built step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// In upper case.
    pub method: String,
    /// The whole of it: `https://auth.example/check?user=7`.
    pub url: String,
    /// Sent in this order. `host` and what says where the message ends are
    /// written by the runner.
    pub headers: Vec<HeaderEntry>,
    /// `None` for a request without one.
    pub body: Option<Vec<u8>>,
    /// How long to wait for the whole response, in milliseconds, at least 1.
    /// Can only shorten what the operator allows.
    pub timeout_ms: Option<u32>,
}

impl Outgoing {
    /// A request without headers and body.
    pub fn new(method: &str, url: &str) -> Self {
        Outgoing {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(HeaderEntry {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Waits no longer than so many milliseconds for the whole response.
    #[must_use]
    pub fn timeout_ms(mut self, timeout: u32) -> Self {
        self.timeout_ms = Some(timeout);
        self
    }

    /// Sends it and waits for the whole response.
    pub fn send(self) -> Result<Answer, Error> {
        let headers: Vec<&HeaderEntry> = self.headers.iter().collect();
        host::send(host::Request {
            method: &self.method,
            url: &self.url,
            headers: &headers,
            body: self.body.as_deref(),
            timeout_ms: self.timeout_ms,
        })
    }
}

/// What came back, whatever its status: redirects are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// In the order received; bytes that are not UTF-8 show as U+FFFD.
    pub headers: Vec<HeaderEntry>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header; the name matches in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.as_str())
    }
}
