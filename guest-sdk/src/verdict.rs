//! What a request filter decides. Mirrors `request-handler` in
//! `wit/handlers.wit`, because the generated bindings take these types apart.

use crate::HeaderEntry;

/// What happens to the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on with the edits made, to the next filter and then the
    /// upstream.
    Next,
    /// The client gets this response; no later filter and no upstream sees
    /// the request.
    Stop(StopResponse),
}

/// A response from the filter itself.
///
/// ```
/// use guest_sdk::{StopResponse, Verdict};
///
/// let verdict: Verdict = StopResponse::new(403)
///     .header("content-type", "text/plain")
///     .body("not today")
///     .into();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopResponse {
    /// 200 to 599; anything else is a failure of the filter.
    pub status: u16,
    /// Sent in this order; a name that appears twice is sent twice.
    pub headers: Vec<HeaderEntry>,
    /// May be empty. The gateway renders its own page for an empty body with
    /// a status of 300 or more.
    pub body: Vec<u8>,
}

impl StopResponse {
    /// A response without headers and body. The status must be 200 to 599;
    /// the runner treats anything else as a failure of the filter.
    pub fn new(status: u16) -> Self {
        StopResponse {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header after those that are there.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(HeaderEntry {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl From<StopResponse> for Verdict {
    fn from(response: StopResponse) -> Self {
        Verdict::Stop(response)
    }
}
