//! Makes a captured call usable again: its token was given by another runner.
//!
//! Must not know where the frame was captured.

use flatbuffers::{Table, VOffsetT};

use crate::frame::{HEADER_LEN, RpcType};
use crate::payload::verified_root;
use crate::wire::a6;
use crate::{DecodeError, http_req_call, http_resp_call};

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
    let at = match RpcType::from_byte(header[0]) {
        Some(RpcType::HttpReqCall) => {
            let call = verified_root::<http_req_call::ReqRoot>(payload)?;
            position(&call._tab, a6::httpreq_call::Req::VT_CONF_TOKEN)
        }
        Some(RpcType::HttpRespCall) => {
            let call = verified_root::<http_resp_call::ReqRoot>(payload)?;
            position(&call._tab, a6::httpresp_call::Req::VT_CONF_TOKEN)
        }
        _ => return Err(PatchError::NotACall),
    };
    let token = at.and_then(|at| payload.get_mut(at..)?.first_chunk_mut());
    *token.ok_or(PatchError::NoRoom)? = conf_token.to_le_bytes();
    Ok(())
}

/// Where a field of a verified table lies, if it is present.
fn position(table: &Table<'_>, field: VOffsetT) -> Option<usize> {
    match table.vtable().get(field) {
        0 => None,
        offset => Some(table.loc() + usize::from(offset)),
    }
}
