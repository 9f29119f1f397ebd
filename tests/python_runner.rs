//! The observable behaviours of the Python runner, whose place this runner can
//! take: kept where the gateway depends on them, and a test named for every
//! departure. Rows speak the wire; what the gateway makes of the replies is in
//! `request_phase.rs`.

use std::time::Duration;

use harness::wire_client::WireClient;
use harness::{RunnerProcess, modules};
use protocol::gateway_side::{HttpAction, HttpReqCall, NamedValue, Reply, encode_answer};
use protocol::{Entry, FrameBuilder};

/// The log is written by a thread of its own.
const SOON: Duration = Duration::from_secs(5);

const BAD_REQUEST: Reply = Reply::Error(0);
const SERVICE_UNAVAILABLE: Reply = Reply::Error(1);
const CONF_TOKEN_NOT_FOUND: Reply = Reply::Error(2);

const SAMPLE_BODY: &[u8] = b"Hello, Python Runner of APISIX";

fn runner() -> RunnerProcess {
    modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples())
}

fn connect(runner: &RunnerProcess) -> WireClient {
    WireClient::connect(runner.socket()).expect("connection")
}

/// `GET /get?a=1&a=2` with two values of one header.
fn call(client: &mut WireClient, id: u32, conf_token: u32) -> Reply {
    let headers = [Entry::new("x-multi", "one"), Entry::new("x-multi", "two")];
    let args = [Entry::new("a", "1"), Entry::new("a", "2")];
    let call = HttpReqCall {
        headers: &headers,
        args: &args,
        ..get(id, conf_token)
    };
    send(client, &call)
}

fn get(id: u32, conf_token: u32) -> HttpReqCall<'static> {
    HttpReqCall {
        id,
        src_ip: &[127, 0, 0, 1],
        path: b"/get",
        conf_token,
        ..HttpReqCall::default()
    }
}

/// Calls; a question on the way is answered with "there is no such thing".
fn send(client: &mut WireClient, call: &HttpReqCall<'_>) -> Reply {
    let mut builder = FrameBuilder::new();
    let mut reply = client
        .exchange(call.encode(&mut builder).expect("frame"))
        .expect("reply");
    while let Reply::ExtraInfo(_) = reply {
        let answer = encode_answer(&mut builder, None).expect("frame");
        reply = client.exchange(answer).expect("reply");
    }
    reply
}

/// Prepares plugins and calls them once with id 7.
fn run(plugins: &[(&str, &str)]) -> HttpAction {
    let runner = runner();
    let mut client = connect(&runner);
    let token = client.prepare(plugins).expect("token");
    match call(&mut client, 7, token) {
        Reply::HttpReqCall { id: 7, action } => action,
        other => panic!("{plugins:?}: {other:?}\n{}", runner.log()),
    }
}

fn stopped_by_the_sample() -> HttpAction {
    HttpAction::Stop {
        status: 201,
        headers: vec![NamedValue::new("X-Resp-A6-Runner", "Python")],
        body: Some(SAMPLE_BODY.to_vec()),
    }
}

fn rewritten_by_the_sample() -> HttpAction {
    HttpAction::Rewrite {
        path: Some(b"/a6/python/runner".to_vec()),
        headers: vec![NamedValue::new("X-Resp-A6-Runner", "Python")],
        args: vec![NamedValue::new("a6_runner", "Python")],
        resp_headers: vec![],
        body: None,
    }
}

// === kept ===

#[test]
fn the_samples_should_do_what_they_do_there() {
    for text in ["{}", "", "no JSON", r#"{"body":"hello"}"#] {
        assert_eq!(run(&[("stop", text)]), stopped_by_the_sample(), "{text:?}");
        assert_eq!(
            run(&[("rewrite", text)]),
            rewritten_by_the_sample(),
            "{text:?}"
        );
    }
}

#[test]
fn a_stop_should_win_over_a_rewrite_in_either_order() {
    assert_eq!(
        run(&[("rewrite", ""), ("stop", "")]),
        stopped_by_the_sample()
    );
    assert_eq!(
        run(&[("stop", ""), ("rewrite", "")]),
        stopped_by_the_sample()
    );
}

#[test]
fn a_stop_without_a_status_should_be_200() {
    let action = run(&[("probe", r#"{"response_body":"x"}"#)]);
    assert!(
        matches!(action, HttpAction::Stop { status: 200, .. }),
        "{action:?}"
    );
}

#[test]
fn one_connection_should_serve_many_calls_and_an_unknown_plugin_none() {
    let runner = runner();
    let mut client = connect(&runner);
    let token = client.prepare(&[("stop", "")]).expect("token");
    for id in 1..20 {
        let expected = Reply::HttpReqCall {
            id,
            action: stopped_by_the_sample(),
        };
        assert_eq!(call(&mut client, id, token), expected);
    }
}

// === departures ===

#[test]
fn errors_should_come_in_frames_of_type_0_only() {
    let runner = runner();
    let mut client = connect(&runner);
    let token = client.prepare(&[("stop", "")]).expect("token");
    let unknown = client
        .prepare(&[("nope", "")])
        .expect("a token all the same");
    assert_eq!(
        call(&mut client, 1, token.wrapping_add(1000)),
        CONF_TOKEN_NOT_FOUND
    );
    assert_eq!(call(&mut client, 1, 0), CONF_TOKEN_NOT_FOUND, "token 0");
    assert_eq!(
        call(&mut client, 1, unknown),
        SERVICE_UNAVAILABLE,
        "unknown plugin"
    );
    for rpc_type in [0, 3, 5, 9, 255] {
        let reply = client.exchange(&[rpc_type, 0, 0, 4, 4, 0, 0, 0]);
        assert_eq!(reply, Ok(BAD_REQUEST), "type {rpc_type}");
    }
    let expected = Reply::HttpReqCall {
        id: 2,
        action: stopped_by_the_sample(),
    };
    assert_eq!(
        call(&mut client, 2, token),
        expected,
        "the connection still serves"
    );
}

#[test]
fn id_0_should_be_filtered_like_any_other() {
    let runner = runner();
    let mut client = connect(&runner);
    let token = client.prepare(&[("stop", "")]).expect("token");
    let expected = Reply::HttpReqCall {
        id: 0,
        action: stopped_by_the_sample(),
    };
    assert_eq!(call(&mut client, 0, token), expected);
}

#[test]
fn an_absent_conf_should_get_a_token_and_change_nothing() {
    assert_eq!(run(&[]), HttpAction::None);
}

#[test]
fn a_value_less_argument_should_reach_the_filter() {
    let runner = runner();
    let mut client = connect(&runner);
    let token = client
        .prepare(&[("probe", r#"{"report":"x"}"#)])
        .expect("token");
    let args = [Entry::bare("z"), Entry::new("y", "")];
    let reply = send(
        &mut client,
        &HttpReqCall {
            args: &args,
            ..get(1, token)
        },
    );
    let report = report_of(&reply);
    assert!(
        report.contains(r#""args":[["z",null],["y",""]]"#),
        "{report}"
    );
}

#[test]
fn bytes_that_are_not_utf_8_should_be_shown_lossily_and_left_alone() {
    let runner = runner();
    let mut client = connect(&runner);
    let token = client
        .prepare(&[("probe", r#"{"report":"x"}"#)])
        .expect("token");
    let headers = [Entry::new("x-raw", b"\xff\xfe")];
    let reply = send(
        &mut client,
        &HttpReqCall {
            headers: &headers,
            ..get(1, token)
        },
    );
    let report = report_of(&reply);
    assert!(
        report.contains("[\"x-raw\",\"\u{fffd}\u{fffd}\"]"),
        "{report}"
    );
}

#[test]
fn a_plugin_name_should_match_exactly_and_a_miss_should_not_be_skipped() {
    let runner = runner();
    let mut client = connect(&runner);
    for name in [
        "ReWrite",
        "rewrite ",
        "rewrite.wasm",
        "../modules/rewrite",
        "",
    ] {
        let token = client
            .prepare(&[("rewrite", ""), (name, "")])
            .expect("token");
        assert_eq!(call(&mut client, 1, token), SERVICE_UNAVAILABLE, "{name:?}");
    }
    assert!(
        runner.prints("did you mean rewrite?", SOON),
        "{}",
        runner.log()
    );
}

#[test]
fn the_same_plugin_twice_should_run_twice_each_with_its_own_configuration() {
    let first = ("probe", r#"{"set_headers":{"X-0":"0"}}"#);
    let second = ("probe", r#"{"set_headers":{"X-1":"1"}}"#);
    let HttpAction::Rewrite { headers, .. } = run(&[first, second]) else {
        panic!("no rewrite");
    };
    assert_eq!(
        headers,
        [NamedValue::new("X-0", "0"), NamedValue::new("X-1", "1")]
    );
}

#[test]
fn only_what_a_filter_changed_should_be_sent_back() {
    let action = run(&[(
        "probe",
        r#"{"add_args":{"a":"3"},"remove_headers":["x-multi"]}"#,
    )]);
    let HttpAction::Rewrite {
        path,
        headers,
        args,
        ..
    } = action
    else {
        panic!("{action:?}");
    };
    assert_eq!(path, None);
    assert_eq!(
        headers,
        [NamedValue {
            name: b"x-multi".to_vec(),
            value: None
        }]
    );
    assert_eq!(
        args,
        ["1", "2", "3"].map(|value| NamedValue::new("a", value))
    );
}

#[test]
fn a_filter_that_fails_should_not_let_the_request_pass() {
    let runner = runner();
    let mut client = connect(&runner);
    for (conf, logged) in [
        (r#"{"set_path":"no-slash"}"#, "does not start with /"),
        (r#"{"unknown_key":1}"#, "unknown_key"),
        ("no JSON", "its configuration cannot be used"),
        (r#"{"status":99}"#, "status 99 is not between 200 and 599"),
    ] {
        let printed = runner.log().len();
        let token = client
            .prepare(&[("probe", conf)])
            .expect("a token all the same");
        assert_eq!(call(&mut client, 1, token), SERVICE_UNAVAILABLE, "{conf}");
        assert!(
            runner.prints_after(printed, logged, SOON),
            "{conf}: {}",
            runner.log()
        );
    }
}

#[test]
fn a_large_call_should_arrive_whole() {
    let config = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(config.path(), "limits: {header_kib: 2000}").expect("written");
    let modules = modules::examples();
    let paths = [modules.as_os_str(), config.path().as_os_str()];
    let args = ["serve".as_ref(), "--modules".as_ref(), paths[0]];
    let args = args.into_iter().chain(["--config".as_ref(), paths[1]]);
    let runner = RunnerProcess::start(env!("CARGO_BIN_EXE_runner").as_ref(), args, &[]);
    let runner = runner.expect("started");
    let mut client = connect(&runner);
    let token = client
        .prepare(&[("probe", r#"{"report":"x"}"#)])
        .expect("token");
    let value = "v".repeat(10_000);
    let headers: Vec<Entry<'_>> = (0..100).map(|_| Entry::new("x-large", &value)).collect();
    let reply = send(
        &mut client,
        &HttpReqCall {
            headers: &headers,
            ..get(1, token)
        },
    );
    assert!(report_of(&reply).len() > 1_000_000);
}

fn report_of(reply: &Reply) -> String {
    let Reply::HttpReqCall {
        action: HttpAction::Rewrite { headers, .. },
        ..
    } = reply
    else {
        panic!("{reply:?}");
    };
    let report = headers
        .iter()
        .find(|header| header.name == b"x")
        .expect("report");
    String::from_utf8(report.value.clone().expect("value")).expect("UTF-8")
}
