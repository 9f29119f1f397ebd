//! RPC type 0: the runner's answer to a call it cannot serve.
//!
//! Must not know why it could not.

use crate::frame_builder::Floor;
use crate::wire::a6::err as wire;
use crate::{EncodeError, FrameBuilder, RpcType};

/// What the gateway is told. It answers the client with 503 in every case,
/// unless the route allows degradation; the first two differ in its log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The frame could not be understood.
    BadRequest = 0,
    /// The runner understood and still cannot serve the call.
    ServiceUnavailable = 1,
    /// The token means nothing (any more). The gateway forgets all its tokens,
    /// prepares again and retries, three times in all: for anything but an
    /// unknown token this code is a burden on every route.
    ConfTokenNotFound = 2,
}

impl Code {
    /// The code a byte stands for; `None` for a number without meaning.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::BadRequest,
            1 => Self::ServiceUnavailable,
            2 => Self::ConfTokenNotFound,
            _ => return None,
        })
    }
}

/// The error frame. It must have type 0: inside a frame of the call's own type
/// the gateway reads an error as "no action" and lets the request pass.
///
/// # Errors
/// None in practice: the message has a fixed size.
pub fn encode(frame: &mut FrameBuilder, code: Code) -> Result<&[u8], EncodeError> {
    frame.begin(Floor::default())?;
    let code = wire::Code(code as u8);
    let reply = wire::Resp::create(frame.tables(), &wire::RespArgs { code });
    frame.finish(RpcType::Error, reply)
}
