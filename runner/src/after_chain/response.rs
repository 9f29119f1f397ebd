//! The body that is not there. Where nothing is printed for a response, the
//! gateway goes on to its ordinary proxying and calls the upstream a second
//! time. That happens where the upstream's response has no body to print (204,
//! 304, the answer to a HEAD, an empty chunked one) and our reply has none
//! either; one byte prevents it. nginx drops that byte on the first three.
//!
//! An empty chunked response looks like any other until it is read. Reading
//! every chunked response would send each through the runner and fail those
//! over 16 MiB; so it is read only where a second call could do harm: for
//! methods that are not safe (RFC 9110 section 9.2.1). An empty chunked
//! response to a GET that no filter reads is fetched twice.

use std::time::Duration;

use sandbox::{GatewayError, Question, ResponseCall};

const REQUEST_METHOD: &[u8] = b"request_method";

/// Methods whose repetition changes nothing at the upstream.
const SAFE_METHODS: [&[u8]; 3] = [b"GET", b"OPTIONS", b"TRACE"];

/// What stands in the reply for a body that no filter wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filler {
    /// Nothing: the filters wrote one, or the gateway prints the upstream's.
    Nothing,
    /// One byte, which nginx drops.
    Dropped,
    /// One byte in place of no body, which the client sees. What the headers
    /// say of a body does not hold for it.
    Seen,
}

impl Filler {
    /// The bytes: a line break, which means nothing in any text.
    #[must_use]
    pub fn bytes(self) -> Option<&'static [u8]> {
        match self {
            Filler::Nothing => None,
            Filler::Dropped | Filler::Seen => Some(b"\n"),
        }
    }
}

/// Finds out whether the reply needs a filler.
///
/// # Errors
/// [`GatewayError`] where the gateway had to be asked.
pub async fn complete(call: &mut ResponseCall, time: Duration) -> Result<Filler, GatewayError> {
    if call.edits().body.is_some() {
        return Ok(Filler::Nothing);
    }
    let is_bodiless = |status| matches!(status, 204 | 304);
    let status = call.source().status();
    let status_to_come = call.edits().status.unwrap_or(status);
    if is_bodiless(status) && is_bodiless(status_to_come) {
        return Ok(Filler::Dropped);
    }
    let read = call.known(Question::ResponseBody);
    if read
        .as_ref()
        .is_some_and(|body| body.as_ref().is_some_and(|body| !body.is_empty()))
    {
        return Ok(Filler::Nothing);
    }
    let method = call
        .ask(Question::Variable(REQUEST_METHOD), time)
        .await?
        .unwrap_or_default();
    if &*method == b"HEAD" {
        return Ok(Filler::Dropped);
    }
    if is_bodiless(status) {
        // A filter gave a status with a body to a response without one.
        return Ok(Filler::Seen);
    }
    if !is_chunked(call) || (read.is_none() && SAFE_METHODS.contains(&&*method)) {
        return Ok(Filler::Nothing);
    }
    let body = call.ask(Question::ResponseBody, time).await?;
    match body.is_some_and(|body| !body.is_empty()) {
        true => Ok(Filler::Nothing),
        false => Ok(Filler::Seen),
    }
}

fn is_chunked(call: &ResponseCall) -> bool {
    call.source()
        .headers()
        .any(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"))
}
