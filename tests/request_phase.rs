//! What filters do to requests, seen from the upstream and the client: the
//! runner's replies applied as APISIX applies them.

use std::time::Duration;

use harness::{
    Fault, HttpOutcome, HttpRequest, RouteConf, RunnerProcess, TestGateway, UpstreamRequest,
    modules,
};

/// The log is written by a thread of its own.
const SOON: Duration = Duration::from_secs(5);

struct Stage {
    runner: RunnerProcess,
    gateway: TestGateway,
}

impl Stage {
    fn new() -> Self {
        let runner = modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples());
        let gateway = TestGateway::new(runner.socket());
        Stage { runner, gateway }
    }

    /// Runs `probe` with a configuration and returns what the upstream sees.
    fn upstream(&self, conf: &str, request: &HttpRequest) -> UpstreamRequest {
        let route = RouteConf::new(conf).plugin("probe", conf);
        match self.gateway.request_phase(&route, request).faultless() {
            Ok(HttpOutcome::Upstream(upstream)) => upstream,
            other => panic!("{conf}: {other:?}\n{}", self.runner.log()),
        }
    }

    /// Expects the call to fail, and the reason in the log.
    fn refused(&self, conf: &str, request: &HttpRequest, logged: &str) {
        let printed = self.runner.log().len();
        let route = RouteConf::new(conf).plugin("probe", conf);
        let observed = self.gateway.request_phase(&route, request);
        assert_eq!(observed.faults, [Fault::Refused(1)], "{conf}");
        assert!(
            self.runner.prints_after(printed, logged, SOON),
            "{conf}: {}",
            self.runner.log()
        );
        let HttpOutcome::Client(client) = observed.outcome else {
            panic!("{conf}: the request went on");
        };
        assert_eq!(client.status, 503, "{conf}");
        assert!(
            !String::from_utf8_lossy(&client.body).contains(logged),
            "{conf}: told the client"
        );
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn path_and_arguments_should_arrive_as_their_author_meant_them() {
    let rows = [
        ("{}", "/a?x=1", "/a?x=1"),
        (r#"{"set_path":"/p q%"}"#, "/a", "/p%20q%25"),
        (r#"{"set_path":"/p?q=1"}"#, "/a", "/p%3Fq=1"),
        (r#"{"set_args":{"x":"9"}}"#, "/a?x=1&x=2", "/a?x=9"),
        (r#"{"set_args":{"x":""}}"#, "/a", "/a?x="),
        (r#"{"add_args":{"x":"3"}}"#, "/a?x=1&x=2", "/a?x=1&x=2&x=3"),
        (r#"{"add_args":{"x":"a&b=c"}}"#, "/a", "/a?x=a%26b%3Dc"),
        (
            r#"{"remove_args":["x","nope"]}"#,
            "/a?x=1&x=2&y=3",
            "/a?y=3",
        ),
        (r#"{"remove_args":["x"]}"#, "/a?x", "/a"),
        (
            r#"{"set_path":"/p","set_args":{"y":"2"}}"#,
            "/a?x=1",
            "/p?x=1&y=2",
        ),
    ];
    let stage = Stage::new();
    for (conf, target, expected) in rows {
        let upstream = stage.upstream(conf, &HttpRequest::new("GET", target));
        assert_eq!(
            text(&upstream.path_and_query),
            expected,
            "{conf} on {target}"
        );
    }
}

#[test]
fn headers_should_arrive_as_their_author_meant_them() {
    let rows: [(&str, &[&str]); 6] = [
        ("{}", &["1", "2"]),
        (r#"{"set_headers":{"X-A":"9"}}"#, &["9"]),
        (r#"{"set_headers":{"x-a":"9"}}"#, &["9"]),
        (r#"{"remove_headers":["X-a"]}"#, &[]),
        (
            r#"{"remove_headers":["x-b"],"add_headers":{"x-b":"3"}}"#,
            &["1", "2"],
        ),
        (r#"{"set_headers":{"X-A":"ü"}}"#, &["ü"]),
    ];
    let stage = Stage::new();
    let request = HttpRequest::new("GET", "/")
        .header("X-A", "1")
        .header("X-A", "2");
    for (conf, expected) in rows {
        let upstream = stage.upstream(conf, &request);
        let values: Vec<&str> = upstream.header("x-a").into_iter().map(text).collect();
        assert_eq!(values, expected, "{conf}");
    }
    let host = stage.upstream(r#"{"set_headers":{"Host":"other.test"}}"#, &request);
    assert_eq!(host.header("host"), [b"other.test"]);
}

#[test]
fn body_and_response_headers_should_be_set_on_a_request_that_goes_on() {
    let stage = Stage::new();
    let conf = r#"{"set_body":"new","set_response_headers":{"X-R":"1"}}"#;
    let upstream = stage.upstream(conf, &HttpRequest::new("POST", "/").body("old"));
    assert_eq!(upstream.body.as_deref(), Some(&b"new"[..]));
    assert_eq!(upstream.response_header("x-r"), [b"1"]);
}

#[test]
fn what_cannot_be_expressed_should_fail_the_call_and_say_why() {
    let rows = [
        (
            r#"{"add_headers":{"x-a":"2"}}"#,
            "cannot add a second value",
        ),
        (
            r#"{"remove_headers":["host"]}"#,
            "the host header cannot be removed",
        ),
        (r#"{"set_headers":{"a b":"1"}}"#, "is not an HTTP token"),
        (
            r#"{"set_headers":{"x":"1\r\ny: 2"}}"#,
            "CR, LF and NUL cannot be sent",
        ),
        (
            r#"{"set_headers":{"Content-Length":"2"}}"#,
            "content-length is the gateway's own",
        ),
        (
            r#"{"remove_headers":["transfer-encoding"]}"#,
            "transfer-encoding is the gateway's own",
        ),
        (
            r#"{"set_headers":{"host":""}}"#,
            "the host header cannot be empty",
        ),
        (
            r#"{"status":200,"response_headers":{"Content-Length":"0"},"response_body":"x"}"#,
            "stopped with an invalid response: content-length is the gateway's own",
        ),
        (r#"{"set_path":"p"}"#, "does not start with /"),
        (r#"{"set_path":""}"#, "does not start with /"),
        (r#"{"set_body":""}"#, "an empty body cannot be expressed"),
        (r#"{"set_args":{"":"1"}}"#, "an argument needs a name"),
        (r#"{"add_args":{"z":"1"}}"#, "value-less occurrence"),
        (
            r#"{"set_response_headers":{"Location":"/"}}"#,
            "the gateway ignores location",
        ),
    ];
    let stage = Stage::new();
    let request = HttpRequest::new("GET", "/a?z").header("x-a", "1");
    for (conf, logged) in rows {
        stage.refused(conf, &request, logged);
    }
}

#[test]
fn a_path_should_be_decoded_whatever_form_the_gateway_sent() {
    let stage = Stage::new();
    let rows = [
        // A client's own %25, decoded once by the gateway: not to be decoded
        // again. No upstream_uri.
        (HttpRequest::new("GET", "/100%41"), r#""path":"/100%41""#),
        (
            HttpRequest::new("GET", "/old").rewritten_to("/a%20b?x=1"),
            r#""path":"/a b""#,
        ),
        (
            HttpRequest::new("GET", "/old").rewritten_to("/plain"),
            r#""path":"/plain""#,
        ),
        (
            HttpRequest::new("GET", "/old").rewritten_to("/a%zz%2"),
            r#""path":"/a%zz%2""#,
        ),
    ];
    for (request, expected) in rows {
        let upstream = stage.upstream(r#"{"report":"x-report"}"#, &request);
        let report = text(upstream.header("x-report")[0]).to_owned();
        assert!(report.contains(expected), "{report}");
    }
}

/// The gateway would encode the decoded path again, with one slash more.
#[test]
fn arguments_should_not_change_a_path_with_an_encoded_slash() {
    let stage = Stage::new();
    let uri = "/a%2Fb?x=1";
    let request = HttpRequest::new("GET", "/old")
        .variable("upstream_uri", uri)
        .rewritten_to(uri);
    let expected = "which has an encoded slash; set the path as well";
    stage.refused(r#"{"set_args":{"x":"2"}}"#, &request, expected);
    let both = stage.upstream(r#"{"set_path":"/c","set_args":{"x":"2"}}"#, &request);
    assert_eq!(text(&both.path_and_query), "/c?x=2");
}

#[test]
fn later_filters_should_see_what_earlier_ones_changed() {
    let stage = Stage::new();
    let first = r#"{"set_path":"/new","set_headers":{"X-A":"1"},"set_args":{"x":"9"},
        "remove_headers":["x-gone"]}"#;
    let route = RouteConf::new("two")
        .plugin("probe", first)
        .plugin("probe", r#"{"report":"r"}"#);
    let request = HttpRequest::new("GET", "/old?x=1")
        .header("x-gone", "1")
        .header("x-a", "0");
    let outcome = stage.gateway.request_phase(&route, &request).faultless();
    let Ok(HttpOutcome::Upstream(upstream)) = outcome else {
        panic!("{outcome:?}");
    };
    let report = text(upstream.header("r")[0]);
    for expected in [
        r#""path":"/new""#,
        r#"["X-A","1"]"#,
        r#""args":[["x","9"]]"#,
    ] {
        assert!(report.contains(expected), "{report}");
    }
    assert!(!report.contains("x-gone"), "{report}");
}

#[test]
fn a_stop_should_carry_the_report_and_nothing_of_its_own() {
    let stage = Stage::new();
    let conf = r#"{"status":403,"response_headers":{"X-Why":"no"},"response_body":"no",
        "report":"x-report"}"#;
    let route = RouteConf::new("stop").plugin("probe", conf);
    let outcome = stage
        .gateway
        .request_phase(&route, &HttpRequest::new("GET", "/"))
        .faultless();
    let Ok(HttpOutcome::Client(client)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((client.status, client.body.as_slice()), (403, &b"no"[..]));
    assert_eq!(client.header("x-why"), [b"no"]);
    assert_eq!(client.headers.len(), 2, "{:?}", client.headers);
}

#[test]
fn nothing_should_follow_a_reply() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.upstream("{}", &HttpRequest::new("GET", "/"));
    }
    let faults = stage
        .gateway
        .watch_idle_connections(Duration::from_millis(300));
    assert_eq!(faults, []);
    assert_eq!(
        stage.gateway.idle_connections(),
        2,
        "one for the token, one for the calls"
    );
}

#[test]
fn the_gateway_should_recover_from_a_restart_of_the_runner() {
    let stage = Stage::new();
    let request = HttpRequest::new("GET", "/");
    let conf = r#"{"set_headers":{"x-a":"1"}}"#;
    stage.upstream(conf, &request);
    // A token that an earlier runner gave: unknown here, prepared anew.
    let other = Stage::new();
    let gateway = stage.gateway.moved_to(other.runner.socket());
    let route = RouteConf::new(conf).plugin("probe", conf);
    let observed = gateway.request_phase(&route, &request);
    assert_eq!(observed.faults, [Fault::Refused(2)]);
    assert!(
        matches!(observed.outcome, HttpOutcome::Upstream(_)),
        "{:?}",
        observed.outcome
    );
}
