//! What outlives a call, with the second wall up: in a file that survives a
//! restart, and in a Redis that two runners share.

use harness::{HttpOutcome, HttpRequest, RouteConf, Signal};

use crate::namespace::inside;
use crate::redis_server::RedisServer;
use crate::stage::{Place, SOON, Stage};

/// Any: no other network has it.
const PORT: u16 = 6399;

/// What a client that may send two requests is told to have left.
fn requests_left(stage: &Stage) -> Option<String> {
    let route = RouteConf::new("limited").plugin("rate-limit", "2 3600");
    let observed = stage
        .gateway
        .request_phase(&route, &HttpRequest::new("GET", "/"));
    match observed.faultless().expect("a reply") {
        HttpOutcome::Upstream(request) => {
            let left = request.response_header("x-requests-left");
            // Where the store does not answer, nothing is counted.
            let [left] = left[..] else {
                panic!("nothing counted:\n{}", stage.runner.log())
            };
            Some(String::from_utf8_lossy(left).into_owned())
        }
        HttpOutcome::Client(response) => {
            assert_eq!(response.status, 429);
            None
        }
    }
}

/// Two requests before one runner, the third before the next one.
fn check(config: &str, one_after_the_other: bool) {
    let place = Place::with(&["rate-limit"]);
    let mut first = place.serve(config);
    assert_eq!(requests_left(&first).as_deref(), Some("1"), "{config}");
    assert_eq!(requests_left(&first).as_deref(), Some("0"), "{config}");
    if one_after_the_other {
        first.runner.signal(Signal::TERM).expect("signal");
        let status = first.runner.wait(SOON).expect("it ends");
        assert!(status.success(), "{status}:\n{}", first.runner.log());
    }
    let second = place.serve(config);
    assert_eq!(requests_left(&second), None, "{config}");
}

#[test]
fn what_filters_keep_should_be_there_for_the_next_runner() {
    let name = "stores::what_filters_keep_should_be_there_for_the_next_runner";
    inside(name, || {
        let granted = "grants: {key_value: {}}";
        check(
            &format!("{granted}\nkey_value: {{folder: HERE/state}}"),
            true,
        );
        let redis = |address: &str| {
            let timeout = "timeout_ms: 20000";
            format!("{granted}\nkey_value: {{store: redis, redis: \"{address}\", {timeout}}}")
        };
        let by_socket = RedisServer::start();
        check(&redis(&by_socket.address()), false);
        let _by_port = RedisServer::on_port(PORT);
        check(&redis(&format!("redis://127.0.0.1:{PORT}")), false);
    });
}
