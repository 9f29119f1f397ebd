//! What filters do to responses, seen from the client and the upstream: the
//! matrix of method, status, framing and change against the model of the
//! gateway, in which a reply without a body to print calls the upstream again.

use std::time::Duration;

use harness::test_gateway::ResponseOutcome;
use harness::{
    HttpRequest, Observed, RouteConf, RunnerProcess, TestGateway, UpstreamResponse, modules,
};

/// The log is written by a thread of its own.
const SOON: Duration = Duration::from_secs(5);

struct Stage {
    runner: RunnerProcess,
    gateway: TestGateway,
}

impl Stage {
    fn new() -> Self {
        let runner = modules::patient_runner(env!("CARGO_BIN_EXE_runner"), &modules::examples());
        let gateway = TestGateway::new(runner.socket());
        Stage { runner, gateway }
    }

    fn run(
        &self,
        plugin: &str,
        conf: &str,
        method: &str,
        upstream: &UpstreamResponse,
    ) -> Observed<ResponseOutcome> {
        let key = format!("{plugin} {conf:.200} {}", conf.len());
        let route = RouteConf::new(&key).plugin(plugin, conf);
        let request = HttpRequest::new(method, "/r?a=1").variable("request_method", method);
        let request = request.variable("uri", "/r");
        self.gateway
            .response_phase(&route, &request, &mut || upstream.clone())
    }

    /// Runs `probe` and expects no fault.
    fn good(&self, conf: &str, method: &str, upstream: &UpstreamResponse) -> ResponseOutcome {
        match self.run("probe", conf, method, upstream).faultless() {
            Ok(outcome) => outcome,
            Err(fault) => panic!("{conf} {method}: {fault}\n{}", self.runner.log()),
        }
    }
}

/// What the filter changes.
const CHANGES: [&str; 7] = [
    "{}",
    r#"{"response":{"body":true}}"#,
    r#"{"response":{"set_status":201}}"#,
    r#"{"response":{"set_headers":{"X-New":"1"}}}"#,
    r#"{"response":{"set_body":"new"}}"#,
    r#"{"response":{"set_status":500,"set_headers":{"X-New":"1"},"set_body":"new"}}"#,
    r#"{"response":{"vars":["uri"],"body":true},"report":"X-Report"}"#,
];

/// Every framing a response can have, full and empty.
fn upstreams(status: u16) -> Vec<(&'static str, UpstreamResponse)> {
    let base = |body| {
        UpstreamResponse::new(status, body)
            .header("X-Up", "1")
            .header("X-Up", "2")
            .header("ETag", "e")
    };
    let mut closed = base("");
    closed
        .headers
        .retain(|header| !header.name.eq_ignore_ascii_case(b"content-length"));
    vec![
        ("with a length", base("hello")),
        ("empty with a length", base("")),
        ("empty and closed", closed),
        (
            "in chunks",
            UpstreamResponse::chunked(status, "hello")
                .header("X-Up", "1")
                .header("X-Up", "2"),
        ),
        (
            "empty in chunks",
            UpstreamResponse::chunked(status, "")
                .header("X-Up", "1")
                .header("X-Up", "2"),
        ),
    ]
}

#[test]
fn no_reply_should_make_the_gateway_call_the_upstream_twice() {
    let stage = Stage::new();
    for method in ["GET", "POST", "HEAD", "DELETE"] {
        for status in [200, 204, 304, 404, 500] {
            for (framing, upstream) in upstreams(status) {
                for conf in CHANGES {
                    let outcome = stage.good(conf, method, &upstream);
                    let what = format!("{method} {status} {framing} {conf}");
                    // The one exception, which after_chain/response.rs explains.
                    let unread = !conf.contains("body") && method == "GET";
                    let printable = !matches!(status, 204 | 304);
                    let calls = if unread && printable && framing == "empty in chunks" {
                        2
                    } else {
                        1
                    };
                    assert_eq!(outcome.upstream_calls, calls, "{what}");
                }
            }
        }
    }
}

#[test]
fn the_response_should_arrive_as_its_filter_left_it() {
    let stage = Stage::new();
    for status in [200, 404, 500] {
        for (framing, upstream) in upstreams(status)
            .into_iter()
            .filter(|(_, up)| !up.body.is_empty())
        {
            for conf in CHANGES {
                let what = format!("{status} {framing} {conf}");
                let client = stage.good(conf, "GET", &upstream).response;
                let new_body = conf.contains("set_body");
                let expected_status = match conf {
                    _ if conf.contains("201") => 201,
                    _ if conf.contains("500") => 500,
                    _ => status,
                };
                assert_eq!(client.status, expected_status, "{what}");
                let body: &[u8] = if new_body { b"new" } else { b"hello" };
                assert_eq!(client.body, body, "{what}");
                assert_eq!(
                    client.header("x-up"),
                    [b"1", b"2"],
                    "{what}: repeats are kept"
                );
                assert_eq!(client.header("content-type"), [b"text/html"], "{what}");
                assert_eq!(
                    client.header("x-new").len(),
                    usize::from(conf.contains("X-New")),
                    "{what}"
                );
                let length = client.header("content-length");
                assert!(
                    !new_body || length.is_empty(),
                    "{what}: the old length went with the body"
                );
                let report = client.header("x-report");
                assert_eq!(
                    report.len(),
                    usize::from(conf.contains("X-Report")),
                    "{what}"
                );
                if let [report] = report[..] {
                    let report = String::from_utf8_lossy(report);
                    assert!(
                        report.contains(r#""vars":{"uri":"/r"},"body":"hello""#),
                        "{report}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_untouched_response_should_keep_every_header_but_the_connections() {
    let stage = Stage::new();
    let upstream = UpstreamResponse::new(302, "moved")
        .header("Location", "/elsewhere")
        .header("Content-Encoding", "gzip")
        .header("WWW-Authenticate", "Basic")
        .header("Content-Language", "de")
        .header("Set-Cookie", "a=1")
        .header("Set-Cookie", "b=2")
        .header("Connection", "keep-alive, X-Hop")
        .header("Keep-Alive", "timeout=5")
        .header("X-Hop", "1");
    let client = stage.good("{}", "GET", &upstream).response;
    for (name, values) in [
        ("location", &["/elsewhere"][..]),
        ("content-encoding", &["gzip"]),
        ("www-authenticate", &["Basic"]),
        ("content-language", &["de"]),
        ("content-type", &["text/html"]),
        ("content-length", &["5"]),
        ("set-cookie", &["a=1", "b=2"]),
        ("keep-alive", &[]),
        ("x-hop", &[]),
    ] {
        let found: Vec<_> = client
            .header(name)
            .into_iter()
            .map(String::from_utf8_lossy)
            .collect();
        assert_eq!(found, values, "{name}");
    }
    assert_eq!(
        (client.status, client.body.as_slice()),
        (302, &b"moved"[..])
    );
}

#[test]
fn headers_should_be_edited_in_any_case_of_their_letters() {
    let stage = Stage::new();
    let upstream = UpstreamResponse::new(200, "x")
        .header("X-A", "1")
        .header("X-A", "2");
    let rows: [(&str, &[&str]); 5] = [
        (r#"{"response":{"set_headers":{"x-a":"9"}}}"#, &["9"]),
        (
            r#"{"response":{"add_headers":{"x-a":"3"}}}"#,
            &["1", "2", "3"],
        ),
        (r#"{"response":{"remove_headers":["x-A"]}}"#, &[]),
        (r#"{"response":{"remove_headers":["nope"]}}"#, &["1", "2"]),
        (
            r#"{"response":{"remove_headers":["x-a","content-type","content-length"]}}"#,
            &[],
        ),
    ];
    for (conf, expected) in rows {
        let client = stage.good(conf, "GET", &upstream).response;
        let found: Vec<_> = client
            .header("x-a")
            .into_iter()
            .map(String::from_utf8_lossy)
            .collect();
        assert_eq!(found, expected, "{conf}");
    }
}

#[test]
fn a_failure_should_withhold_the_response() {
    let stage = Stage::new();
    // Echoed with a large new body, the headers are more than a frame carries.
    let secret = UpstreamResponse::new(200, "secret").header("X-Secret", &"1".repeat(1 << 20));
    let large = format!(
        r#"{{"response":{{"set_body":"{}"}}}}"#,
        "x".repeat(15 << 20)
    );
    for (plugin, conf, logged) in [
        ("nope", "{}", "there is no such plugin"),
        ("rewrite", "{}", "wrong phase: it has no response handler"),
        (
            "probe",
            r#"{"response":{"set_status":99}}"#,
            "status 99 is not between",
        ),
        (
            "probe",
            r#"{"response":{"set_body":""}}"#,
            "an empty body cannot be expressed",
        ),
        (
            "probe",
            r#"{"response":{"set_headers":{"Content-Length":"1"}}}"#,
            "the gateway's own",
        ),
        ("probe", "no JSON", "its configuration cannot be used"),
        (
            "probe",
            &large,
            "the reply cannot be sent: the message needs at least",
        ),
    ] {
        for method in ["GET", "HEAD"] {
            let observed = stage.run(plugin, conf, method, &secret);
            let what = format!("{plugin} {:.60} {method}", conf);
            assert_eq!(observed.faults, [], "{what}: an answer of the right type");
            let ResponseOutcome {
                response,
                upstream_calls,
            } = observed.outcome;
            assert_eq!((response.status, upstream_calls), (503, 1), "{what}");
            let body = String::from_utf8_lossy(&response.body);
            assert!(!body.contains("secret"), "{what}: {body}");
            assert_eq!(response.header("x-secret").len(), 0, "{what}");
            assert!(
                stage.runner.prints(logged, SOON),
                "{what}: {}",
                stage.runner.log()
            );
        }
    }
}

/// The gateway would close the connection and send the body as it is.
#[test]
fn a_body_that_the_gateway_cannot_hand_over_should_not_be_asked_for() {
    let stage = Stage::new();
    let masking = r#"{"response":{"body":true,"set_body":"masked"}}"#;
    let large = UpstreamResponse::new(200, &"s".repeat(17_000_000));
    let observed = stage.run("probe", masking, "GET", &large);
    assert_eq!(observed.faults, []);
    let response = observed.outcome.response;
    assert_eq!((response.status, response.body.len()), (503, 24));
    let expected = "the body has 17000000 bytes; the gateway can hand over";
    assert!(
        stage.runner.prints(expected, SOON),
        "{}",
        stage.runner.log()
    );
}

#[test]
fn later_filters_should_see_what_earlier_ones_changed() {
    let stage = Stage::new();
    let change = r#"{"response":{"set_status":202,"set_headers":{"X-A":"1"},"set_body":"new"}}"#;
    let report = r#"{"response":{"body":true},"report":"X-Report"}"#;
    let route = RouteConf::new("two")
        .plugin("probe", change)
        .plugin("probe", report);
    let request = HttpRequest::new("GET", "/").variable("request_method", "GET");
    let upstream = UpstreamResponse::new(200, "old");
    let observed = stage
        .gateway
        .response_phase(&route, &request, &mut || upstream.clone());
    let client = observed.faultless().expect("no fault").response;
    let seen = String::from_utf8_lossy(client.header("x-report")[0]).into_owned();
    for expected in [r#""status":202"#, r#"["X-A","1"]"#, r#""body":"new""#] {
        assert!(seen.contains(expected), "{seen}");
    }
    assert!(!seen.contains("Content-Length"), "{seen}");
}
