//! Bytes that the gateway's own encoder wrote and that its own decoder took.

use protocol::gateway_side::{Asked, HttpAction, NamedValue, Reply, decode_reply};
use protocol::http_req_call::{self, Action};
use protocol::{FrameBuilder, err_resp, prepare_conf};

use crate::describe::{self, framed, hex};

#[test]
fn what_the_gateway_encodes_is_understood() {
    for (case, bytes, meaning) in SENT_BY_THE_GATEWAY {
        assert_eq!(
            describe::call(framed(&hex(bytes))).as_deref(),
            Ok(*meaning),
            "{case}"
        );
    }
}

#[test]
fn what_the_gateway_accepts_is_understood() {
    for (bytes, meaning) in accepted_by_the_gateway() {
        assert_eq!(decode_reply(framed(&hex(bytes))), Ok(meaning), "{bytes}");
    }
}

fn accepted_by_the_gateway() -> [(&'static str, Reply); 10] {
    let stop = HttpAction::Stop {
        status: 403,
        headers: vec![],
        body: Some(b"no".to_vec()),
    };
    let rewrite = HttpAction::Rewrite {
        path: Some(b"/p".to_vec()),
        headers: vec![NamedValue {
            name: b"X-Del".to_vec(),
            value: None,
        }],
        args: vec![],
        resp_headers: vec![],
        body: None,
    };
    [
        (PREPARED, Reply::PrepareConf { conf_token: 1 }),
        (BAD_REQUEST, Reply::Error(0)),
        (SERVICE_UNAVAILABLE, Reply::Error(1)),
        (TOKEN_NOT_FOUND, Reply::Error(2)),
        (
            NONE,
            Reply::HttpReqCall {
                id: 0,
                action: HttpAction::None,
            },
        ),
        (
            STOP,
            Reply::HttpReqCall {
                id: 0,
                action: stop,
            },
        ),
        (
            REWRITE,
            Reply::HttpReqCall {
                id: 0,
                action: rewrite,
            },
        ),
        (
            ASK_VAR,
            Reply::ExtraInfo(Asked::Var(b"server_addr".to_vec())),
        ),
        (ASK_REQ_BODY, Reply::ExtraInfo(Asked::ReqBody)),
        (ASK_RESP_BODY, Reply::ExtraInfo(Asked::RespBody)),
    ]
}

/// Tables with several fields may be laid out in several ways; these leave no
/// choice, so they must be the bytes that the gateway has seen.
#[test]
fn our_small_replies_are_the_same_bytes() {
    let frame = &mut FrameBuilder::new();
    let prepared = prepare_conf::encode_reply(frame, 1);
    assert_eq!(prepared, Ok(hex(PREPARED).as_slice()));
    for (code, expected) in [
        (err_resp::Code::BadRequest, BAD_REQUEST),
        (err_resp::Code::ServiceUnavailable, SERVICE_UNAVAILABLE),
        (err_resp::Code::ConfTokenNotFound, TOKEN_NOT_FOUND),
    ] {
        assert_eq!(
            err_resp::encode(frame, code),
            Ok(hex(expected).as_slice()),
            "{code:?}"
        );
    }
    let none = http_req_call::encode_reply(frame, 0, Action::None);
    assert_eq!(none, Ok(hex(NONE).as_slice()));
}

const SENT_BY_THE_GATEWAY: &[(&str, &str, &str)] = &[
    (
        "PrepareConf with two plugins",
        "010000880c00000008000c0004000800080000000800000050000000020000002c00000004000000e4ffffff\
             080000000c00000003000000646f6700030000006361740008000c000800040008000000080000000c000000\
             030000006261720003000000666f6f001d000000726f7574652331236578742d706c7567696e2d7072652d72\
             6571233130000000",
        "PrepareConf.Req key=route#1#ext-plugin-pre-req#10\n\
        \x20 conf foo=bar\n\
        \x20 conf cat=dog",
    ),
    (
        "PrepareConf without conf",
        "010000380c000000080008000000040008000000040000001d000000726f7574652331236578742d706c7567\
             696e2d7072652d726571233131000000",
        "PrepareConf.Req key=route#1#ext-plugin-pre-req#11",
    ),
    (
        "HttpReqCall: id 0, `?y=` without NUL, `?z` without a value",
        "0200019818000000000012001c0000001400070010000c0008001800120000000000000314000000d8000000\
             6401000058010000e9000000050000009c0000007800000054000000300000000400000004ffffff08000000\
             14000000090000006c6f63616c686f737400000004000000686f7374000000002cffffff080000000c000000\
             030000006261720005000000782d7265710000004cffffff080000000c00000003000000666f6f0005000000\
             782d7265710000006cffffff080000000c000000030000006361740006000000782d7265737000008cffffff\
             080000001000000005000000636c6f73650000000a000000636f6e6e656374696f6e00000400000074000000\
             4c0000002400000004000000c8ffffff080000000c000000000000002f302f300100000079000000e4ffffff\
             080000000c000000010000007a000000020000007878000008000c000800040008000000080000000c000000\
             0100000079000000020000007878000008000800040000000800000004000000010000007a00000004000000\
             7f000001060000002f68656c6c6f0000",
        "HTTPReqCall.Req id=0 token=233 PUT /hello from 127.0.0.1\n\
        \x20 arg z\n\
        \x20 arg xx=y\n\
        \x20 arg xx=z\n\
        \x20 arg y=\n\
        \x20 header connection=close\n\
        \x20 header x-resp=cat\n\
        \x20 header x-req=foo\n\
        \x20 header x-req=bar\n\
        \x20 header host=localhost",
    ),
    (
        "HttpRespCall with a repeated header",
        "040000f8100000000c00140010000e00040008000c00000010000000e90000000000c8000200000005000000\
             a80000007800000044000000240000000400000074ffffff080000000c000000010000003200000003000000\
             582d410090ffffff080000000c000000010000003100000003000000582d4100acffffff0800000014000000\
             0a000000746578742f706c61696e00000c000000436f6e74656e742d5479706500000000dcffffff08000000\
             0c000000020000002f780000080000004c6f636174696f6e0000000008000c00080004000800000008000000\
             0c00000002000000313200000e000000436f6e74656e742d4c656e6774680000",
        "HTTPRespCall.Req id=2 token=233 200\n\
        \x20 header Content-Length=12\n\
        \x20 header Location=/x\n\
        \x20 header Content-Type=text/plain\n\
        \x20 header X-A=1\n\
        \x20 header X-A=2",
    ),
    (
        "ExtraInfo answer: no such variable",
        "030000100c000000000006000400000006000000",
        "ExtraInfo.Resp absent",
    ),
    (
        "ExtraInfo answer: empty",
        "030000180c0000000000060008000400060000000400000000000000",
        "ExtraInfo.Resp ",
    ),
    (
        "ExtraInfo answer: text",
        "030000200c0000000000060008000400060000000400000007000000312e322e332e3400",
        "ExtraInfo.Resp 1.2.3.4",
    ),
];

const PREPARED: &str = "010000140c00000000000600080004000600000001000000";
const BAD_REQUEST: &str = "0000000c080000000400040004000000";
const SERVICE_UNAVAILABLE: &str = "000000140c00000000000600080007000600000000000001";
const TOKEN_NOT_FOUND: &str = "000000140c00000000000600080007000600000000000002";
const NONE: &str = "0200000c080000000400040004000000";
const STOP: &str = "020000381000000000000a000a000000090004000a0000001000000000010a000c000a00000004000a000000\
    0800000000009301020000006e6f0000";
const REWRITE: &str = "0200005c1000000000000a000c0000000b0004000a000000100000000000000208000c000800040008000000\
    0800000028000000010000000c0000000000060008000400060000000400000005000000582d44656c000000\
    020000002f700000";
const ASK_VAR: &str = "030000340c00000008000a0009000400080000000c000000000106000800040006000000040000000b000000\
    7365727665725f6164647200";
const ASK_REQ_BODY: &str =
    "030000200c00000008000c000b000400080000000c000000000000020400040004000000";
const ASK_RESP_BODY: &str =
    "030000200c00000008000c000b000400080000000c000000000000030400040004000000";
