//! Each way in which a call can fail, by the word that reports use.
//!
//! Must not know what is done about it.

/// Why a call was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Failure {
    /// Type 0.
    #[error("error replies BAD_REQUEST")]
    BadRequest,
    /// Type 0.
    #[error("error replies SERVICE_UNAVAILABLE")]
    ServiceUnavailable,
    /// Type 0, again after the configuration was prepared anew.
    #[error("error replies CONF_TOKEN_NOT_FOUND, also to new tokens")]
    ConfTokenNotFound,
    /// Type 0.
    #[error("error replies with a code that the protocol does not have")]
    UnknownCode,
    /// A frame that does not answer the call.
    #[error("replies of another type than the call")]
    UnexpectedType,
    /// No frame of the protocol.
    #[error("replies that cannot be read")]
    Malformed,
    /// The reply to another call.
    #[error("replies with the number of another call")]
    WrongId,
    /// The same request was answered otherwise before.
    #[error("replies with another action than the first")]
    OtherAction,
    /// More than one reply.
    #[error("bytes behind the reply")]
    Surplus,
    /// Between two frames.
    #[error("connections closed instead of a reply")]
    Closed,
    /// Inside a frame.
    #[error("connections closed inside a reply")]
    Torn,
    /// The socket failed.
    #[error("failures of the socket")]
    Socket,
    /// Nobody accepts.
    #[error("connections refused")]
    Refused,
    /// No reply at all.
    #[error("calls without an answer")]
    Unanswered,
}

impl Failure {
    /// Its key in JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ServiceUnavailable => "service_unavailable",
            Self::ConfTokenNotFound => "conf_token_not_found",
            Self::UnknownCode => "unknown_code",
            Self::UnexpectedType => "unexpected_type",
            Self::Malformed => "malformed",
            Self::WrongId => "wrong_id",
            Self::OtherAction => "other_action",
            Self::Surplus => "surplus",
            Self::Closed => "closed",
            Self::Torn => "torn",
            Self::Socket => "socket",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }

    /// Whether the connection is still in step: the next call may use it.
    pub(super) fn leaves_connection(self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::ServiceUnavailable
                | Self::ConfTokenNotFound
                | Self::UnknownCode
                | Self::OtherAction
        )
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::Closed,
            _ => Self::Socket,
        }
    }
}
