//! The gateway's half of the conversation, for whoever has to play it: the
//! demo, the load driver, the tests. Writes what the gateway sends, reads what
//! the runner answers.
//!
//! Unlike the runner's half it can also say what the runner must merely
//! survive: entries without a value, unknown methods. Must not know what the
//! gateway does with a reply.

mod answers;
mod calls;
mod captured;
mod payload;
mod read_back;
mod repeated;

pub use answers::{
    Asked, HttpAction, NamedValue, Reply, ReplyError, decode_error_code, decode_reply,
};
pub use calls::{HttpReqCall, HttpRespCall, PrepareConf, encode_answer};
pub use captured::{PatchError, set_conf_token};
pub use read_back::{Sent, decode_sent};
pub use repeated::{RepeatError, RepeatedCall, RepeatedReply};
