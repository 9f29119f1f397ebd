//! The reader of RPC type 4.
//!
//! Must not know what a response means.

use protocol::gateway_side::Sent;
use protocol::{RpcType, http_resp_call};

use super::{Depth, sent};

/// A payload.
pub fn attack(data: &[u8]) -> Depth {
    sent::another_token(RpcType::HttpRespCall, data);
    sent::check(RpcType::HttpRespCall, data, |payload| {
        let mut walk = sent::Walk::of(&payload);
        let call = http_resp_call::Req::decode(payload)?;
        Ok(Sent::HttpRespCall {
            id: call.id(),
            status: call.status(),
            headers: walk.read(call.headers()),
            conf_token: call.conf_token(),
        })
    })
}
