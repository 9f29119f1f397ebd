//! The reader of what a runner sends, and the load driver's shortcut past it:
//! whatever bytes they get, and what they read can be written again.
//!
//! Must not know what the gateway does with a reply.

use bytes::Bytes;
use protocol::gateway_side::{RepeatedReply, Reply, decode_reply};
use protocol::{Frame, FrameBuilder};

use super::{Depth, written};

/// A byte of type and a payload.
pub fn attack(data: &[u8]) -> Depth {
    let Some((rpc_type, payload)) = data.split_first() else {
        return Depth::Refused;
    };
    if let Ok(known) = RepeatedReply::new(payload) {
        assert!(!known.is_repeated_by(&payload[1..], 0), "one byte less");
    }
    let frame = Frame {
        rpc_type: *rpc_type,
        payload: Bytes::copy_from_slice(payload),
    };
    match decode_reply(frame) {
        Ok(Reply::Error(number)) if number > 2 => Depth::Read,
        Ok(reply) => {
            written::check(&mut FrameBuilder::new(), &reply);
            Depth::Read
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Depth::Refused
        }
    }
}
