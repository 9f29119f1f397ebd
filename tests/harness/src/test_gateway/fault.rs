//! What a runner can do wrong in front of the gateway.
//!
//! Must not know what the client sees then.

use std::io;

use protocol::FrameError;
use protocol::gateway_side::ReplyError;

/// Something the gateway would have logged. A call may meet several: every
/// refused try is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no runner behind the socket.
    #[error("the gateway cannot connect: {0}")]
    Connect(io::ErrorKind),
    /// The connection failed in another way than by being closed.
    #[error("the connection failed: {0}")]
    Connection(io::ErrorKind),
    /// The runner closed the connection inside a call.
    #[error("the runner closed the connection inside a call")]
    Closed,
    /// The runner took longer than the gateway waits.
    #[error("the runner did not answer in time")]
    TimedOut,
    /// A frame of type 0: the runner's right, and no violation.
    #[error("the runner refused the call with code {0}")]
    Refused(u8),
    /// A reply of another type than the call.
    #[error("the runner answered a call of type {call} with type {reply}")]
    UnexpectedType {
        /// The call's.
        call: u8,
        /// The reply's.
        reply: u8,
    },
    /// A header that announces nothing.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A payload that does not follow the schema.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// An error in a frame of the call's own type, which the gateway takes for
    /// "no action".
    #[error("the runner put error code {0} into a reply")]
    ErrorInsideReply(u8),
    /// What the gateway has to say does not fit into a frame: mostly a body
    /// that the runner asked for.
    #[error("the gateway's message is too large for a frame")]
    TooLarge,
    /// Something follows the final reply. The gateway drops the connection.
    #[error("the runner sent {0} bytes behind its reply")]
    UnreadBytes(usize),
    /// The client waits for bytes that do not come, or gets too many.
    #[error("the response announces {announced} bytes and has {sent}")]
    BrokenLength {
        /// What `content-length` says.
        announced: usize,
        /// What the body has.
        sent: usize,
    },
}

impl Fault {
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => Self::Closed,
            kind => Self::Connection(kind),
        }
    }

    /// The runner does not know the token: the gateway prepares again.
    pub(super) fn asks_for_retry(&self) -> bool {
        *self == Self::Refused(protocol::err_resp::Code::ConfTokenNotFound as u8)
    }

    /// The gateway's Lua code breaks on it, instead of returning an error.
    pub(super) fn breaks_the_gateway(&self) -> bool {
        match self {
            Self::Frame(FrameError::Empty { rpc_type }) => *rpc_type <= 2,
            Self::Reply(ReplyError::Payload(_) | ReplyError::NamelessEntry) => true,
            _ => false,
        }
    }

    /// The gateway reads it as "nothing to do".
    pub(super) fn passes_unfiltered(&self) -> bool {
        match self {
            Self::ErrorInsideReply(_) => true,
            Self::Reply(ReplyError::UnknownChoice { union, .. }) => *union == "Action",
            _ => false,
        }
    }
}
