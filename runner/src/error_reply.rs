//! The one door from an error to what the gateway reads: always a frame of
//! type 0, because in any other frame the gateway takes an error for "nothing
//! to change" and lets the request pass (`init.lua`). The reason goes to the
//! log; the gateway gets one of three codes.

use protocol::err_resp::{self, Code};
use protocol::{DecodeError, EncodeError, FrameBuilder};

use crate::filter_chain::ChainError;

/// Why a call gets no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not a message this runner takes.
    #[error("cannot answer a frame of type {0}")]
    UnexpectedType(u8),
    /// A message that this version does not serve.
    #[error("{0} is not served by this version of the runner")]
    NotServed(&'static str),
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
            CallError::NotServed(_)
            | CallError::Chain(_)
            | CallError::Unsendable(_)
            | CallError::Panic(_) => Code::ServiceUnavailable,
        }
    }
}

/// Logs the reason and writes the reply.
pub fn reply<'b>(builder: &'b mut FrameBuilder, error: &CallError, id: Option<u32>) -> &'b [u8] {
    match error {
        // Ordinary after a restart of the runner.
        CallError::UnknownToken(_) => tracing::info!(request = id, "{error}"),
        CallError::Panic(_) => tracing::error!(request = id, "{error}"),
        _ => tracing::warn!(request = id, "call failed: {error}"),
    }
    encode(builder, error.code())
}

/// The reply to something that is no frame.
pub fn bad_request(builder: &mut FrameBuilder) -> &[u8] {
    encode(builder, Code::BadRequest)
}

fn encode(builder: &mut FrameBuilder, code: Code) -> &[u8] {
    // A dozen bytes always fit; an empty reply would close the connection.
    err_resp::encode(builder, code).unwrap_or_default()
}
