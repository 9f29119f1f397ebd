//! The code of an error (RPC type 0): what the runner writes is what the
//! gateway's side reads.
//!
//! Must not know when a code is sent.

use bytes::Bytes;
use protocol::FrameBuilder;
use protocol::err_resp::{self, Code};
use protocol::frame::HEADER_LEN;
use protocol::gateway_side::decode_error_code;

use super::Depth;

/// A payload.
pub fn attack(data: &[u8]) -> Depth {
    let Ok(number) = decode_error_code(Bytes::copy_from_slice(data)) else {
        return Depth::Refused;
    };
    if let Some(code) = Code::from_byte(number) {
        let mut builder = FrameBuilder::new();
        let frame = err_resp::encode(&mut builder, code).expect("it has a fixed size");
        assert_eq!(frame[0], 0, "the gateway reads it from no other frame");
        let payload = Bytes::copy_from_slice(&frame[HEADER_LEN..]);
        assert_eq!(decode_error_code(payload), Ok(number));
    }
    Depth::Read
}
