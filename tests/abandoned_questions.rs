//! A question to the gateway whose filter was given up: whoever asks next on the
//! same connection must not take the answer to it for its own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use harness::{Guest, RunnerProcess, WireClient};
use protocol::FrameBuilder;
use protocol::gateway_side::encode_answer;
use tempfile::TempDir;

const BODY: &str = r#"(import "apisix:filter/request@0.1.0" "body" (func $body (param i32)))"#;

/// Asks for a variable and shows it in a header.
const CONSUMER: &str = r#"
    (import "apisix:filter/variables@0.1.0" "get" (func $get (param i32 i32 i32)))
    (import "apisix:filter/request@0.1.0" "set-header"
        (func $set (param i32 i32 i32 i32 i32)))
    (data (i32.const 512) "consumer_name") (data (i32.const 544) "x-consumer")"#;

const SHOW_CONSUMER: &str = "
    (call $get (i32.const 512) (i32.const 13) (i32.const 64))
    (if (i32.load8_u (i32.const 64)) (then unreachable))
    (if (i32.load8_u (i32.const 68)) (then
        (call $set (i32.const 544) (i32.const 10)
            (i32.load (i32.const 72)) (i32.load (i32.const 76)) (i32.const 96))))
    i32.const 0";

/// Two filters, the first of which may be left out when its time is over.
fn runner() -> (RunnerProcess, TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    let slow = Guest::request_filter(
        BODY,
        "i32.const 0",
        "(call $body (i32.const 64)) i32.const 0",
    );
    let trusted = Guest::request_filter(CONSUMER, "i32.const 0", SHOW_CONSUMER);
    for (name, guest) in [("slow", slow), ("trusted", trusted)] {
        let file = folder.path().join(format!("{name}.wasm"));
        std::fs::write(file, guest.build()).expect("module");
    }
    let config = folder.path().join("config.yaml");
    let slow = "plugins: {slow: {on_error: {deadline: open}, limits: {gateway_ms: 200}}}";
    std::fs::write(&config, slow).expect("configuration");
    let paths = [folder.path().as_os_str(), config.as_os_str()];
    let args = ["serve".as_ref(), "--modules".as_ref(), paths[0]];
    let args = args.into_iter().chain(["--config".as_ref(), paths[1]]);
    let runner = RunnerProcess::start(Path::new(env!("CARGO_BIN_EXE_runner")), args, &[]);
    (runner.expect("started"), folder)
}

/// The type and the payload of the next frame.
fn frame(stream: &mut UnixStream) -> (u8, Vec<u8>) {
    let mut header = [0; 4];
    stream.read_exact(&mut header).expect("a frame");
    let [kind, length @ ..] = header;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).expect("a whole frame");
    (kind, payload)
}

fn answer(stream: &mut UnixStream, value: &[u8]) {
    let mut builder = FrameBuilder::new();
    let frame = encode_answer(&mut builder, Some(value)).expect("an answer");
    stream.write_all(frame).expect("sent");
}

fn holds(payload: &[u8], text: &str) -> bool {
    payload
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn the_answer_to_it_should_reach_nobody() {
    let (runner, _folder) = runner();
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let token = client.prepare(&[("slow", ""), ("trusted", "")]);
    let token = token.expect("token");
    let mut stream = UnixStream::connect(runner.socket()).expect("connection");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a time limit");
    for _ in 0..3 {
        let call = WireClient::simplest_call(token);
        stream.write_all(&call).expect("sent");
        assert_eq!(frame(&mut stream).0, 3, "the body");
        let late = "call goes on without a filter";
        assert!(
            runner.prints(late, Duration::from_secs(10)),
            "{}",
            runner.log()
        );
        // In order, as the gateway answers: the client's body, then the name.
        answer(&mut stream, b"ADMIN-FROM-THE-CLIENTS-BODY");
        let (kind, question) = frame(&mut stream);
        assert!(kind == 3 && holds(&question, "consumer_name"), "{kind}");
        answer(&mut stream, b"nobody");
        let (kind, reply) = frame(&mut stream);
        assert_eq!(kind, 2, "{}", runner.log());
        assert!(holds(&reply, "nobody") && !holds(&reply, "ADMIN"));
    }
}
