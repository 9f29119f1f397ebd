//! The reader of RPC type 1.
//!
//! Must not know what a configuration means.

use protocol::gateway_side::Sent;
use protocol::{RpcType, prepare_conf};

use super::{Depth, sent};

/// A payload.
pub fn attack(data: &[u8]) -> Depth {
    sent::check(RpcType::PrepareConf, data, |payload| {
        let mut walk = sent::Walk::of(&payload);
        let call = prepare_conf::Req::decode(payload)?;
        Ok(Sent::PrepareConf {
            key: call.key().map(<[u8]>::to_vec),
            conf: walk.read(call.conf()),
        })
    })
}
