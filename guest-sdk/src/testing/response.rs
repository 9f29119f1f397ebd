//! The response that the fake host shows, and the same after the filter.

use super::headers;
use super::request::lossy;
use super::surroundings::{Surroundings, surroundings_setters};
use crate::{Error, HeaderEntryBytes};

/// An upstream's response to try a filter on, built step by step.
#[derive(Clone, Debug)]
pub struct FakeResponse {
    pub(super) sent: SentResponse,
    pub(super) body_error: Option<Error>,
    pub(super) around: Surroundings,
}

impl FakeResponse {
    /// A response without headers and body.
    pub fn new(status: u16) -> Self {
        FakeResponse {
            sent: SentResponse {
                status,
                ..SentResponse::default()
            },
            body_error: None,
            around: Surroundings::default(),
        }
    }

    /// Adds a header; the same name again is a second value.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        headers::add(&mut self.sent.headers, name.as_ref(), value.as_ref());
        self
    }

    /// Gives the response a body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.sent.body = Some(body.as_ref().to_vec());
        self
    }

    surroundings_setters!();
}

/// A response as it reaches the client, with the edits of the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentResponse {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: Vec<HeaderEntryBytes>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
}

impl SentResponse {
    /// The first value of a header as text; the name matches in any case.
    pub fn header(&self, name: &str) -> Option<String> {
        headers::first(&self.headers, name).map(lossy)
    }

    /// Every value of a header as text.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        headers::values(&self.headers, name).map(lossy).collect()
    }
}
