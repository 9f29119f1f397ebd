//! Where a frame begins and ends: the header, the size rule, and cutting
//! frames out of a read buffer.
//!
//! Must not know what a payload means, nor where the bytes come from.

use bytes::{Buf, Bytes, BytesMut};

use crate::EncodeError;

/// Bytes in front of every payload: one of type, three of length.
pub const HEADER_LEN: usize = 4;

/// Most bytes a payload may have: what 24 bits can say. The gateway refuses to
/// send more (`MAX_DATA_SIZE` in init.lua) and cannot read more.
pub const MAX_PAYLOAD: usize = (1 << 24) - 1;

/// Room offered to the next read while little has arrived yet: a whole call
/// with a hundred headers usually fits.
const FIRST_READ: usize = 16 * 1024;

/// What a frame is about, as in `apisix/constants.lua`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcType {
    /// The runner cannot serve the call; carries a code.
    Error = 0,
    /// Plugins and their configuration in exchange for a token.
    PrepareConf = 1,
    /// A request on its way to the upstream.
    HttpReqCall = 2,
    /// A question of the runner inside an open call.
    ExtraInfo = 3,
    /// A response on its way to the client.
    HttpRespCall = 4,
}

impl RpcType {
    /// The type a header byte stands for; `None` for a number without meaning.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Error,
            1 => Self::PrepareConf,
            2 => Self::HttpReqCall,
            3 => Self::ExtraInfo,
            4 => Self::HttpRespCall,
            _ => return None,
        })
    }

    /// The byte that opens a frame of this type.
    #[must_use]
    pub fn byte(self) -> u8 {
        self as u8
    }
}

/// One frame as it was received, its payload not yet looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The header's first byte. Any number: the stream stays in step after an
    /// unknown type, so that it can be answered with an error and forgotten.
    pub rpc_type: u8,
    /// 1 to [`MAX_PAYLOAD`] bytes, shared with the read buffer, not copied.
    pub payload: Bytes,
}

impl Frame {
    /// The RPC type, if the header's first byte names one.
    #[must_use]
    pub fn known_type(&self) -> Option<RpcType> {
        RpcType::from_byte(self.rpc_type)
    }
}

/// Why a stream of bytes is not a stream of frames. Nothing behind such a
/// header can be trusted: the connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A header with length 0. No message is empty, and the gateway itself
    /// fails on such a frame.
    #[error("a frame of type {rpc_type} announces an empty payload")]
    Empty {
        /// The header's first byte.
        rpc_type: u8,
    },
}

/// Takes the next frame off the front of `buffer`. `None`: not all of it is
/// there yet, and `buffer` is unchanged.
///
/// # Errors
/// [`FrameError`] as soon as the header alone shows that no frame can follow.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(header) = Header::peek(buffer) else {
        return Ok(None);
    };
    if header.payload_len == 0 {
        return Err(FrameError::Empty {
            rpc_type: header.rpc_type,
        });
    }
    if buffer.len() < HEADER_LEN + header.payload_len {
        return Ok(None);
    }
    buffer.advance(HEADER_LEN);
    let payload = buffer.split_to(header.payload_len).freeze();
    Ok(Some(Frame {
        rpc_type: header.rpc_type,
        payload,
    }))
}

/// How many bytes `buffered` lacks to hold one whole frame: the rest of the
/// header while that is torn, 0 once a frame is complete. Up to 16 MiB, and
/// only the sender's word: do not allocate it, see [`next_read`].
#[must_use]
pub fn missing(buffered: &[u8]) -> usize {
    match Header::peek(buffered) {
        Some(header) => (HEADER_LEN + header.payload_len).saturating_sub(buffered.len()),
        None => HEADER_LEN - buffered.len(),
    }
}

/// How many bytes to reserve for the next read. Never more than has already
/// arrived (or 16 KiB), so four bytes cannot make the runner allocate 16 MiB;
/// it doubles from read to read, so a large frame still takes few of them.
#[must_use]
pub fn next_read(buffered: &[u8]) -> usize {
    missing(buffered).clamp(FIRST_READ, buffered.len().max(FIRST_READ))
}

/// The header for a payload of `payload_len` bytes.
///
/// # Errors
/// [`EncodeError::TooLarge`] if 24 bits cannot say the length.
pub(crate) fn header(
    rpc_type: RpcType,
    payload_len: usize,
) -> Result<[u8; HEADER_LEN], EncodeError> {
    if payload_len > MAX_PAYLOAD {
        return Err(EncodeError::TooLarge {
            at_least: payload_len,
        });
    }
    // The guard above leaves the top one of the four bytes free for the type.
    let mut header = (payload_len as u32).to_be_bytes();
    header[0] = rpc_type.byte();
    Ok(header)
}

struct Header {
    rpc_type: u8,
    payload_len: usize,
}

impl Header {
    fn peek(buffered: &[u8]) -> Option<Self> {
        let [rpc_type, length @ ..] = *buffered.first_chunk::<HEADER_LEN>()?;
        let [high, middle, low] = length;
        let payload_len = u32::from_be_bytes([0, high, middle, low]) as usize;
        Some(Self {
            rpc_type,
            payload_len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_every_allowed_length_and_no_other() {
        assert_eq!(header(RpcType::HttpReqCall, 1), Ok([2, 0, 0, 1]));
        assert_eq!(
            header(RpcType::HttpRespCall, MAX_PAYLOAD),
            Ok([4, 0xff, 0xff, 0xff])
        );
        let over = EncodeError::TooLarge {
            at_least: MAX_PAYLOAD + 1,
        };
        assert_eq!(header(RpcType::HttpReqCall, MAX_PAYLOAD + 1), Err(over));
    }
}
