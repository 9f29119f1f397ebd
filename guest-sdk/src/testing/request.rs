//! The request that the fake host shows, and the same after the filter.

use super::headers;
use super::surroundings::{Surroundings, surroundings_setters};
use crate::{ArgEntryBytes, Error, HeaderEntryBytes};

/// A request to try a filter on, built step by step.
#[derive(Clone, Debug)]
pub struct FakeRequest {
    pub(super) sent: SentRequest,
    pub(super) source_address: String,
    pub(super) body_error: Option<Error>,
    pub(super) around: Surroundings,
}

impl FakeRequest {
    /// A request from 127.0.0.1 without headers, arguments and body. The path
    /// is the decoded one, without a query.
    pub fn new(method: &str, path: impl AsRef<[u8]>) -> Self {
        FakeRequest {
            sent: SentRequest {
                method: method.to_owned(),
                path: path.as_ref().to_vec(),
                ..SentRequest::default()
            },
            source_address: String::from("127.0.0.1"),
            body_error: None,
            around: Surroundings::default(),
        }
    }

    /// Adds a header; the same name again is a second value. As with the
    /// gateway, the filter sees the name in lower case.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref().to_ascii_lowercase();
        headers::add(&mut self.sent.headers, &name, value.as_ref());
        self
    }

    /// Adds a query argument, decoded: `?name=value`.
    #[must_use]
    pub fn arg(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.sent.args.push(ArgEntryBytes {
            name: name.as_ref().to_vec(),
            value: Some(value.as_ref().to_vec()),
        });
        self
    }

    /// Adds a value-less query argument: `?name`.
    #[must_use]
    pub fn arg_without_value(mut self, name: impl AsRef<[u8]>) -> Self {
        self.sent.args.push(ArgEntryBytes {
            name: name.as_ref().to_vec(),
            value: None,
        });
        self
    }

    /// Gives the request a body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.sent.body = Some(body.as_ref().to_vec());
        self
    }

    /// The client's address as text; may be empty.
    #[must_use]
    pub fn source_address(mut self, address: &str) -> Self {
        address.clone_into(&mut self.source_address);
        self
    }

    surroundings_setters!();
}

/// A request as it goes on, with the edits of the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentRequest {
    /// The method.
    pub method: String,
    /// The path, decoded and without the query.
    pub path: Vec<u8>,
    /// All headers; those the filter wrote have the case it gave them.
    pub headers: Vec<HeaderEntryBytes>,
    /// All query arguments, decoded.
    pub args: Vec<ArgEntryBytes>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// What the response to this request will carry besides its own headers.
    pub response_headers: Vec<HeaderEntryBytes>,
}

impl SentRequest {
    /// The path as text.
    pub fn path(&self) -> String {
        lossy(&self.path)
    }

    /// The first value of a header as text; the name matches in any case.
    pub fn header(&self, name: &str) -> Option<String> {
        headers::first(&self.headers, name).map(lossy)
    }

    /// Every value of a header as text.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        headers::values(&self.headers, name).map(lossy).collect()
    }

    /// The query as text, not encoded: `a=1&flag`.
    pub fn query(&self) -> String {
        let args = self.args.iter().map(|arg| match &arg.value {
            Some(value) => format!("{}={}", lossy(&arg.name), lossy(value)),
            None => lossy(&arg.name),
        });
        args.collect::<Vec<_>>().join("&")
    }

    /// Every value that the response will carry for a header, as text.
    pub fn response_header_values(&self, name: &str) -> Vec<String> {
        headers::values(&self.response_headers, name)
            .map(lossy)
            .collect()
    }
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
