//! `runner bench` from outside: what it counts against the real runner, and
//! that it calls each fault of a bad one by its name.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::modules;
use protocol::frame::HEADER_LEN;
use protocol::http_req_call::{self, Action, Req, Stop};
use protocol::{FrameBuilder, RpcType, prepare_conf};
use serde_json::Value;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// `options` are words apart by spaces; `'` keeps spaces together.
fn bench(socket: &Path, options: &str) -> Output {
    let words = options
        .split('\'')
        .enumerate()
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
    Command::new(RUNNER)
        .args(["bench", "--json", "--warmup", "0", "--socket"])
        .arg(socket)
        .args(words)
        .env_clear()
        .output()
        .expect("the runner runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {said}")
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn calls_should_be_served_and_counted() {
    let runner = modules::runner(RUNNER, &modules::examples());
    let folder = tempfile::tempdir().expect("folder");
    let body = folder.path().join("body");
    std::fs::write(&body, "x".repeat(100_000)).expect("file");
    let body = body.to_str().expect("UTF-8");
    let conf = folder.path().join("conf");
    std::fs::write(&conf, r#"{"status":403}"#).expect("file");
    let conf = conf.to_str().expect("UTF-8");
    for (options, calls, action, questions) in [
        (
            r#"--plugin probe --conf '{"set_headers":{"X-A":"1"}}' --requests 300"#,
            300,
            "rewrite",
            0,
        ),
        (
            "--plugin probe --conf {} --connections 7 --headers 50 --args 20 --requests 300",
            300,
            "none",
            0,
        ),
        (
            "--plugin probe --conf {} --chain 5 --connections 3 --requests 100",
            100,
            "none",
            0,
        ),
        (
            &format!("--plugin rewrite --plugin probe --conf '' --conf @{conf} --requests 9"),
            9,
            "stop",
            0,
        ),
        (
            &format!(
                r#"--plugin probe --conf '{{"vars":["a","b"],"body":true}}' --body {body} --requests 50"#
            ),
            50,
            "none",
            150,
        ),
    ] {
        let output = bench(runner.socket(), options);
        assert!(output.status.success(), "{options}: {}", said(&output));
        let report = json(&output);
        assert_eq!(report["requests"], calls, "{options}");
        assert_eq!(report["action"], action, "{options}");
        assert_eq!(report["questions"], questions, "{options}");
        assert_eq!(report["errors"]["total"], 0, "{options}");
        assert_eq!(report["process"]["pid"], runner.id(), "{options}");
        for figure in [
            &report["per_second"],
            &report["latency_us"]["p50"],
            &report["latency_us"]["max"],
            &report["process"]["resident_kib"],
        ] {
            assert!(figure.as_f64().is_some_and(|figure| figure > 0.0));
        }
        assert!(report["process"]["cpu_us"].is_number());
    }
}

#[test]
fn a_run_should_end_when_its_time_is_over() {
    let runner = modules::runner(RUNNER, &modules::examples());
    let output = bench(runner.socket(), "--plugin probe --conf {} --duration 100ms");
    let report = json(&output);
    assert!(output.status.success(), "{}", said(&output));
    assert!(report["seconds"].as_f64() >= Some(0.1));
    assert!(report["requests"].as_u64() > Some(0));
}

#[test]
fn a_runner_that_refuses_should_be_an_error_with_figures() {
    let runner = modules::runner(RUNNER, &modules::examples());
    let output = bench(runner.socket(), "--plugin nope --requests 20");
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!(report["errors"]["kinds"]["service_unavailable"], 20);
    assert_eq!(report["requests"], 0);
    assert!(said(&output).contains("20 of 20 calls failed"));
}

/// What a bad runner sends instead of the reply to a call: `good` is the right
/// one, `before` says how many calls came before.
type Fault = fn(good: Vec<u8>, before: u32) -> (Vec<u8>, End);

#[derive(PartialEq)]
enum End {
    Open,
    Closed,
}

#[test]
fn each_fault_should_be_called_by_its_name() {
    let rows: [(&str, Fault); 12] = [
        ("bad_request", |_, _| (error(0), End::Open)),
        ("service_unavailable", |_, _| (error(1), End::Open)),
        ("conf_token_not_found", |_, _| (error(2), End::Open)),
        ("unknown_code", |_, _| (error(9), End::Open)),
        ("unexpected_type", |good, _| {
            ([&[9], &good[1..]].concat(), End::Open)
        }),
        ("unexpected_type", |good, _| {
            ([&[4], &good[1..]].concat(), End::Open)
        }),
        ("malformed", |_, _| (vec![2, 0, 0, 1, 0], End::Open)),
        ("malformed", |_, _| (vec![2, 0, 0, 0], End::Open)),
        ("wrong_id", |_, _| (reply(77, Action::None), End::Open)),
        ("surplus", |good, _| ([good, vec![0]].concat(), End::Open)),
        ("closed", |_, _| (vec![], End::Closed)),
        ("torn", |good, _| (good[..9].to_vec(), End::Closed)),
    ];
    for (kind, fault) in rows {
        let report = check_fault(fault);
        let kinds = report["errors"]["kinds"].to_string();
        assert_eq!(report["errors"]["kinds"][kind], 6, "{kind}: {kinds}");
        assert_eq!(report["errors"]["total"], 6, "{kind}: {kinds}");
    }
}

#[test]
fn a_reply_that_is_not_like_the_first_should_be_noticed() {
    let report = check_fault(|good, before| {
        let stop = Action::Stop(&Stop {
            status: 403,
            ..Stop::default()
        });
        match before {
            // The first call does not count, and counts for itself alone.
            4 => (reply(4, stop), End::Open),
            _ => (good, End::Open),
        }
    });
    assert_eq!(report["errors"]["kinds"]["other_action"], 1, "{report}");
    assert_eq!(report["requests"], 5, "{report}");
}

#[test]
fn a_forgotten_token_should_be_prepared_anew() {
    let report = check_fault(|good, before| match before {
        4 => (error(2), End::Open),
        _ => (good, End::Open),
    });
    assert_eq!(report["errors"]["total"], 0, "{report}");
    assert_eq!(report["requests"], 6, "{report}");
    assert_eq!(report["prepared_anew"], 1, "{report}");
}

#[test]
fn what_keeps_a_run_from_starting_should_be_said() {
    let folder = tempfile::tempdir().expect("folder");
    let nowhere = folder.path().join("nobody.sock");
    for (options, expected) in [
        (
            "--plugin a",
            "start a runner, for example with `runner serve",
        ),
        ("--plugin a --pid 4294967295", "--pid: process 4294967295"),
        (
            "--plugin a --conf @/nowhere",
            "--conf @/nowhere: No such file",
        ),
        (
            "--plugin a --body /nowhere",
            "--body /nowhere: No such file",
        ),
        (
            "--plugin a --conf 1 --conf 2",
            "2 times --conf for 1 times --plugin",
        ),
    ] {
        let output = bench(&nowhere, options);
        assert_eq!(output.status.code(), Some(1), "{options}");
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

/// The report of six calls over one connection to a runner with this fault.
fn check_fault(fault: Fault) -> Value {
    let folder = tempfile::tempdir().expect("folder");
    let socket = folder.path().join("bad.sock");
    let listener = UnixListener::bind(&socket).expect("socket");
    let calls = Arc::new(AtomicU32::new(0));
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, calls) = (stream.expect("connection"), Arc::clone(&calls));
            std::thread::spawn(move || serve(stream, fault, &calls));
        }
    });
    let output = bench(&socket, "--plugin any --requests 6");
    let report = json(&output);
    let failed = report["errors"]["total"] != 0;
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{report}");
    report
}

fn serve(mut stream: UnixStream, fault: Fault, calls: &AtomicU32) {
    while let Some((rpc_type, payload)) = read_frame(&mut stream) {
        let (answer, end) = if rpc_type == RpcType::PrepareConf.byte() {
            let mut builder = FrameBuilder::new();
            let frame = prepare_conf::encode_reply(&mut builder, 7).expect("frame");
            (frame.to_vec(), End::Open)
        } else {
            let id = Req::decode(payload.into()).expect("a request").id();
            let before = calls.fetch_add(1, Ordering::Relaxed);
            fault(reply(id, Action::None), before)
        };
        if stream.write_all(&answer).is_err() || end == End::Closed {
            return;
        }
    }
}

fn read_frame(stream: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; HEADER_LEN];
    stream.read_exact(&mut header).ok()?;
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((header[0], payload))
}

fn reply(id: u32, action: Action<'_>) -> Vec<u8> {
    let mut builder = FrameBuilder::new();
    let frame = http_req_call::encode_reply(&mut builder, id, action).expect("frame");
    frame.to_vec()
}

/// By hand, because no runner should be able to send just any code.
fn error(code: u8) -> Vec<u8> {
    let table_at = [12, 0, 0, 0];
    let fields = [0, 0, 6, 0, 8, 0, 7, 0];
    let table = [6, 0, 0, 0, 0, 0, 0, code];
    [&[0, 0, 0, 20], &table_at[..], &fields, &table].concat()
}
