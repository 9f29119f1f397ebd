//! What the runner sends, read strictly into owned values.
//!
//! Must not know what the gateway does with it.

use bytes::Bytes;
use flatbuffers::{ForwardsUOffset, Vector};

use crate::gateway_side::payload::{Root, roots, verified_root};
use crate::wire::a6;
use crate::{DecodeError, Entry, Frame, RpcType};

/// An owned entry of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedValue {
    /// Never empty: a reply with a nameless entry is refused.
    pub name: Vec<u8>,
    /// Absent and empty differ, as in [`crate::Entry`].
    pub value: Option<Vec<u8>>,
}

impl NamedValue {
    /// An entry with a value.
    #[must_use]
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }

    /// An entry without a value.
    #[must_use]
    pub fn bare(name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: None,
        }
    }

    /// The same entry, to be encoded.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        Entry {
            name: &self.name,
            value: self.value.as_deref(),
        }
    }
}

/// What the runner wants done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAction {
    /// Pass it on.
    None,
    /// Answer it.
    Stop {
        /// 0 if absent.
        status: u16,
        /// Response headers.
        headers: Vec<NamedValue>,
        /// Response body, if present at all.
        body: Option<Vec<u8>>,
    },
    /// Change it.
    Rewrite {
        /// The new path, if present.
        path: Option<Vec<u8>>,
        /// Request headers to set or remove.
        headers: Vec<NamedValue>,
        /// Query arguments to set or remove.
        args: Vec<NamedValue>,
        /// Response headers to set.
        resp_headers: Vec<NamedValue>,
        /// The new request body, if present.
        body: Option<Vec<u8>>,
    },
}

/// What the runner asks, with the name owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A variable.
    Var(Vec<u8>),
    /// The request's body.
    ReqBody,
    /// The response's body.
    RespBody,
}

/// Any frame a runner may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Type 0 with its code, which may be one the schema does not name.
    Error(u8),
    /// Type 1.
    PrepareConf {
        /// The token to use in calls.
        conf_token: u32,
    },
    /// Type 2.
    HttpReqCall {
        /// Echo of the call's number; the gateway does not look at it.
        id: u32,
        /// What to do.
        action: HttpAction,
    },
    /// Type 3: not the reply yet.
    ExtraInfo(Asked),
    /// Type 4.
    HttpRespCall {
        /// Echo of the call's number; the gateway does not look at it.
        id: u32,
        /// 0 if absent.
        status: u16,
        /// Replacement headers.
        headers: Vec<NamedValue>,
        /// Replacement body, if present.
        body: Option<Vec<u8>>,
    },
}

/// Why a frame is not something a runner may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The header's first byte means nothing.
    #[error("there is no frame type {0}")]
    UnknownType(u8),
    /// The payload is not what the type asks for.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// An action or a question that the schema does not name, or none where
    /// one must be.
    #[error("there is no {union} {number}")]
    UnknownChoice {
        /// Which union.
        union: &'static str,
        /// Its discriminant.
        number: u8,
    },
    /// The gateway would fail on it.
    #[error("an entry has no name")]
    NamelessEntry,
}

/// Reads any frame that a runner may send.
///
/// # Errors
/// [`ReplyError`] for a frame that no runner may send.
pub fn decode_reply(frame: Frame) -> Result<Reply, ReplyError> {
    let payload = frame.payload;
    match RpcType::from_byte(frame.rpc_type) {
        None => Err(ReplyError::UnknownType(frame.rpc_type)),
        Some(RpcType::Error) => Ok(Reply::Error(decode_error_code(payload)?)),
        Some(RpcType::PrepareConf) => {
            let reply = verified_root::<PrepareConfRoot>(&payload)?;
            Ok(Reply::PrepareConf {
                conf_token: reply.conf_token(),
            })
        }
        Some(RpcType::HttpReqCall) => http_req_call(payload),
        Some(RpcType::ExtraInfo) => question(payload).map(Reply::ExtraInfo),
        Some(RpcType::HttpRespCall) => http_resp_call(payload),
    }
}

/// The code of an `Err.Resp`, whatever type of frame it was found in: some
/// runners put it into a frame of the call's own type.
///
/// # Errors
/// [`DecodeError`] if it is not one.
pub fn decode_error_code(payload: Bytes) -> Result<u8, DecodeError> {
    Ok(verified_root::<ErrRoot>(&payload)?.code().0)
}

fn http_req_call(payload: Bytes) -> Result<Reply, ReplyError> {
    let reply = verified_root::<HttpReqCallRoot>(&payload)?;
    let unknown = ReplyError::UnknownChoice {
        union: "Action",
        number: reply.action_type().0,
    };
    let action = if reply.action_type() == a6::httpreq_call::Action::NONE {
        HttpAction::None
    } else if let Some(stop) = reply.action_as_stop() {
        HttpAction::Stop {
            status: stop.status(),
            headers: named_values(stop.headers())?,
            body: stop.body().map(|body| body.bytes().to_vec()),
        }
    } else if let Some(rewrite) = reply.action_as_rewrite() {
        HttpAction::Rewrite {
            path: rewrite.path().map(|path| path.bytes().to_vec()),
            headers: named_values(rewrite.headers())?,
            args: named_values(rewrite.args())?,
            resp_headers: named_values(rewrite.resp_headers())?,
            body: rewrite.body().map(|body| body.bytes().to_vec()),
        }
    } else {
        return Err(unknown);
    };
    Ok(Reply::HttpReqCall {
        id: reply.id(),
        action,
    })
}

fn question(payload: Bytes) -> Result<Asked, ReplyError> {
    let asked = verified_root::<QuestionRoot>(&payload)?;
    match asked.info_type() {
        a6::extra_info::Info::ReqBody => Ok(Asked::ReqBody),
        a6::extra_info::Info::RespBody => Ok(Asked::RespBody),
        other => match asked.info_as_var().and_then(|var| var.name()) {
            Some(name) => Ok(Asked::Var(name.bytes().to_vec())),
            None => Err(ReplyError::UnknownChoice {
                union: "Info",
                number: other.0,
            }),
        },
    }
}

fn http_resp_call(payload: Bytes) -> Result<Reply, ReplyError> {
    let reply = verified_root::<HttpRespCallRoot>(&payload)?;
    Ok(Reply::HttpRespCall {
        id: reply.id(),
        status: reply.status(),
        headers: named_values(reply.headers())?,
        body: reply.body().map(|body| body.bytes().to_vec()),
    })
}

fn named_values(entries: Option<TextEntries<'_>>) -> Result<Vec<NamedValue>, ReplyError> {
    let entries = entries.iter().flat_map(|entries| entries.iter());
    entries
        .map(|entry| match entry.name() {
            Some(name) if !name.is_empty() => Ok(NamedValue {
                name: name.bytes().to_vec(),
                value: entry.value().map(|value| value.bytes().to_vec()),
            }),
            _ => Err(ReplyError::NamelessEntry),
        })
        .collect()
}

pub(super) type TextEntries<'a> = Vector<'a, ForwardsUOffset<a6::TextEntry<'a>>>;

roots! {
    ErrRoot: err::Resp = "Err.Resp";
    PrepareConfRoot: prepare_conf::Resp = "PrepareConf.Resp";
    HttpReqCallRoot: httpreq_call::Resp = "HTTPReqCall.Resp";
    QuestionRoot: extra_info::Req = "ExtraInfo.Req";
    HttpRespCallRoot: httpresp_call::Resp = "HTTPRespCall.Resp";
}
