//! What filters make of a call, on its way back to the wire: any edits that the
//! sandbox lets pass can be sent, arrive as they were made, and break no rule
//! of HTTP at the gateway.
//!
//! Must not know how a guest makes an edit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use protocol::frame::HEADER_LEN;
use protocol::gateway_side::{self, HttpAction, NamedValue, Reply};
use protocol::{EncodeError, Entry, FrameBuilder, http_req_call, http_resp_call};
use runner::after_chain::response::Filler;
use runner::handlers::Outcome;
use runner::translate::from_wire::{ReceivedRequest, ReceivedResponse};
use runner::translate::to_wire;
use sandbox::fuzz::{Edit, ResponseEdit, edit, edit_response};
use sandbox::{
    Answer, Gateway, GatewayError, Question, RequestCall, RequestEdits, ResponseCall, StopResponse,
};

use super::{Depth, written};
use crate::input::Input;

/// Names and bytes that are treated apart.
pub const WORDS: &[&[u8]] = &[
    b"\x04host",
    b"\x04Host\x00",
    b"\x0econtent-length\x011",
    b"\x11transfer-encoding\x07chunked",
    b"\x0aConnection\x03x-a",
    b"\x03x-a",
    b"\x03X-A\x011",
    b"\x08location",
    b"\x01/",
    b"\r\n",
    b"\0",
    b"\xff",
];

/// Longest sequence of edits.
const EDITS: u8 = 24;

/// A call and what is done with it.
pub fn attack(data: &[u8]) -> Depth {
    let mut input = Input::new(data);
    match input.below(4) {
        0 => stop(&mut input),
        1 => response(&mut input),
        _ => request(&mut input),
    }
}

fn request(input: &mut Input<'_>) -> Depth {
    let mut call = received(input);
    let mut made = 0_u32;
    for _ in 0..input.u8() % EDITS {
        made += u32::from(edit(&mut call, any_edit(input)));
    }
    let edits = call.edits().clone();
    let outcome = Outcome::Pass {
        id: call.source().id(),
        edits: edits.clone(),
    };
    let Reply::HttpReqCall { id, action } = sent(&outcome) else {
        panic!("a request is answered with something else");
    };
    assert_eq!(id, call.source().id());
    if let Some(rewrite) = expected(&edits) {
        assert_eq!(action, rewrite);
        lawful(&edits);
    } else {
        assert_eq!(action, HttpAction::None);
    }
    depth(made > 0)
}

/// What edits are on the wire.
fn expected(edits: &RequestEdits) -> Option<HttpAction> {
    let headers = edits.headers.iter().map(|edit| NamedValue {
        name: edit.name.clone().into(),
        value: edit.value.clone(),
    });
    let mut args = Vec::new();
    for edit in &edits.args {
        if edit.values.is_empty() {
            args.push(NamedValue::bare(edit.name.clone()));
        }
        let values = edit.values.iter();
        args.extend(values.map(|value| NamedValue::new(edit.name.clone(), value.clone())));
    }
    let resp_headers = edits.response_headers.iter();
    let changed = *edits != RequestEdits::default();
    changed.then(|| HttpAction::Rewrite {
        path: edits.path.clone(),
        headers: headers.collect(),
        args,
        resp_headers: resp_headers
            .map(|(name, value)| NamedValue::new(name.clone(), value.clone()))
            .collect(),
        body: edits.body.clone(),
    })
}

fn lawful(edits: &RequestEdits) {
    if let Some(path) = &edits.path {
        assert_eq!(path.first(), Some(&b'/'));
        assert!(!path.contains(&0));
    }
    for edit in &edits.headers {
        lawful_header(edit.name.as_bytes(), edit.value.as_deref());
        let host = edit.name.eq_ignore_ascii_case("host");
        let value = edit.value.as_ref().is_some_and(|value| !value.is_empty());
        assert!(!host || value, "the host was removed");
    }
    for (name, value) in &edits.response_headers {
        lawful_header(name.as_bytes(), Some(value));
    }
}

/// Nothing that would begin another line or another message.
fn lawful_header(name: &[u8], value: Option<&[u8]>) {
    let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    assert!(!name.is_empty() && name.iter().all(is_token), "{name:?}");
    let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    assert!(!value.unwrap_or_default().iter().any(breaks), "{value:?}");
    let lower = name.to_ascii_lowercase();
    let of_the_gateway = [&b"content-length"[..], b"transfer-encoding", b"connection"];
    assert!(!of_the_gateway.contains(&&*lower), "{name:?}");
}

fn response(input: &mut Input<'_>) -> Depth {
    let headers = input.entries();
    let call = gateway_side::HttpRespCall {
        id: input.u32(),
        status: input.u16(),
        headers: &entries(&headers),
        conf_token: 1,
    };
    let mut builder = FrameBuilder::new();
    let frame = call.encode(&mut builder).expect("it is small");
    let payload = Bytes::copy_from_slice(&frame[HEADER_LEN..]);
    let read = http_resp_call::Req::decode(payload).expect("a call");
    let source = Arc::new(ReceivedResponse::new(read));
    let mut call = ResponseCall::new(source, Arc::new(Silent));
    let mut made = 0_u32;
    for _ in 0..input.u8() % EDITS {
        made += u32::from(edit_response(&mut call, any_response_edit(input)));
    }
    // Where a body was written there is nothing to stand in for.
    let filler = match (input.below(3), &call.edits().body) {
        (1, None) => Filler::Dropped,
        (2, None) => Filler::Seen,
        _ => Filler::Nothing,
    };
    let (id, edits) = (call.source().id(), call.edits().clone());
    let left: Vec<_> = call
        .headers()
        .map(|(name, value)| NamedValue::new(name, value))
        .collect();
    // No upstream sends a header without a name through nginx.
    let nameless = headers.iter().any(|header| header.name.is_empty());
    let outcome = Outcome::Response {
        call: Box::new(call),
        filler,
    };
    if nameless {
        let _ = to_wire::encode(&mut builder, &outcome);
        return Depth::Refused;
    }
    let Reply::HttpRespCall {
        id: echo,
        status,
        headers: arrived,
        body,
    } = sent(&outcome)
    else {
        panic!("a response is answered with something else");
    };
    assert_eq!((echo, status), (id, edits.status.unwrap_or_default()));
    assert!(matches!(status, 0 | 200..=599), "{status}");
    let own = edits.body.as_deref().or(filler.bytes());
    assert_eq!(body.as_deref(), own);
    let mut rest = left.iter();
    for header in arrived.iter().filter(|header| header.value.is_some()) {
        assert!(rest.any(|left| left == header), "{header:?} is new");
        assert!(!header.name.eq_ignore_ascii_case(b"transfer-encoding"));
        assert!(!header.name.eq_ignore_ascii_case(b"connection"));
    }
    // Without a list the gateway would bring back what was removed.
    assert!(headers.is_empty() || !arrived.is_empty());
    depth(made > 0)
}

fn stop(input: &mut Input<'_>) -> Depth {
    let header = |input: &mut Input<'_>| (input.text(), input.text());
    let response = StopResponse {
        status: input.u16(),
        headers: (0..input.u8() % 16).map(|_| header(input)).collect(),
        body: input.bytes().to_vec(),
    };
    let id = input.u32();
    let named = response.headers.iter();
    let action = HttpAction::Stop {
        status: response.status,
        headers: named
            .clone()
            .map(|(name, value)| NamedValue::new(name.clone(), value.clone()))
            .collect(),
        body: Some(response.body.clone()).filter(|body| !body.is_empty()),
    };
    let nameless = named.clone().any(|(name, _)| name.is_empty());
    let outcome = Outcome::Stop { id, response };
    if nameless {
        let list = "headers";
        let refused = to_wire::encode(&mut FrameBuilder::new(), &outcome).map(<[u8]>::to_vec);
        assert_eq!(refused, Err(EncodeError::EmptyName { list }));
        return Depth::Refused;
    }
    assert_eq!(sent(&outcome), Reply::HttpReqCall { id, action });
    Depth::Read
}

fn depth(any: bool) -> Depth {
    match any {
        true => Depth::Read,
        false => Depth::Refused,
    }
}

fn sent(outcome: &Outcome) -> Reply {
    let mut builder = FrameBuilder::new();
    let written = to_wire::encode(&mut builder, outcome).expect("what was let pass can be sent");
    written::read(written)
}

/// A request as it comes from the wire.
fn received(input: &mut Input<'_>) -> RequestCall {
    let (path, args, headers) = (input.bytes(), input.entries(), input.entries());
    let call = gateway_side::HttpReqCall {
        id: input.u32(),
        path,
        args: &entries(&args),
        headers: &entries(&headers),
        ..gateway_side::HttpReqCall::default()
    };
    let mut builder = FrameBuilder::new();
    let frame = call.encode(&mut builder).expect("it is small");
    let payload = Bytes::copy_from_slice(&frame[HEADER_LEN..]);
    let read = http_req_call::Req::decode(payload).expect("a call");
    let source = ReceivedRequest::new(read).expect("a method with a name");
    RequestCall::new(Arc::new(source), Arc::new(Silent))
}

fn any_edit(input: &mut Input<'_>) -> Edit {
    let number = input.below(10);
    let bytes = |input: &mut Input<'_>| input.bytes().to_vec();
    match number {
        0 => Edit::SetPath(bytes(input)),
        1 => Edit::SetHeader(input.text(), bytes(input)),
        2 => Edit::AddHeader(input.text(), bytes(input)),
        3 => Edit::RemoveHeader(input.text()),
        4 => Edit::SetArg(bytes(input), bytes(input)),
        5 => Edit::AddArg(bytes(input), bytes(input)),
        6 => Edit::RemoveArg(bytes(input)),
        7 => Edit::SetBody(bytes(input)),
        8 => Edit::SetResponseHeader(input.text(), bytes(input)),
        _ => Edit::AddResponseHeader(input.text(), bytes(input)),
    }
}

fn any_response_edit(input: &mut Input<'_>) -> ResponseEdit {
    match input.below(5) {
        0 => ResponseEdit::SetStatus(input.u16()),
        1 => ResponseEdit::SetHeader(input.text(), input.bytes().to_vec()),
        2 => ResponseEdit::AddHeader(input.text(), input.bytes().to_vec()),
        3 => ResponseEdit::RemoveHeader(input.text()),
        _ => ResponseEdit::SetBody(input.bytes().to_vec()),
    }
}

fn entries(owned: &[NamedValue]) -> Vec<Entry<'_>> {
    owned.iter().map(NamedValue::entry).collect()
}

/// Nobody asks it.
pub(super) struct Silent;

impl Gateway for Silent {
    fn ask<'a>(
        &'a self,
        _: &'a [Question<'a>],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>> {
        Box::pin(std::future::ready(Err(GatewayError::Gone)))
    }
}
