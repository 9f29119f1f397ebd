//! The one door from an error to what the gateway reads. The reason goes to the
//! log; neither gateway nor client gets to see it.
//!
//! For a request it is a frame of type 0 with one of three codes: in any other
//! frame the gateway takes an error for "nothing to change" and lets the
//! request pass (`init.lua`); or, where the operator chose a status, a Stop with
//! it. For a response it is a response: on a frame of type 0 the gateway would
//! send status 503 with the upstream's body, which the filters were there to
//! keep back.

use std::time::Duration;

use hyper::StatusCode;
use protocol::err_resp::{self, Code};
use protocol::http_req_call::{self, Action as HttpAction, Stop};
use protocol::http_resp_call::{self, Edits};
use protocol::{DecodeError, EncodeError, Entry, FrameBuilder, RpcType};
use sandbox::GatewayError;

use crate::failure_policy::Action;
use crate::filter_chain::ChainError;

/// Why a call gets no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not a message this runner takes.
    #[error("cannot answer a frame of type {0}")]
    UnexpectedType(u8),
    /// The message cannot be read.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The message can be read and makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// No configuration goes by this token. The one error that the gateway
    /// repairs itself: it throws all its tokens away and prepares anew.
    #[error("conf token {0} is unknown")]
    UnknownToken(u32),
    /// A filter of the chain failed or is missing.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The runner had to ask, and got no answer.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The gateway's protocol has no words for the result.
    #[error(
        "a change of the arguments alone cannot be sent after the gateway rewrote the path to \
         {0:?}, which has an encoded slash; set the path as well"
    )]
    Inexpressible(String),
    /// The gateway waits no longer.
    #[error("the call took too long: the gateway was left without a word for {} s", .0.as_secs())]
    TooLong(Duration),
    /// The runner ends.
    #[error("the runner is stopping and the call was not done in time")]
    Stopping,
    /// The result cannot be sent.
    #[error("the reply cannot be sent: {0}")]
    Unsendable(#[from] EncodeError),
    /// A fault of the runner.
    #[error("the runner failed on this call: {0}")]
    Panic(String),
}

impl CallError {
    /// The gateway flushes every token it holds on `ConfTokenNotFound`, so
    /// that code is for unknown tokens only; the other two differ only in the
    /// gateway's log.
    pub(crate) fn code(&self) -> Code {
        match self {
            CallError::UnknownToken(_) => Code::ConfTokenNotFound,
            CallError::UnexpectedType(_) | CallError::Malformed(_) | CallError::Senseless(_) => {
                Code::BadRequest
            }
            CallError::Chain(_)
            | CallError::Gateway(_)
            | CallError::Inexpressible(_)
            | CallError::TooLong(_)
            | CallError::Stopping
            | CallError::Unsendable(_)
            | CallError::Panic(_) => Code::ServiceUnavailable,
        }
    }
}

/// Logs the reason and writes the reply. `phase` is the type of the frame that
/// failed.
pub fn reply<'b>(
    builder: &'b mut FrameBuilder,
    error: &CallError,
    phase: Option<RpcType>,
    id: Option<u32>,
) -> &'b [u8] {
    log(error, id);
    let chosen = match error {
        CallError::Chain(ChainError {
            action: Action::Status(status),
            ..
        }) => Some(*status),
        _ => None,
    };
    let id = id.unwrap_or_default();
    match (phase, error.code(), chosen) {
        (Some(RpcType::HttpReqCall), _, Some(status)) => stopped(builder, id, status),
        (Some(RpcType::HttpRespCall), Code::ServiceUnavailable, chosen) => withheld(
            builder,
            id,
            chosen.unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        ),
        (_, code, _) => encode(builder, code),
    }
}

fn log(error: &CallError, id: Option<u32>) {
    match error {
        // Ordinary after a restart of the runner.
        CallError::UnknownToken(_) => tracing::info!(request = id, "{error}"),
        CallError::Panic(_) => tracing::error!(request = id, "{error}"),
        // The chain has told, since there it may also go on.
        CallError::Chain(_) => {}
        _ => tracing::warn!(request = id, "call failed: {error}"),
    }
}

/// What a client gets to read, and nothing else of the failure.
fn text_of(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}\n", status.as_u16()),
        None => format!("{}\n", status.as_u16()),
    }
}

fn text_headers() -> [Entry<'static>; 1] {
    [Entry::new("Content-Type", "text/plain; charset=utf-8")]
}

/// A request that ends here. With a body, or nginx would send a page of its
/// own.
fn stopped(builder: &mut FrameBuilder, id: u32, status: StatusCode) -> &[u8] {
    let text = text_of(status);
    let stop = Stop {
        status: status.as_u16(),
        headers: &text_headers(),
        body: text.as_bytes(),
    };
    // A hundred bytes always fit.
    http_req_call::encode_reply(builder, id, HttpAction::Stop(&stop)).unwrap_or_default()
}

/// A response of our own, with a body: without one the gateway would call the
/// upstream again.
fn withheld(builder: &mut FrameBuilder, id: u32, status: StatusCode) -> &[u8] {
    let text = text_of(status);
    let edits = Edits {
        status: Some(status.as_u16()),
        headers: &text_headers(),
        body: Some(text.as_bytes()),
    };
    // A hundred bytes always fit.
    http_resp_call::encode_reply(builder, id, &edits).unwrap_or_default()
}

/// The reply to something that is no frame.
pub fn bad_request(builder: &mut FrameBuilder) -> &[u8] {
    encode(builder, Code::BadRequest)
}

/// The reply to whatever would come on a connection that cannot be served.
pub fn unavailable(builder: &mut FrameBuilder) -> &[u8] {
    encode(builder, Code::ServiceUnavailable)
}

fn encode(builder: &mut FrameBuilder, code: Code) -> &[u8] {
    // A dozen bytes always fit.
    err_resp::encode(builder, code).unwrap_or_default()
}
