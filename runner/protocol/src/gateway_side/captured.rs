//! Makes a captured call usable again: its token was given by another runner.
//!
//! Must not know where the frame was captured.

use crate::DecodeError;
use crate::frame::{HEADER_LEN, RpcType};
use crate::reader::Table;

/// Why a token could not be put into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Only calls of type 2 and 4 carry one.
    #[error("the bytes are not a frame of a call that carries a token")]
    NotACall,
    /// The payload is not what the frame's type says.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// Token 0 is not written out, so there is nothing to overwrite.
    #[error("the call was made with token 0, which takes no room in a frame")]
    NoRoom,
}

/// Overwrites the conf token of a whole frame of type 2 or 4, header included.
///
/// # Errors
/// [`PatchError`], with `frame` unchanged.
pub fn set_conf_token(frame: &mut [u8], conf_token: u32) -> Result<(), PatchError> {
    let Some((header, payload)) = frame.split_first_chunk_mut::<HEADER_LEN>() else {
        return Err(PatchError::NotACall);
    };
    let (table, slot) = match RpcType::from_byte(header[0]) {
        Some(RpcType::HttpReqCall) => ("HTTPReqCall.Req", 6),
        Some(RpcType::HttpRespCall) => ("HTTPRespCall.Req", 3),
        _ => return Err(PatchError::NotACall),
    };
    let call = Table::root(payload).map_err(|fault| DecodeError::new(table, fault))?;
    let at = call.field(slot);
    let token = at.and_then(|at| payload.get_mut(at..)?.first_chunk_mut());
    *token.ok_or(PatchError::NoRoom)? = conf_token.to_le_bytes();
    Ok(())
}
