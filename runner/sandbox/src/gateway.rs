//! The port through which a filter's question reaches the gateway. The
//! connection implements it; this room does not know how.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

/// The variable that tells which form of a path the gateway sent: set, and not
/// empty, where it rewrote the target before the call, and then the path is
/// percent-encoded (`apisix/plugins/ext-plugin/init.lua`).
pub const UPSTREAM_URI: Question<'static> = Question::Variable(b"upstream_uri");

/// One question about the call in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question<'a> {
    /// A gateway variable by name.
    Variable(&'a [u8]),
    /// The whole request body.
    RequestBody,
    /// The whole response body; only in the response phase, and only once.
    ResponseBody,
}

/// What the gateway says: `None` when it has no such thing, which differs
/// from an empty answer.
pub type Answer = Option<Bytes>;

/// Why a question got no answer. Whatever it is, the call cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The gateway closed the connection in the middle of the call.
    #[error("the gateway closed the connection before it answered")]
    Gone,
    /// The gateway sent something that is not an answer.
    #[error("the gateway's answer cannot be used: {0}")]
    WrongAnswer(String),
    /// The question cannot be put into a frame.
    #[error("the question cannot be asked: {0}")]
    NotAskable(String),
    /// The gateway did not answer within the time a call may wait for it.
    #[error("the gateway did not answer within {0} ms")]
    TooLate(u128),
}

/// Asks the gateway about the call in progress.
pub trait Gateway: Send + Sync {
    /// Asks questions and waits for their answers, in order. The caller limits
    /// the time.
    ///
    /// # Errors
    /// Any [`GatewayError`]; the implementation remembers that the
    /// conversation is broken, whether or not the guest looks at the error.
    fn ask<'a>(
        &'a self,
        questions: &'a [Question<'a>],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>>;
}
