//! APISIX's tests of the request phase: `http-req-call.t`, `request-body.t`,
//! and those of `sanity.t` that a runner takes part in.

use harness::{Guest, HttpOutcome, HttpRequest, RouteConf, TestGateway, modules};

use crate::Seen::{Body, Header, Read, Refused, ResponseHeader, Status, Target};
use crate::{RUNNER, RequestRow, check_requests, get};

const STOP: &str = r#"{"status":405,"response_headers":{"X-Resp":"foo","X-Req":"bar",
    "X-Same":"one","X-Same":"two"},"response_body":"cat"}"#;
const STOP_WITH_BODY_READ: &str = r#"{"body":true,"report":"r","status":405}"#;
const HOST: &str = r#"{"set_path":"/uri","set_headers":{"host":"127.0.0.1"},"report":"r"}"#;
const ARGS: &str = r#"{"set_path":"/plugin_proxy_rewrite_args","set_args":{"a":"foo","c":"bar"},
    "add_args":{"a":"bar"},"remove_args":["d"],"report":"r"}"#;
const ARGS_ONLY: &str = r#"{"set_args":{"a":"foo","c":"bar"},"add_args":{"a":"bar"},
    "remove_args":["d"]}"#;
const PATH_ONLY: &str = r#"{"set_path":"/plugin_proxy_rewrite_args"}"#;

/// Behind `proxy-rewrite` with a `host`.
fn to_host(host: &str) -> HttpRequest {
    let mut request = get("/hello");
    request.headers.clear();
    request.header("host", host)
}

pub(crate) fn http_req_call() -> Vec<RequestRow> {
    let input = get("/hello?xx=y&xx=z&&y=&&z")
        .header("X-Req", "foo")
        .header("X-Req", "bar")
        .header("X-Resp", "cat");
    let report_and_go = &[("probe", r#"{"report":"r"}"#)];
    vec![
        RequestRow {
            from: "APISIX http-req-call 2, 26",
            what: "stop, one header twice",
            plugins: &[("probe", STOP)],
            request: get("/hello"),
            expected: &[
                Status(405),
                Body("cat"),
                Header("x-resp", &["foo"]),
                Header("x-req", &["bar"]),
                Header("x-same", &["one", "two"]),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 3",
            what: "check input",
            plugins: report_and_go,
            request: HttpRequest {
                method: "PUT".to_owned(),
                ..input
            },
            expected: &[
                Target("/hello?xx=y&xx=z&y=&z"),
                Read(r#""method":"PUT","path":"/hello","src_ip":"127.0.0.1""#),
                Read(r#""args":[["xx","y"],["xx","z"],["y",""],["z",null]]"#),
                Read(r#"["x-req","foo"],["x-req","bar"],["x-resp","cat"]"#),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 4",
            what: "check input (ipv6)",
            plugins: report_and_go,
            request: HttpRequest {
                src_ip: std::net::Ipv6Addr::LOCALHOST.octets().to_vec(),
                ..get("/hello")
            },
            expected: &[Target("/hello"), Read(r#""src_ip":"::1""#)],
        },
        RequestRow {
            from: "APISIX http-req-call 5",
            what: "rewrite",
            plugins: &[(
                "probe",
                r#"{"set_path":"/uri","set_headers":{"X-Change":"bar","X-Add":"bar"},
                    "remove_headers":["X-Delete"]}"#,
            )],
            request: get("/hello")
                .header("X-Change", "foo")
                .header("X-Delete", "foo"),
            expected: &[
                Target("/uri"),
                Header("x-change", &["bar"]),
                Header("x-add", &["bar"]),
                Header("x-delete", &[]),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 6",
            what: "rewrite host",
            plugins: &[("probe", HOST)],
            request: get("/hello"),
            expected: &[Target("/uri"), Header("host", &["127.0.0.1"])],
        },
        RequestRow {
            from: "APISIX http-req-call 7",
            what: "rewrite args",
            plugins: &[("probe", ARGS)],
            request: get("/hello?c=foo&d=bar"),
            expected: &[Target("/plugin_proxy_rewrite_args?a=foo&a=bar&c=bar")],
        },
        RequestRow {
            from: "APISIX http-req-call 9",
            what: "proxy-rewrite + rewrite host",
            plugins: &[("probe", HOST)],
            request: to_host("test.com"),
            expected: &[
                Read(r#"["host","test.com"]"#),
                Target("/uri"),
                Header("host", &["127.0.0.1"]),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 11",
            what: "proxy-rewrite + rewrite path",
            plugins: &[("probe", HOST)],
            request: get("/hello").rewritten_to("/xxx"),
            expected: &[
                Read(r#""path":"/xxx""#),
                Target("/uri"),
                Header("host", &["127.0.0.1"]),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 13",
            what: "proxy-rewrite + rewrite path with args",
            plugins: &[("probe", ARGS)],
            request: get("/hello").rewritten_to("/xxx?x=z"),
            expected: &[
                Read(r#""path":"/xxx""#),
                Read(r#""args":[["x","z"]]"#),
                Target("/plugin_proxy_rewrite_args?a=foo&a=bar&c=bar&x=z"),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 13",
            what: "proxy-rewrite + rewrite args only: lost there, if sent alone",
            plugins: &[("probe", ARGS_ONLY)],
            request: get("/hello").rewritten_to("/x%25%20y?d=1&x=z"),
            expected: &[Target("/x%25%20y?a=foo&a=bar&c=bar&x=z")],
        },
        RequestRow {
            from: "APISIX http-req-call 15",
            what: "rewrite args only",
            plugins: &[("probe", ARGS_ONLY)],
            request: get("/plugin_proxy_rewrite_args"),
            expected: &[Target("/plugin_proxy_rewrite_args?a=foo&a=bar&c=bar")],
        },
        RequestRow {
            from: "APISIX http-req-call 17",
            what: "rewrite, bad path",
            plugins: &[("probe", r#"{"set_path":"/plugin_proxy_rewrite_args?a=2"}"#)],
            request: get("/hello"),
            expected: &[Target("/plugin_proxy_rewrite_args%3Fa=2")],
        },
        RequestRow {
            from: "APISIX http-req-call 18",
            what: "stop without setting status code",
            plugins: &[(
                "probe",
                r#"{"response_headers":{"X-Resp":"foo"},"response_body":"cat"}"#,
            )],
            request: get("/hello"),
            expected: &[Status(200), Body("cat"), Header("x-resp", &["foo"])],
        },
        RequestRow {
            from: "APISIX http-req-call 19",
            what: "response headers on a request that goes on",
            plugins: &[(
                "probe",
                r#"{"set_path":"/resp","set_response_headers":{"X-Resp":"foo","X-Req":"bar"}}"#,
            )],
            request: get("/hello"),
            expected: &[
                Target("/resp"),
                ResponseHeader("x-resp", &["foo"]),
                ResponseHeader("x-req", &["bar"]),
            ],
        },
        RequestRow {
            from: "APISIX http-req-call 20",
            what: "a response header that the gateway ignores: a departure, the author is told",
            plugins: &[(
                "probe",
                r#"{"set_response_headers":{"Content-Type":"application/json"}}"#,
            )],
            request: get("/hello"),
            expected: &[Refused("the gateway ignores content-type")],
        },
        RequestRow {
            from: "APISIX http-req-call 20",
            what: "another of the ten: a departure",
            plugins: &[(
                "probe",
                r#"{"set_response_headers":{"Content-Encoding":"deflate"}}"#,
            )],
            request: get("/hello"),
            expected: &[Refused("the gateway ignores content-encoding")],
        },
        RequestRow {
            from: "APISIX http-req-call 28",
            what: "rewrite request body",
            plugins: &[("probe", r#"{"set_body":"abc\n"}"#)],
            request: get("/echo"),
            expected: &[Target("/echo"), Body("abc\n")],
        },
        RequestRow {
            from: "APISIX http-req-call 30",
            what: "rewrite path only",
            plugins: &[("probe", PATH_ONLY)],
            request: get("/hello?c=foo&d=bar"),
            expected: &[Target("/plugin_proxy_rewrite_args?c=foo&d=bar")],
        },
        RequestRow {
            from: "APISIX http-req-call 31",
            what: "rewrite path only, no args",
            plugins: &[("probe", PATH_ONLY)],
            request: get("/hello"),
            expected: &[Target("/plugin_proxy_rewrite_args")],
        },
    ]
}

pub(crate) fn bodies_and_sanity() -> Vec<RequestRow> {
    let post = || HttpRequest::new("POST", "/hello");
    vec![
        RequestRow {
            from: "APISIX request-body 2; APISIX extra-info 11",
            what: "text",
            plugins: &[("probe", STOP_WITH_BODY_READ)],
            request: post().body("123"),
            expected: &[Status(405), Read(r#""body":"123""#)],
        },
        RequestRow {
            from: "APISIX request-body 3",
            what: "x-www-form-urlencoded",
            plugins: &[("probe", STOP_WITH_BODY_READ)],
            request: post()
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body("foo=bar"),
            expected: &[Status(405), Read(r#""body":"foo=bar""#)],
        },
        RequestRow {
            from: "APISIX request-body 4",
            what: "json",
            plugins: &[("probe", STOP_WITH_BODY_READ)],
            request: post()
                .header("Content-Type", "application/json")
                .body(r#"{"foo":"bar"}"#),
            expected: &[Status(405), Read(r#""body":"{\"foo\":\"bar\"}""#)],
        },
        RequestRow {
            from: "APISIX request-body 5; APISIX extra-info 10",
            what: "none",
            plugins: &[("probe", STOP_WITH_BODY_READ)],
            request: post(),
            expected: &[Status(405), Read(r#""body":null"#)],
        },
        RequestRow {
            from: "APISIX sanity 2",
            what: "no conf",
            plugins: &[],
            request: post().body("123"),
            expected: &[Target("/hello"), Body("123")],
        },
        RequestRow {
            from: "APISIX sanity 10",
            what: "two plugins in order",
            plugins: &[
                ("probe", r#"{"set_headers":{"foo":"bar"}}"#),
                ("probe", r#"{"set_headers":{"cat":"dog"},"report":"r"}"#),
            ],
            request: get("/hello"),
            expected: &[
                Read(r#"["foo","bar"]"#),
                Header("foo", &["bar"]),
                Header("cat", &["dog"]),
            ],
        },
        RequestRow {
            from: "APISIX sanity 11",
            what: "error code",
            plugins: &[("probe", r#"{"set_path":"no slash"}"#)],
            request: get("/hello"),
            expected: &[Refused("does not start with /")],
        },
    ]
}

#[test]
fn requests_should_fare_as_in_the_gateways_own_tests() {
    check_requests(&http_req_call());
    check_requests(&bodies_and_sanity());
}

/// `probe` has no key that adds to a response header.
const SAME_RESPONSE_HEADER: &str = r#"
    (import "apisix:filter/request@0.1.0" "add-response-header"
        (func $add (param i32 i32 i32 i32 i32)))
    (data (i32.const 64) "X-Same" "one" "two")"#;

/// APISIX http-req-call 25
#[test]
fn a_response_header_should_be_added_twice_to_a_request_that_goes_on() {
    let add_both = "
        (call $add (i32.const 64) (i32.const 6) (i32.const 70) (i32.const 3) (i32.const 512))
        (call $add (i32.const 64) (i32.const 6) (i32.const 73) (i32.const 3) (i32.const 512))
        i32.const 0";
    let guest = Guest::request_filter(SAME_RESPONSE_HEADER, "i32.const 0", add_both);
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("same.wasm"), guest.build()).expect("written");
    let runner = modules::runner(RUNNER, folder.path());
    let gateway = TestGateway::new(runner.socket());
    let route = RouteConf::new("same").plugin("same", "");
    let outcome = gateway.request_phase(&route, &get("/hello")).faultless();
    let Ok(HttpOutcome::Upstream(upstream)) = outcome else {
        panic!("{outcome:?}\n{}", runner.log());
    };
    assert_eq!(upstream.response_header("x-same"), [b"one", b"two"]);
}
