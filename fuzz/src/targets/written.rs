//! What writers of replies have in common: a reply that is written is one
//! whole frame that reads as it was meant, and one that is refused has a
//! reason to be.
//!
//! Must not know where the reply comes from.

use bytes::BytesMut;
use protocol::frame::{self, HEADER_LEN, MAX_PAYLOAD};
use protocol::gateway_side::{Asked, HttpAction, NamedValue, Reply, decode_reply};
use protocol::http_req_call::{self, Action, Rewrite, Stop};
use protocol::http_resp_call::{self, Edits};
use protocol::{EncodeError, Entry, FrameBuilder, err_resp, extra_info, prepare_conf};

/// Writes a reply into a builder, which may have been used before, and holds
/// what came out against what went in. Whether it was written.
pub(super) fn check(builder: &mut FrameBuilder, reply: &Reply) -> bool {
    let reasons = reasons(reply);
    let content = content(reply);
    match write(builder, reply) {
        Ok(written) => {
            assert_eq!(reasons, [], "{reply:?} was written");
            assert!(content <= MAX_PAYLOAD, "{content} bytes in one frame");
            // Each entry takes 32 bytes beside its texts, each field a few.
            assert!(written.len() <= 2 * content + 256, "{}", written.len());
            assert_eq!(read(written), as_read(reply));
            true
        }
        Err(EncodeError::TooLarge { at_least }) => {
            assert!(at_least > MAX_PAYLOAD, "{at_least} would fit");
            assert!(2 * content + 256 > MAX_PAYLOAD, "{content} bytes fit");
            false
        }
        Err(error) => {
            assert!(reasons.contains(&error), "{error} for {reply:?}");
            false
        }
    }
}

/// The one frame in these bytes.
pub(super) fn read(written: &[u8]) -> Reply {
    let mut buffer = BytesMut::from(written);
    let frame = frame::decode(&mut buffer).expect("a frame");
    let frame = frame.expect("the whole of it");
    assert_eq!(buffer.len(), 0, "something behind the frame");
    assert_eq!(frame.payload.len() + HEADER_LEN, written.len());
    decode_reply(frame).unwrap_or_else(|error| panic!("{error}: {written:02x?}"))
}

/// Everything that a reply may be refused for, but its size.
fn reasons(reply: &Reply) -> Vec<EncodeError> {
    let mut reasons = Vec::new();
    let mut nameless = |list, entries: &[NamedValue]| {
        if entries.iter().any(|entry| entry.name.is_empty()) {
            reasons.push(EncodeError::EmptyName { list });
        }
    };
    let is_empty = |bytes: &Option<Vec<u8>>| bytes.as_ref().is_some_and(Vec::is_empty);
    match reply {
        Reply::HttpReqCall {
            action:
                HttpAction::Rewrite {
                    path,
                    headers,
                    args,
                    resp_headers,
                    body,
                },
            ..
        } => {
            nameless("headers", headers);
            nameless("args", args);
            nameless("resp_headers", resp_headers);
            let removes_host = |header: &NamedValue| {
                header.value.is_none() && header.name.eq_ignore_ascii_case(b"host")
            };
            if headers.iter().any(removes_host) {
                reasons.push(EncodeError::HostRemoved);
            }
            if is_empty(path) {
                reasons.push(EncodeError::EmptyPath);
            }
            if is_empty(body) {
                reasons.push(EncodeError::EmptyBody);
            }
        }
        Reply::HttpReqCall {
            action: HttpAction::Stop { headers, .. },
            ..
        } => nameless("headers", headers),
        Reply::HttpRespCall { headers, body, .. } => {
            nameless("headers", headers);
            if is_empty(body) {
                reasons.push(EncodeError::EmptyBody);
            }
        }
        _ => {}
    }
    reasons
}

/// Bytes that it takes at least, with 16 for each entry.
fn content(reply: &Reply) -> usize {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let list = |entries: &[NamedValue]| -> usize {
        let sizes = entries.iter();
        sizes
            .map(|entry| 16 + entry.name.len() + bytes(&entry.value))
            .sum()
    };
    match reply {
        Reply::HttpReqCall { action, .. } => match action {
            HttpAction::None => 0,
            HttpAction::Stop { headers, body, .. } => list(headers) + bytes(body),
            HttpAction::Rewrite {
                path,
                headers,
                args,
                resp_headers,
                body,
            } => bytes(path) + list(headers) + list(args) + list(resp_headers) + bytes(body),
        },
        Reply::HttpRespCall { headers, body, .. } => list(headers) + bytes(body),
        Reply::ExtraInfo(Asked::Var(name)) => name.len(),
        Reply::Error(_) | Reply::PrepareConf { .. } | Reply::ExtraInfo(_) => 0,
    }
}

/// What some replies become: no change is no action, no body is an absent one.
fn as_read(reply: &Reply) -> Reply {
    let mut reply = reply.clone();
    if let Reply::HttpReqCall { action, .. } = &mut reply {
        match action {
            HttpAction::Rewrite {
                path: None,
                headers,
                args,
                resp_headers,
                body: None,
            } if headers.is_empty() && args.is_empty() && resp_headers.is_empty() => {
                *action = HttpAction::None;
            }
            HttpAction::Stop { body, .. } => *body = body.take().filter(|body| !body.is_empty()),
            _ => {}
        }
    }
    reply
}

fn write<'b>(builder: &'b mut FrameBuilder, reply: &Reply) -> Result<&'b [u8], EncodeError> {
    match reply {
        Reply::Error(code) => {
            let code = err_resp::Code::from_byte(*code).unwrap_or(err_resp::Code::BadRequest);
            err_resp::encode(builder, code)
        }
        Reply::PrepareConf { conf_token } => prepare_conf::encode_reply(builder, *conf_token),
        Reply::HttpReqCall { id, action } => match action {
            HttpAction::None => http_req_call::encode_reply(builder, *id, Action::None),
            HttpAction::Stop {
                status,
                headers,
                body,
            } => {
                let stop = Stop {
                    status: *status,
                    headers: &entries(headers),
                    body: body.as_deref().unwrap_or_default(),
                };
                http_req_call::encode_reply(builder, *id, Action::Stop(&stop))
            }
            HttpAction::Rewrite {
                path,
                headers,
                args,
                resp_headers,
                body,
            } => {
                let rewrite = Rewrite {
                    path: path.as_deref(),
                    headers: &entries(headers),
                    args: &entries(args),
                    resp_headers: &entries(resp_headers),
                    body: body.as_deref(),
                };
                http_req_call::encode_reply(builder, *id, Action::Rewrite(&rewrite))
            }
        },
        Reply::ExtraInfo(asked) => {
            let question = match asked {
                Asked::Var(name) => extra_info::Question::Var(name),
                Asked::ReqBody => extra_info::Question::ReqBody,
                Asked::RespBody => extra_info::Question::RespBody,
            };
            extra_info::encode_question(builder, question)
        }
        Reply::HttpRespCall {
            id,
            status,
            headers,
            body,
        } => {
            let edits = Edits {
                status: Some(*status),
                headers: &entries(headers),
                body: body.as_deref(),
            };
            http_resp_call::encode_reply(builder, *id, &edits)
        }
    }
}

fn entries(owned: &[NamedValue]) -> Vec<Entry<'_>> {
    owned.iter().map(NamedValue::entry).collect()
}
