//! Reads every accessor of a gateway's frame into the notation of
//! `tests/frames/decoded.txt`. Must not know which frame it is given.

use std::fmt::Write as _;

use bytes::BytesMut;
use protocol::{
    DecodeError, Entries, Frame, RpcType, extra_info, frame, http_req_call, http_resp_call,
    prepare_conf,
};

/// The frame's meaning, one line per entry.
pub(crate) fn call(frame: Frame) -> Result<String, DecodeError> {
    let mut text = String::new();
    match frame.known_type() {
        Some(RpcType::PrepareConf) => {
            let req = prepare_conf::Req::decode(frame.payload)?;
            push(&mut text, format_args!("PrepareConf.Req"));
            if let Some(key) = req.key() {
                push(&mut text, format_args!(" key={}", key.escape_ascii()));
            }
            entries(&mut text, "conf", req.conf());
        }
        Some(RpcType::HttpReqCall) => {
            let req = http_req_call::Req::decode(frame.payload)?;
            let (id, token) = (req.id(), req.conf_token());
            let method = req.method().unwrap_or("unknown");
            let path = req.path().unwrap_or_default().escape_ascii();
            let from: Vec<_> = req.src_ip().iter().map(u8::to_string).collect();
            let from = from.join(".");
            push(
                &mut text,
                format_args!("HTTPReqCall.Req id={id} token={token} {method} {path} from {from}"),
            );
            entries(&mut text, "arg", req.args());
            entries(&mut text, "header", req.headers());
        }
        Some(RpcType::HttpRespCall) => {
            let req = http_resp_call::Req::decode(frame.payload)?;
            let (id, token, status) = (req.id(), req.conf_token(), req.status());
            push(
                &mut text,
                format_args!("HTTPRespCall.Req id={id} token={token} {status}"),
            );
            entries(&mut text, "header", req.headers());
        }
        _ => match extra_info::decode_answer(frame.payload)? {
            None => push(&mut text, format_args!("ExtraInfo.Resp absent")),
            Some(body) if body.len() > 200 => {
                push(
                    &mut text,
                    format_args!("ExtraInfo.Resp {} bytes", body.len()),
                );
            }
            Some(body) => push(
                &mut text,
                format_args!("ExtraInfo.Resp {}", body.escape_ascii()),
            ),
        },
    }
    Ok(text)
}

/// Whole frames only: `bytes` must hold exactly one.
pub(crate) fn framed(bytes: &[u8]) -> Frame {
    let mut buffer = BytesMut::from(bytes);
    let frame = frame::decode(&mut buffer).expect("the header is right");
    assert!(buffer.is_empty(), "bytes are left behind the frame");
    frame.expect("the frame is whole")
}

/// Bytes of a hexadecimal text.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("a hexadecimal digit") as u8;
    let (pairs, rest) = text.as_bytes().as_chunks();
    assert!(rest.is_empty(), "an odd number of digits");
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

fn entries(text: &mut String, kind: &str, entries: Entries<'_>) {
    assert_eq!(
        entries.len(),
        entries.clone().count(),
        "the length is exact"
    );
    for entry in entries {
        push(text, format_args!("\n  {kind} {entry:?}"));
    }
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a string takes any text");
}
