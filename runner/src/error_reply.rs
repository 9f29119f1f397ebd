//! The one door from an error to what the gateway reads. The reason goes to the
//! log; neither gateway nor client gets to see it.
//!
//! For a request it is a frame of type 0 with one of three codes: in any other
//! frame the gateway takes an error for "nothing to change" and lets the
//! request pass (`init.lua`). For a response it is a response: on a frame of
//! type 0 the gateway would send status 503 with the upstream's body, which
//! the filters were there to keep back.

use std::time::Duration;

use protocol::err_resp::{self, Code};
use protocol::http_resp_call::{self, Edits};
use protocol::{DecodeError, EncodeError, Entry, FrameBuilder, RpcType};
use sandbox::GatewayError;

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
    fn code(&self) -> Code {
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

/// What a client gets for a response that the filters could not pass.
const WITHHELD: &[u8] = b"503 Service Unavailable\n";

/// Logs the reason and writes the reply. `phase` is the type of the frame that
/// failed.
pub fn reply<'b>(
    builder: &'b mut FrameBuilder,
    error: &CallError,
    phase: Option<RpcType>,
    id: Option<u32>,
) -> &'b [u8] {
    match error {
        // Ordinary after a restart of the runner.
        CallError::UnknownToken(_) => tracing::info!(request = id, "{error}"),
        CallError::Panic(_) => tracing::error!(request = id, "{error}"),
        _ => tracing::warn!(request = id, "call failed: {error}"),
    }
    match (phase, error.code()) {
        (Some(RpcType::HttpRespCall), Code::ServiceUnavailable) => {
            withheld(builder, id.unwrap_or_default())
        }
        (_, code) => encode(builder, code),
    }
}

/// A response of our own, with a body: without one the gateway would call the
/// upstream again.
fn withheld(builder: &mut FrameBuilder, id: u32) -> &[u8] {
    let headers = [Entry::new("Content-Type", "text/plain; charset=utf-8")];
    let edits = Edits {
        status: Some(503),
        headers: &headers,
        body: Some(WITHHELD),
    };
    // A hundred bytes always fit.
    http_resp_call::encode_reply(builder, id, &edits).unwrap_or_default()
}

/// The reply to something that is no frame.
pub fn bad_request(builder: &mut FrameBuilder) -> &[u8] {
    encode(builder, Code::BadRequest)
}

fn encode(builder: &mut FrameBuilder, code: Code) -> &[u8] {
    // A dozen bytes always fit.
    err_resp::encode(builder, code).unwrap_or_default()
}
