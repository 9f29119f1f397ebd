//! What one half writes, the other half reads: every field of every message.

use bytes::Bytes;
use protocol::gateway_side::{self, Asked, HttpAction, NamedValue, PatchError, Reply};
use protocol::http_req_call::{self, Action, METHODS, Rewrite, Stop};
use protocol::{Entry, FrameBuilder, err_resp, extra_info, http_resp_call, prepare_conf};

use crate::describe::{self, framed};

#[test]
fn calls_arrive_as_they_were_sent() {
    let entries = [
        Entry::new("b", "1"),
        Entry::new("a", ""),
        Entry::bare("z"),
        Entry::new("b", "2"),
    ];
    let frame = &mut FrameBuilder::new();
    let lines = |kind: &str| format!("\n  {kind} b=1\n  {kind} a=\n  {kind} z\n  {kind} b=2");

    let call = gateway_side::PrepareConf {
        key: Some(b"route#1"),
        conf: &entries,
    };
    let sent = call.encode(frame).expect("small");
    check(
        sent,
        &format!("PrepareConf.Req key=route#1{}", lines("conf")),
    );
    check(
        gateway_side::PrepareConf::default()
            .encode(frame)
            .expect("small"),
        "PrepareConf.Req",
    );

    for (method, name) in METHODS.iter().enumerate() {
        let call = gateway_side::HttpReqCall {
            id: u32::MAX,
            src_ip: &[10, 0, 0, 1],
            method: method as u8,
            path: b"/p",
            args: &entries,
            headers: &entries,
            conf_token: u32::MAX - 1,
        };
        let expected = format!(
            "HTTPReqCall.Req id=4294967295 token=4294967294 {name} /p from 10.0.0.1{}{}",
            lines("arg"),
            lines("header"),
        );
        check(call.encode(frame).expect("small"), &expected);
    }

    let call = gateway_side::HttpRespCall {
        id: 3,
        status: 404,
        headers: &entries,
        conf_token: 9,
    };
    let sent = call.encode(frame).expect("small");
    check(
        sent,
        &format!("HTTPRespCall.Req id=3 token=9 404{}", lines("header")),
    );
}

#[test]
fn questions_and_answers_arrive() {
    let frame = &mut FrameBuilder::new();
    for (question, expected) in [
        (
            extra_info::Question::Var(b"host"),
            Asked::Var(b"host".to_vec()),
        ),
        (extra_info::Question::Var(b""), Asked::Var(vec![])),
        (extra_info::Question::ReqBody, Asked::ReqBody),
        (extra_info::Question::RespBody, Asked::RespBody),
    ] {
        let sent = extra_info::encode_question(frame, question).expect("small");
        assert_eq!(
            gateway_side::decode_reply(framed(sent)),
            Ok(Reply::ExtraInfo(expected))
        );
    }
    for answer in [None, Some(&b""[..]), Some(b"\0\xff")] {
        let sent = framed(gateway_side::encode_answer(frame, answer).expect("small"));
        let payload = sent.payload.clone();
        let received = extra_info::decode_answer(sent.payload).expect("an answer");
        assert_eq!(received.as_deref(), answer);
        let inside = |part: &Bytes| payload.as_ptr_range().contains(&part.as_ptr());
        assert!(
            received.is_none_or(|part| part.is_empty() || inside(&part)),
            "it was copied"
        );
    }
}

#[test]
fn replies_arrive_as_they_were_written() {
    let entries = [
        Entry::new("b", "1"),
        Entry::new("a", ""),
        Entry::bare("z"),
        Entry::new("b", "2"),
    ];
    let named = owned(&entries);
    let stop = Stop {
        status: 403,
        headers: &entries,
        body: b"no",
    };
    check_action(
        Action::Stop(&stop),
        HttpAction::Stop {
            status: 403,
            headers: named.clone(),
            body: Some(b"no".to_vec()),
        },
    );
    let rewrite = Rewrite {
        path: Some(b"/p"),
        headers: &entries,
        args: &entries[1..],
        resp_headers: &entries[..1],
        body: Some(b"new"),
    };
    check_action(
        Action::Rewrite(&rewrite),
        HttpAction::Rewrite {
            path: Some(b"/p".to_vec()),
            headers: named.clone(),
            args: named[1..].to_vec(),
            resp_headers: named[..1].to_vec(),
            body: Some(b"new".to_vec()),
        },
    );

    let frame = &mut FrameBuilder::new();
    let edits = http_resp_call::Edits {
        status: Some(201),
        headers: &entries,
        body: Some(b"x"),
    };
    let sent = http_resp_call::encode_reply(frame, 5, &edits).expect("small");
    let body = Some(b"x".to_vec());
    let expected = Reply::HttpRespCall {
        id: 5,
        status: 201,
        headers: named,
        body,
    };
    assert_eq!(gateway_side::decode_reply(framed(sent)), Ok(expected));

    let sent = prepare_conf::encode_reply(frame, 0).expect("small");
    assert_eq!(
        gateway_side::decode_reply(framed(sent)),
        Ok(Reply::PrepareConf { conf_token: 0 })
    );
    let sent = err_resp::encode(frame, err_resp::Code::ConfTokenNotFound).expect("small");
    assert_eq!(
        gateway_side::decode_reply(framed(sent)),
        Ok(Reply::Error(2))
    );
}

#[test]
fn a_call_outlives_the_frame_and_crosses_threads() {
    let call = gateway_side::HttpReqCall {
        path: b"/p",
        ..Default::default()
    };
    let sent = framed(call.encode(&mut FrameBuilder::new()).expect("small"));
    let call = http_req_call::Req::decode(sent.payload).expect("well formed");
    let reader = std::thread::spawn(move || call.path() == Some(b"/p"));
    assert!(reader.join().expect("no panic"));
}

#[test]
fn a_token_is_replaced_only_where_there_is_one() {
    let frame = &mut FrameBuilder::new();
    let call = gateway_side::HttpRespCall {
        status: 200,
        ..Default::default()
    };
    let mut sent = call.encode(frame).expect("small").to_vec();
    let before = sent.clone();
    assert_eq!(
        gateway_side::set_conf_token(&mut sent, 1),
        Err(PatchError::NoRoom)
    );
    assert_eq!(
        gateway_side::set_conf_token(&mut sent[..3], 1),
        Err(PatchError::NotACall)
    );
    assert!(matches!(
        gateway_side::set_conf_token(&mut sent[..9], 1),
        Err(PatchError::Payload(_))
    ));
    assert_eq!(sent, before);
}

fn check(sent: &[u8], expected: &str) {
    assert_eq!(describe::call(framed(sent)).as_deref(), Ok(expected));
}

pub(crate) fn check_action(action: Action<'_>, expected: HttpAction) {
    let mut frame = FrameBuilder::new();
    let sent = http_req_call::encode_reply(&mut frame, 7, action).expect("small");
    let expected = Reply::HttpReqCall {
        id: 7,
        action: expected,
    };
    assert_eq!(gateway_side::decode_reply(framed(sent)), Ok(expected));
}

pub(crate) fn owned(entries: &[Entry<'_>]) -> Vec<NamedValue> {
    let owned = |e: &Entry<'_>| NamedValue {
        name: e.name.into(),
        value: e.value.map(Into::into),
    };
    entries.iter().map(owned).collect()
}
