//! One call sent over and over, and its reply recognised at the price of a
//! comparison: for a load driver, which has to cost less than what it drives.
//!
//! Must not know how often, nor over how many connections.

use super::{HttpReqCall, PatchError};
use crate::frame::HEADER_LEN;
use crate::reader::Table;
use crate::{DecodeError, EncodeError, FrameBuilder};

/// Slots of `HTTPReqCall.Req`.
const ID: usize = 0;
const CONF_TOKEN: usize = 6;
/// A slot of `HTTPReqCall.Resp`.
const REPLY_ID: usize = 0;

/// The frame of a call, encoded once; its number and its token can be changed
/// in place.
#[derive(Debug, Clone)]
pub struct RepeatedCall {
    frame: Vec<u8>,
    id_at: usize,
    token_at: usize,
}

impl RepeatedCall {
    /// Encodes the call, whatever number and token it has.
    ///
    /// # Errors
    /// [`RepeatError::Encode`] if no frame can carry it.
    pub fn new(call: &HttpReqCall<'_>) -> Result<Self, RepeatError> {
        // Neither may be 0: a 0 takes no room in a frame.
        let call = HttpReqCall {
            id: u32::MAX,
            conf_token: u32::MAX,
            ..*call
        };
        let frame = call.encode(&mut FrameBuilder::new())?.to_vec();
        let at = |slot| {
            position("HTTPReqCall.Req", &frame[HEADER_LEN..], slot)
                .map_err(PatchError::Payload)?
                .ok_or(PatchError::NoRoom)
        };
        let (id_at, token_at) = (at(ID)?, at(CONF_TOKEN)?);
        Ok(Self {
            frame,
            id_at: HEADER_LEN + id_at,
            token_at: HEADER_LEN + token_at,
        })
    }

    /// Numbers the call.
    pub fn set_id(&mut self, id: u32) {
        overwrite(&mut self.frame, self.id_at, id);
    }

    /// Gives it the token that `PrepareConf` was answered.
    pub fn set_conf_token(&mut self, conf_token: u32) {
        overwrite(&mut self.frame, self.token_at, conf_token);
    }

    /// The whole frame.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }
}

/// Why a call cannot be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RepeatError {
    /// No frame can carry it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// What was encoded has no number or no token.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// The payload of a reply that was read in full once.
#[derive(Debug, Clone)]
pub struct RepeatedReply {
    payload: Vec<u8>,
    id_at: Option<usize>,
}

impl RepeatedReply {
    /// Remembers the payload of a reply to an `HTTPReqCall`.
    ///
    /// # Errors
    /// [`DecodeError`] if it is no table.
    pub fn new(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self {
            // A reply to call 0 has no number to compare.
            id_at: position("HTTPReqCall.Resp", payload, REPLY_ID)?,
            payload: payload.to_vec(),
        })
    }

    /// Whether `payload` is the same reply, byte for byte, to the call `id`.
    /// If not, it may still say the same in other words.
    #[must_use]
    pub fn is_repeated_by(&self, payload: &[u8], id: u32) -> bool {
        let Some(id_at) = self.id_at else {
            return false;
        };
        let behind = id_at + size_of::<u32>();
        payload.len() == self.payload.len()
            && payload[..id_at] == self.payload[..id_at]
            && payload[id_at..behind] == id.to_le_bytes()
            && payload[behind..] == self.payload[behind..]
    }
}

/// Where four bytes of a field lie, if it is present.
fn position(
    table: &'static str,
    payload: &[u8],
    slot: usize,
) -> Result<Option<usize>, DecodeError> {
    let root = Table::root(payload).map_err(|fault| DecodeError::new(table, fault))?;
    let whole = |at: &usize| payload.len().saturating_sub(*at) >= size_of::<u32>();
    Ok(root.field(slot).filter(whole))
}

fn overwrite(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + size_of::<u32>()].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, http_req_call};

    const CALL: HttpReqCall<'_> = HttpReqCall {
        id: 0,
        src_ip: &[127, 0, 0, 1],
        method: 0,
        path: b"/",
        args: &[],
        headers: &[],
        conf_token: 0,
    };

    #[test]
    fn a_repeated_call_should_differ_in_nothing_but_number_and_token() {
        let headers = [Entry::new("host", "a"), Entry::bare("b")];
        let call = HttpReqCall {
            headers: &headers,
            ..CALL
        };
        let mut repeated = RepeatedCall::new(&call).expect("a frame");
        for (id, conf_token) in [(1, 2), (u32::MAX, 3), (7, u32::MAX)] {
            repeated.set_id(id);
            repeated.set_conf_token(conf_token);
            let expected = HttpReqCall {
                id,
                conf_token,
                ..call
            };
            let mut builder = FrameBuilder::new();
            assert_eq!(
                repeated.frame(),
                expected.encode(&mut builder).expect("a frame")
            );
        }
    }

    #[test]
    fn a_reply_should_be_recognised_and_any_other_not() {
        let reply = |id, name: &str| {
            let headers = [Entry::new(name, "1")];
            let rewrite = http_req_call::Rewrite {
                headers: &headers,
                ..http_req_call::Rewrite::default()
            };
            let action = http_req_call::Action::Rewrite(&rewrite);
            let mut builder = FrameBuilder::new();
            let frame = http_req_call::encode_reply(&mut builder, id, action).expect("a frame");
            frame[HEADER_LEN..].to_vec()
        };
        let known = RepeatedReply::new(&reply(5, "a")).expect("a reply");
        assert!(known.is_repeated_by(&reply(6, "a"), 6));
        assert!(!known.is_repeated_by(&reply(6, "a"), 7), "another number");
        assert!(!known.is_repeated_by(&reply(6, "b"), 6), "another reply");
        assert!(!known.is_repeated_by(&reply(6, "longer"), 6));
        assert!(!known.is_repeated_by(&[], 6));
        let unnumbered = RepeatedReply::new(&reply(0, "a")).expect("a reply");
        assert!(
            !unnumbered.is_repeated_by(&reply(0, "a"), 0),
            "says so itself"
        );
    }
}
