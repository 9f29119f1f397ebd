//! The reader of RPC type 2.
//!
//! Must not know what a request means.

use protocol::RpcType;
use protocol::gateway_side::Sent;
use protocol::http_req_call::{self, METHODS};

use super::{Depth, sent};

/// A payload.
pub fn attack(data: &[u8]) -> Depth {
    sent::another_token(RpcType::HttpReqCall, data);
    sent::check(RpcType::HttpReqCall, data, |payload| {
        let mut walk = sent::Walk::of(&payload);
        let call = http_req_call::Req::decode(payload)?;
        let method = METHODS
            .iter()
            .position(|method| Some(*method) == call.method());
        Ok(Sent::HttpReqCall {
            id: call.id(),
            src_ip: call.src_ip().to_vec(),
            method: method.map_or(sent::UNNAMED, |method| method as u8),
            path: call.path().map(<[u8]>::to_vec),
            args: walk.read(call.args()),
            headers: walk.read(call.headers()),
            conf_token: call.conf_token(),
        })
    })
}
