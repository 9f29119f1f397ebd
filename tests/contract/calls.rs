//! Frames as they are on the wire: what is answered with an error, what ends
//! the connection, and how much fits.

use harness::wire_client::NoReply;
use harness::{RunnerProcess, Signal, WireClient};
use protocol::gateway_side::{HttpAction, HttpReqCall, HttpRespCall, PrepareConf, Reply};
use protocol::{Entry, FrameBuilder};

use crate::{REPORT, RUNNER, SOON, connect, exchange, runner, texts, values};

/// Bytes on a new connection, nothing after them, and what comes back first.
pub(crate) struct BytesRow {
    pub(crate) from: &'static str,
    what: &'static str,
    bytes: Vec<u8>,
    expected: &'static [Result<Reply, NoReply>],
}

const BAD_REQUEST: Result<Reply, NoReply> = Ok(Reply::Error(0));
const SERVICE_UNAVAILABLE: Result<Reply, NoReply> = Ok(Reply::Error(1));
const CONF_TOKEN_NOT_FOUND: Result<Reply, NoReply> = Ok(Reply::Error(2));
const CLOSED: Result<Reply, NoReply> = Err(NoReply::Closed);

fn row(
    from: &'static str,
    what: &'static str,
    bytes: impl Into<Vec<u8>>,
    expected: &'static [Result<Reply, NoReply>],
) -> BytesRow {
    BytesRow {
        from,
        what,
        bytes: bytes.into(),
        expected,
    }
}

pub(crate) fn bytes() -> Vec<BytesRow> {
    let mut header_only = vec![1, 0, 0, 32];
    let wrong_length = {
        let mut frame = prepare_conf();
        frame[3] = u8::try_from((frame.len() - 4) / 2).expect("a short frame");
        frame
    };
    vec![
        row(
            "Go TestDispatchRPC_UnknownType",
            "type 126",
            [126, 0, 0, 4, 4, 0, 0, 0],
            &[BAD_REQUEST, CLOSED],
        ),
        row(
            "Go TestReportErrorUnknownType",
            "type 23",
            [23, 0, 0, 4, 4, 0, 0, 0],
            &[BAD_REQUEST, CLOSED],
        ),
        row(
            "Python test_dispatch_unknown, test_request_unknown_handler",
            "type 0, which is for replies only",
            [0, 0, 0, 4, 4, 0, 0, 0],
            &[BAD_REQUEST, CLOSED],
        ),
        row(
            "Go TestDispatchRPC_KnownType; Java call-handler token-not-found",
            "a call with token 1",
            http_req_call(1),
            &[CONF_TOKEN_NOT_FOUND, CLOSED],
        ),
        row(
            "Go TestReportErrorCacheToken",
            "a call with token 999999",
            http_req_call(999_999),
            &[CONF_TOKEN_NOT_FOUND, CLOSED],
        ),
        row(
            "Python test_dispatch_call",
            "a call with token 0: a departure, a bad request there",
            http_req_call(0),
            &[CONF_TOKEN_NOT_FOUND, CLOSED],
        ),
        row("Go TestRun", "a bad header", *b"a", &[CLOSED]),
        row(
            "Go TestRun",
            "a header alone",
            header_only.clone(),
            &[CLOSED],
        ),
        row(
            "Go TestRun",
            "a truncated body",
            [1, 0, 0, 32, 32],
            &[CLOSED],
        ),
        row(
            "Go TestRun",
            "a bad body",
            {
                header_only.extend([1, 2].repeat(16));
                header_only
            },
            &[BAD_REQUEST, CLOSED],
        ),
        row("Java decoder empty-data", "nothing", [], &[CLOSED]),
        row("Java decoder unsupported-type", "a byte", [4], &[CLOSED]),
        row(
            "Java decoder error-length-1",
            "more announced than sent",
            [1, 0, 0, 3, 0],
            &[CLOSED],
        ),
        row(
            "Java decoder error-length-2",
            "nothing announced",
            [1, 0, 0, 0, 0],
            &[BAD_REQUEST, CLOSED],
        ),
        row(
            "Java decoder error-length-3; Java encoder error-1, error-2",
            "less announced than sent",
            [1, 0, 0, 1, 0, 1],
            &[BAD_REQUEST, CLOSED],
        ),
        row(
            "Java decoder wrong-length",
            "half of a PrepareConf",
            wrong_length,
            &[BAD_REQUEST],
        ),
    ]
}

/// `foo` with the configuration `bar`.
fn prepare_conf() -> Vec<u8> {
    let conf = [Entry::new("foo", "bar")];
    let request = PrepareConf {
        key: None,
        conf: &conf,
    };
    let mut builder = FrameBuilder::new();
    request.encode(&mut builder).expect("frame").to_vec()
}

fn http_req_call(conf_token: u32) -> Vec<u8> {
    let call = HttpReqCall {
        id: 233,
        path: b"/",
        conf_token,
        ..HttpReqCall::default()
    };
    let mut builder = FrameBuilder::new();
    call.encode(&mut builder).expect("frame").to_vec()
}

#[test]
fn bad_frames_should_be_refused_or_end_their_connection_and_not_the_runner() {
    let mut runner = runner();
    let mut good = connect(&runner);
    let token = good.prepare(&[("stop", "")]).expect("token");
    for row in bytes() {
        let (from, what) = (row.from, row.what);
        let mut client = connect(&runner);
        client.send(&row.bytes).expect("sent");
        client.finish().expect("half-closed");
        for expected in row.expected {
            assert_eq!(client.receive(), *expected, "{from}: {what}");
        }
        let stopped = exchange(&mut good, &http_req_call(token));
        assert!(stopped.is_ok_and(is_stop), "{from}: {what}");
    }
    // Go TestRun: the file is gone after SIGINT, whatever came before.
    runner.signal(Signal::INT).expect("sent");
    assert!(runner.wait(SOON).is_some_and(|status| status.success()));
    assert!(!runner.socket().exists());
}

fn is_stop(reply: Reply) -> bool {
    matches!(
        reply,
        Reply::HttpReqCall {
            id: 233,
            action: HttpAction::Stop { status: 201, .. }
        }
    )
}

/// Go TestHTTPReqCall, TestResponse_ID, TestResponse_ConfToken; Java encoder
/// none, response, prepare-conf-1, prepare-conf-2; Java decoder get-body;
/// Python test_dispatch_config, test_request_config_handler
#[test]
fn an_empty_chain_should_change_nothing_and_echo_the_number() {
    let runner = runner();
    let mut client = connect(&runner);
    let conf_token = client
        .prepare(&[])
        .expect("a token: a departure, an error in Python");
    for id in [233, 1234, u32::MAX] {
        let call = HttpReqCall {
            id,
            path: b"/",
            conf_token,
            ..HttpReqCall::default()
        };
        let mut builder = FrameBuilder::new();
        let reply = exchange(&mut client, call.encode(&mut builder).expect("frame"));
        let nothing = Reply::HttpReqCall {
            id,
            action: HttpAction::None,
        };
        assert_eq!(reply, Ok(nothing));
        let call = HttpRespCall {
            id,
            status: 200,
            headers: &[],
            conf_token,
        };
        let reply = exchange(&mut client, call.encode(&mut builder).expect("frame"));
        let nothing = Reply::HttpRespCall {
            id,
            status: 0,
            headers: vec![],
            body: None,
        };
        assert_eq!(reply, Ok(nothing));
    }
    let unknown = client.exchange(&prepare_conf()).expect("a token");
    assert!(matches!(unknown, Reply::PrepareConf { .. }), "{unknown:?}");
}

/// Java decoder over-256; Java encoder over-256
#[test]
fn more_than_256_bytes_and_entries_should_come_and_go_whole() {
    const COUNT: usize = 300;
    let runner = runner();
    let mut client = connect(&runner);
    let edits: Vec<String> = (0..COUNT)
        .map(|number| format!(r#""x{number}":"{number}""#))
        .collect();
    let conf = format!(
        r#"{{"set_headers":{{{0}}},"set_args":{{{0}}},"report":"r"}}"#,
        edits.join(",")
    );
    let conf_token = client.prepare(&[("probe", &conf)]).expect("token");
    let names: Vec<String> = (0..COUNT).map(|number| format!("y{number}")).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| Entry::new(name, name)).collect();
    let call = HttpReqCall {
        path: b"/",
        args: &entries,
        headers: &entries,
        conf_token,
        ..HttpReqCall::default()
    };
    let mut builder = FrameBuilder::new();
    let reply = exchange(&mut client, call.encode(&mut builder).expect("frame"));
    let Ok(Reply::HttpReqCall {
        action: HttpAction::Rewrite { headers, args, .. },
        ..
    }) = reply
    else {
        panic!("{reply:?}\n{}", runner.log());
    };
    assert_eq!((headers.len(), args.len()), (COUNT + 1, COUNT));
    let report = values(&texts(&headers), REPORT).concat();
    let last = format!(r#"["y{0}","y{0}"]"#, COUNT - 1);
    assert_eq!(report.matches(&last).count(), 2, "an argument and a header");
}

/// Go TestDispatchRPC_OutTooLarge
#[test]
fn a_reply_that_fits_no_frame_should_be_an_error_and_the_connection_serve_on() {
    const HALF: usize = 9_000_000;
    // Megabytes take their time on a machine with other work.
    let config = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(
        config.path(),
        "limits: {handler_ms: 9000, handler_wall_ms: 20000, configure_ms: 9000, \
         configure_wall_ms: 20000, memory_mib: 256, header_kib: 9000}\n",
    )
    .expect("written");
    let modules = harness::modules::examples();
    let args = [
        "serve".as_ref(),
        "--modules".as_ref(),
        modules.as_os_str(),
        "--config".as_ref(),
        config.path().as_os_str(),
    ];
    let runner = RunnerProcess::start(RUNNER.as_ref(), args, &[]).expect("started");
    let mut client = connect(&runner);
    let body = format!(r#"{{"set_body":"{}"}}"#, "b".repeat(HALF));
    let large = client
        .prepare(&[("probe", r#"{"report":"r"}"#), ("probe", &body)])
        .expect("token");
    let value = "v".repeat(HALF);
    let call_with = |client: &mut WireClient, conf_token, value: &str| {
        let headers = [Entry::new("x", value)];
        let call = HttpReqCall {
            id: 233,
            path: b"/",
            headers: &headers,
            conf_token,
            ..HttpReqCall::default()
        };
        let mut builder = FrameBuilder::new();
        exchange(client, call.encode(&mut builder).expect("frame"))
    };
    let reply = call_with(&mut client, large, &value);
    assert_eq!(reply, SERVICE_UNAVAILABLE, "{}", runner.log());
    assert!(
        runner.prints(
            "the edits of one call may take 16777215 bytes together",
            SOON
        ),
        "{}",
        runner.log()
    );
    let reply = call_with(&mut client, large, "v");
    let Ok(Reply::HttpReqCall {
        action: HttpAction::Rewrite {
            body: Some(body), ..
        },
        ..
    }) = reply
    else {
        panic!("{}", runner.log());
    };
    assert_eq!(body.len(), HALF);
}
