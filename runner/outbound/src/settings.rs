//! How much a client may do, and for how long. Must not know where the numbers
//! come from.

use std::time::Duration;

use crate::rule::AllowRule;

/// The smallest bound of an answer's head, in bytes: what servers send anyway
/// must fit.
pub const LEAST_RESPONSE_HEADERS: usize = 8 * 1024;

/// What one client may do. One client is one tenant's: nothing of it is shared
/// but the resolver.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is allowed; without one, nothing.
    pub rules: Vec<AllowRule>,
    /// For a whole request: waiting for a place, names, connecting, sending, and
    /// the answer to its last byte.
    pub time: Duration,
    /// For connecting to all addresses of a host, TLS included.
    pub connect_time: Duration,
    /// Bytes of a request's body.
    pub request_body: usize,
    /// Bytes of an answer's body.
    pub response_body: usize,
    /// Bytes of an answer's head, and of what may follow its body; not under
    /// [`LEAST_RESPONSE_HEADERS`].
    pub response_headers: usize,
    /// Requests that are under way at a time. As many connections are kept open
    /// for a while when they are not used.
    pub concurrent: u32,
    /// Requests that wait for a place among those; one more is told at once that
    /// there is none.
    pub waiting: u32,
}

impl Settings {
    /// # Errors
    /// A sentence on a number with which no request could ever be answered.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.time.is_zero() || self.connect_time.is_zero() {
            return Err("time and connect_time of outbound requests must not be 0".into());
        }
        if self.concurrent == 0 {
            return Err("concurrent outbound requests must not be 0".into());
        }
        if self.response_headers < LEAST_RESPONSE_HEADERS {
            return Err(format!(
                "the headers of outbound responses need {LEAST_RESPONSE_HEADERS} bytes or more"
            ));
        }
        Ok(())
    }
}
