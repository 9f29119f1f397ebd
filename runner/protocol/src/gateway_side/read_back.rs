//! What the gateway sends, read by the generated reader behind its verifier: a
//! second opinion on the runner's own reader, which is written by hand.
//!
//! Must not know that reader, nor what a runner does with a call.

use crate::gateway_side::NamedValue;
use crate::gateway_side::answers::TextEntries;
use crate::gateway_side::payload::{Root, roots, verified_root};
use crate::wire::a6;
use crate::{DecodeError, Frame, RpcType};

/// Any frame that the gateway may send. Here the name of a [`NamedValue`] may
/// be empty: absent and empty names are the same to a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Type 1.
    PrepareConf {
        /// The gateway's name for the list, if present.
        key: Option<Vec<u8>>,
        /// Plugins and their configuration.
        conf: Vec<NamedValue>,
    },
    /// Type 2.
    HttpReqCall {
        /// The call's number.
        id: u32,
        /// Empty if absent.
        src_ip: Vec<u8>,
        /// Any number.
        method: u8,
        /// The path, if present.
        path: Option<Vec<u8>>,
        /// Query arguments.
        args: Vec<NamedValue>,
        /// Request headers.
        headers: Vec<NamedValue>,
        /// The token.
        conf_token: u32,
    },
    /// Type 3: the answer to a question.
    Answer(Option<Vec<u8>>),
    /// Type 4.
    HttpRespCall {
        /// The call's number.
        id: u32,
        /// The upstream's status.
        status: u16,
        /// The upstream's headers.
        headers: Vec<NamedValue>,
        /// The token.
        conf_token: u32,
    },
}

/// Reads any frame that the gateway may send; `None` for a type that it sends
/// nothing of.
///
/// # Errors
/// [`DecodeError`] if the payload is not what its type says. The generated
/// verifier also minds numbers at odd addresses, and it counts the tables that
/// a payload may hold in its own way.
pub fn decode_sent(frame: &Frame) -> Result<Option<Sent>, DecodeError> {
    let payload = &*frame.payload;
    Ok(Some(match RpcType::from_byte(frame.rpc_type) {
        None | Some(RpcType::Error) => return Ok(None),
        Some(RpcType::PrepareConf) => {
            let call = verified_root::<PrepareConfRoot>(payload)?;
            Sent::PrepareConf {
                key: call.key().map(|key| key.bytes().to_vec()),
                conf: entries(call.conf()),
            }
        }
        Some(RpcType::HttpReqCall) => {
            let call = verified_root::<HttpReqCallRoot>(payload)?;
            Sent::HttpReqCall {
                id: call.id(),
                src_ip: call.src_ip().unwrap_or_default().bytes().to_vec(),
                method: call.method().0,
                path: call.path().map(|path| path.bytes().to_vec()),
                args: entries(call.args()),
                headers: entries(call.headers()),
                conf_token: call.conf_token(),
            }
        }
        Some(RpcType::ExtraInfo) => {
            let answer = verified_root::<AnswerRoot>(payload)?;
            Sent::Answer(answer.result().map(|result| result.bytes().to_vec()))
        }
        Some(RpcType::HttpRespCall) => {
            let call = verified_root::<HttpRespCallRoot>(payload)?;
            Sent::HttpRespCall {
                id: call.id(),
                status: call.status(),
                headers: entries(call.headers()),
                conf_token: call.conf_token(),
            }
        }
    }))
}

fn entries(list: Option<TextEntries<'_>>) -> Vec<NamedValue> {
    let list = list.iter().flat_map(|list| list.iter());
    list.map(|entry| NamedValue {
        name: entry.name().unwrap_or_default().bytes().to_vec(),
        value: entry.value().map(|value| value.bytes().to_vec()),
    })
    .collect()
}

roots! {
    PrepareConfRoot: prepare_conf::Req = "PrepareConf.Req";
    HttpReqCallRoot: httpreq_call::Req = "HTTPReqCall.Req";
    AnswerRoot: extra_info::Resp = "ExtraInfo.Resp";
    HttpRespCallRoot: httpresp_call::Req = "HTTPRespCall.Req";
}
