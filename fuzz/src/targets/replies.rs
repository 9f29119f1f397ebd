//! The reply builder: any two replies, one after the other in the same memory.
//!
//! Must not know what a filter may ask for.

use protocol::FrameBuilder;
use protocol::gateway_side::{Asked, HttpAction, Reply};

use super::{Depth, written};
use crate::input::Input;

/// Names that are treated apart, and what makes a body as large as a frame.
pub const WORDS: &[&[u8]] = &[
    b"host",
    b"\x04host\x00",
    b"\x04Host\x00",
    b"\xb1\x6b",
    b"\x00",
    b"\x01\x01",
];

/// Two replies.
pub fn attack(data: &[u8]) -> Depth {
    let mut input = Input::new(data);
    let mut reused = FrameBuilder::new();
    let (first, second) = (reply(&mut input), reply(&mut input));
    let first = written::check(&mut reused, &first);
    reused.trim();
    let second = written::check(&mut reused, &second);
    match first || second {
        true => Depth::Read,
        false => Depth::Refused,
    }
}

fn reply(input: &mut Input<'_>) -> Reply {
    match input.below(10) {
        0 => Reply::Error(input.below(3)),
        1 => Reply::PrepareConf {
            conf_token: input.u32(),
        },
        2 => Reply::ExtraInfo(match input.below(3) {
            0 => Asked::Var(input.bytes().to_vec()),
            1 => Asked::ReqBody,
            _ => Asked::RespBody,
        }),
        3 | 4 => Reply::HttpRespCall {
            id: input.u32(),
            status: input.u16(),
            headers: input.entries(),
            body: body(input),
        },
        number => Reply::HttpReqCall {
            id: input.u32(),
            action: match number {
                5 => HttpAction::None,
                6 | 7 => HttpAction::Stop {
                    status: input.u16(),
                    headers: input.entries(),
                    body: body(input),
                },
                _ => HttpAction::Rewrite {
                    path: input.maybe(|input| input.bytes().to_vec()),
                    headers: input.entries(),
                    args: input.entries(),
                    resp_headers: input.entries(),
                    body: body(input),
                },
            },
        },
    }
}

/// Seldom one of about the size of a frame: those take milliseconds.
fn body(input: &mut Input<'_>) -> Option<Vec<u8>> {
    let body = input.maybe(|input| input.bytes().to_vec())?;
    match body.strip_prefix(b"\xb1\x6b") {
        Some([less, ..]) => Some(vec![
            b'x';
            protocol::frame::MAX_PAYLOAD + 1 - usize::from(*less)
        ]),
        _ => Some(body),
    }
}
