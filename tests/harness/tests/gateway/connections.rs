//! How the gateway uses its connections and its tokens.

use std::time::Duration;

use harness::{Fault, HttpRequest, RouteConf};
use protocol::RpcType::PrepareConf;
use protocol::http_req_call::{self, Action};
use protocol::prepare_conf;

use crate::scripted::{ScriptedRunner, Step, act, prepared, route};

#[test]
fn the_token_comes_over_a_second_connection_while_the_first_is_silent() {
    let runner = ScriptedRunner::doing(vec![act(Action::None)]);
    let gateway = runner.gateway();
    call(&gateway, &route());
    // Connection 0 was opened first and spoke last.
    assert_eq!(runner.seen(), [(1, 1), (0, 2)]);
    assert_eq!(gateway.idle_connections(), 2);
}

#[test]
fn tokens_and_connections_are_used_again() {
    let runner = ScriptedRunner::doing(vec![act(Action::None)]);
    let gateway = runner.gateway();
    for _ in 0..3 {
        call(&gateway, &route());
    }
    assert_eq!(runner.seen(), [(1, 1), (0, 2), (0, 2), (0, 2)]);
    call(&gateway, &RouteConf::new("route#2"));
    gateway.flush_tokens();
    call(&gateway, &route());
    let prepared = runner
        .seen()
        .iter()
        .filter(|(_, rpc_type)| *rpc_type == 1)
        .count();
    assert_eq!(prepared, 3, "once per key, and again after a flush");
}

#[test]
fn the_runner_is_told_what_the_route_says() {
    let runner = ScriptedRunner::start(|frame| match frame.known_type() {
        Some(PrepareConf) => prepared(u32::MAX),
        _ => vec![act(Action::None)],
    });
    let gateway = runner.gateway();
    let route = RouteConf::new("route#9")
        .plugin("first", "{}")
        .plugin("second", "");
    let request = HttpRequest::new("PUT", "/a?x=1&y")
        .rewritten_to("/n%20?a=1&b")
        .header("X-A", "");
    let _ = gateway
        .request_phase(&route, &request)
        .faultless()
        .expect("a faultless runner");
    let _ = gateway
        .request_phase(&route, &request)
        .faultless()
        .expect("a faultless runner");
    let mut frames = runner.frames().into_iter().map(|(_, frame)| frame.payload);

    let conf = prepare_conf::Req::decode(frames.next().expect("prepared")).expect("well formed");
    assert_eq!(conf.key(), Some(&b"route#9"[..]));
    assert_eq!(format!("{:?}", conf.conf()), "[first={}, second=]");
    for id in [0, 1] {
        let call = http_req_call::Req::decode(frames.next().expect("called")).expect("well formed");
        assert_eq!((call.id(), call.conf_token()), (id, u32::MAX));
        assert_eq!(
            (call.method(), call.src_ip()),
            (Some("PUT"), &[127, 0, 0, 1][..])
        );
        assert_eq!(
            call.path(),
            Some(&b"/n%20"[..]),
            "encoded after proxy-rewrite"
        );
        assert_eq!(format!("{:?}", call.args()), "[a=1, b]");
        assert_eq!(format!("{:?}", call.headers()), "[host=gateway.test, x-a=]");
    }
}

#[test]
fn at_most_a_hundred_headers_are_sent() {
    let runner = ScriptedRunner::doing(vec![act(Action::None)]);
    let mut request = HttpRequest::new("GET", "/");
    for number in 0..200 {
        request = request.header(&format!("x-{number}"), "v");
    }
    let _ = runner
        .gateway()
        .request_phase(&route(), &request)
        .faultless()
        .expect("faultless");
    let (_, frame) = runner.frames().pop().expect("a call");
    let call = http_req_call::Req::decode(frame.payload).expect("well formed");
    assert_eq!(call.headers().len(), 100);
}

#[test]
fn a_second_reply_spoils_the_connection() {
    let late = Duration::from_millis(50);
    let reply = || act(Action::None);
    for steps in [
        vec![reply(), reply()],
        vec![reply(), Step::Wait(late), reply()],
    ] {
        let runner = ScriptedRunner::doing(steps);
        let gateway = runner.gateway();
        let mut faults = gateway
            .request_phase(&route(), &HttpRequest::new("GET", "/"))
            .faults;
        faults.extend(gateway.watch_idle_connections(4 * late));
        assert_eq!(faults, [Fault::UnreadBytes(16)]);
        assert_eq!(gateway.idle_connections(), 1, "that of PrepareConf");
    }
}

#[test]
fn workers_share_a_gateway() {
    let runner = ScriptedRunner::doing(vec![
        Step::Wait(Duration::from_millis(20)),
        act(Action::None),
    ]);
    let gateway = runner.gateway();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| call(&gateway, &route()));
        }
    });
    let prepared = runner
        .seen()
        .iter()
        .filter(|(_, rpc_type)| *rpc_type == 1)
        .count();
    assert_eq!(
        prepared, 1,
        "one coroutine prepares, the others wait for it"
    );
}

fn call(gateway: &harness::TestGateway, route: &RouteConf) {
    let observed = gateway.request_phase(route, &HttpRequest::new("GET", "/"));
    assert_eq!(observed.faults, []);
}
