//! What no gateway would send. Each row is sent on a connection of its own; an
//! answer comes where one is possible, the connection ends where its stream
//! cannot be followed any further, and another connection never notices.

use std::time::{Duration, Instant};

use harness::wire_client::{NoReply, WireClient};
use harness::{RunnerProcess, modules};
use protocol::gateway_side::{HttpAction, HttpReqCall, Reply};
use protocol::{Entry, FrameBuilder};

const BAD_REQUEST: Result<Reply, NoReply> = Ok(Reply::Error(0));
const CLOSED: Result<Reply, NoReply> = Err(NoReply::Closed);

fn runner() -> RunnerProcess {
    modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples())
}

/// A client with a prepared filter, to see that it goes on being served.
struct GoodClient {
    client: WireClient,
    token: u32,
}

impl GoodClient {
    fn new(runner: &RunnerProcess) -> Self {
        let mut client = WireClient::connect(runner.socket()).expect("connection");
        let token = client.prepare(&[("stop", "")]).expect("token");
        GoodClient { client, token }
    }

    fn check(&mut self) {
        let call = call(self.token);
        let reply = self.client.exchange(&call).expect("reply");
        assert!(
            matches!(
                reply,
                Reply::HttpReqCall {
                    action: HttpAction::Stop { status: 201, .. },
                    ..
                }
            ),
            "{reply:?}"
        );
    }
}

fn call(conf_token: u32) -> Vec<u8> {
    let headers = [Entry::new("host", "a")];
    let call = HttpReqCall {
        path: b"/",
        headers: &headers,
        conf_token,
        ..HttpReqCall::default()
    };
    call.encode(&mut FrameBuilder::new())
        .expect("frame")
        .to_vec()
}

/// Sends bytes and says that no more will come.
fn send(runner: &RunnerProcess, bytes: &[u8]) -> WireClient {
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    client.send(bytes).expect("sent");
    client
}

#[test]
fn malformed_frames_should_be_refused_and_the_next_call_served() {
    let runner = runner();
    let mut good = GoodClient::new(&runner);
    let call_bytes = call(good.token);
    let mut zeroed = call_bytes.clone();
    zeroed[8..].fill(0);
    let mut all_ones = call_bytes.clone();
    all_ones[4..].fill(0xff);
    let mut one_short = call_bytes.clone();
    one_short.pop();
    one_short[3] -= 1;
    let rows: [(&str, &[u8]); 8] = [
        ("a payload of one byte", &[2, 0, 0, 1, 0]),
        (
            "a payload that points outside",
            &[2, 0, 0, 4, 0xff, 0xff, 0xff, 0x7f],
        ),
        ("a PrepareConf of rubbish", b"\x01\x00\x00\x08rubbish!"),
        ("a response call of rubbish", b"\x04\x00\x00\x08rubbish!"),
        ("tables of zeros", &zeroed),
        ("a payload of ones", &all_ones),
        ("an unknown type", b"\x63\x00\x00\x08rubbish!"),
        ("an answer to no question", b"\x03\x00\x00\x08rubbish!"),
    ];
    for (what, bytes) in rows {
        let mut client = send(&runner, bytes);
        let reply = client.receive();
        assert!(
            matches!(reply, Ok(Reply::Error(0..=2))),
            "{what}: {reply:?}"
        );
        let served = client.exchange(&call_bytes);
        assert!(
            matches!(served, Ok(Reply::HttpReqCall { .. })),
            "{what}: then {served:?}"
        );
        good.check();
    }
    let mut client = send(&runner, &one_short);
    let reply = client.receive();
    assert!(
        matches!(reply, Ok(Reply::Error(0) | Reply::HttpReqCall { .. })),
        "padding may be missing: {reply:?}"
    );
}

#[test]
fn a_stream_that_is_no_stream_of_frames_should_be_closed() {
    let runner = runner();
    let mut good = GoodClient::new(&runner);
    let call_bytes = call(good.token);
    let rows: [(&str, &[u8], &[Result<Reply, NoReply>], &str); 5] = [
        (
            "a zero-length frame",
            &[2, 0, 0, 0],
            &[BAD_REQUEST, CLOSED],
            "empty payload",
        ),
        ("a torn header", &[2, 0], &[CLOSED], "2 bytes short"),
        (
            "a torn payload",
            &call_bytes[..20],
            &[CLOSED],
            "bytes short",
        ),
        (
            "the largest announcement",
            &[2, 0xff, 0xff, 0xff],
            &[CLOSED],
            "16777215 bytes short",
        ),
        ("nothing at all", &[], &[CLOSED], "listening"),
    ];
    for (what, bytes, expected, logged) in rows {
        let printed = if logged == "listening" {
            0
        } else {
            runner.log().len()
        };
        let mut client = send(&runner, bytes);
        client.finish().expect("half-closed");
        for expected in expected {
            assert_eq!(client.receive(), *expected, "{what}");
        }
        assert!(
            runner.prints_after(printed, logged, Duration::from_secs(5)),
            "{what}: {}",
            runner.log()
        );
        good.check();
    }
}

#[test]
fn a_call_in_single_bytes_and_two_calls_in_one_write_should_be_served() {
    let runner = runner();
    let mut good = GoodClient::new(&runner);
    let bytes = call(good.token);
    for byte in &bytes {
        good.client.send(std::slice::from_ref(byte)).expect("sent");
    }
    assert!(matches!(
        good.client.receive(),
        Ok(Reply::HttpReqCall { .. })
    ));
    good.client
        .send(&[bytes.clone(), bytes].concat())
        .expect("sent");
    for _ in 0..2 {
        assert!(matches!(
            good.client.receive(),
            Ok(Reply::HttpReqCall { .. })
        ));
    }
}

#[test]
fn a_thousand_silent_clients_should_be_in_nobodys_way() {
    let runner = runner();
    let silent: Vec<WireClient> = (0..1000)
        .map(|index| {
            // Some stop in the middle of a frame.
            let bytes: &[u8] = if index % 2 == 0 {
                &[]
            } else {
                &[2, 0, 1, 0, 7]
            };
            send(&runner, bytes)
        })
        .collect();
    let mut good = GoodClient::new(&runner);
    let started = Instant::now();
    for _ in 0..100 {
        good.check();
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    drop(silent);
    good.check();
}

#[test]
fn a_client_that_vanishes_before_its_reply_should_harm_nobody() {
    let runner = runner();
    let mut good = GoodClient::new(&runner);
    for _ in 0..100 {
        drop(send(&runner, &call(good.token)));
    }
    good.check();
}
