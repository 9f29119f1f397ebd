//! The reader of an answer to a question (RPC type 3), which copies nothing.
//!
//! Must not know what was asked.

use protocol::gateway_side::Sent;
use protocol::{RpcType, extra_info};

use super::{Depth, sent};

/// A payload.
pub fn attack(data: &[u8]) -> Depth {
    sent::check(RpcType::ExtraInfo, data, |payload| {
        let whole = payload.as_ptr_range();
        let answer = extra_info::decode_answer(payload)?;
        if let Some(answer) = answer.as_ref().filter(|answer| !answer.is_empty()) {
            let part = answer.as_ptr_range();
            assert!(whole.start <= part.start && part.end <= whole.end, "a copy");
        }
        Ok(Sent::Answer(answer.map(|answer| answer.to_vec())))
    })
}
