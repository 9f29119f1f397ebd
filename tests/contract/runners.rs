//! What the Go, Java and Python suites, plugins and end-to-end tests expect
//! of the request phase.

use std::net::IpAddr;

use harness::{Fault, HttpOutcome, HttpRequest, TestGateway};
use protocol::http_req_call::METHODS;

use crate::Seen::{Body, Header, Read, Refused, ResponseHeader, Status, Target};
use crate::{Plugins, RequestRow, check_requests, get, route, runner};

const REPORT_ONLY: Plugins = &[("probe", r#"{"report":"r"}"#)];

fn from_address(address: &str) -> HttpRequest {
    let src_ip = match address.parse().expect("an address") {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    HttpRequest { src_ip, ..get("/") }
}

pub(crate) fn from_go() -> Vec<RequestRow> {
    let headers = get("/")
        .header("k", "v")
        .header("cache-control", "no-cache")
        .header("cache-control", "no-store")
        .header("cat", "dog");
    vec![
        RequestRow {
            from: "Go TestPrepareConfUnknownPlugin; Java conf-handler undefined-filter",
            what: "an unknown plugin fails: a departure, it is skipped there",
            plugins: &[("unknown", "{}"), ("rewrite", "")],
            request: get("/"),
            expected: &[Refused("there is no such plugin")],
        },
        RequestRow {
            from: "Go TestPrepareConfBadConf, TestHTTPReqCall_FailedToParseConf, TestSay_BadConf, \
                TestRequestBodyRewrite_ParseConf",
            what: "a bad configuration fails: a departure, its plugin is skipped there",
            plugins: &[("rewrite", ""), ("probe", "")],
            request: get("/"),
            expected: &[Refused(
                "its configuration cannot be used: expected an object",
            )],
        },
        RequestRow {
            from: "Go TestRequestFilter",
            what: "a stop first: the second filter does not run",
            plugins: &[
                (
                    "probe",
                    r#"{"status":200,"response_headers":{"foo":"bar"}}"#,
                ),
                ("probe", r#"{"set_path":"a failure, if it ran"}"#),
            ],
            request: get("/"),
            expected: &[Status(200), Header("foo", &["bar"])],
        },
        RequestRow {
            from: "Go TestRequestFilter; Java encoder mix",
            what: "a stop after a rewrite",
            plugins: &[
                (
                    "probe",
                    r#"{"set_path":"/new","set_headers":{"foo":"bar"}}"#,
                ),
                (
                    "probe",
                    r#"{"status":200,"response_headers":{"foo":"bar"},"report":"r"}"#,
                ),
            ],
            request: get("/"),
            expected: &[
                Status(200),
                Header("foo", &["bar"]),
                Read(r#"["foo","bar"]"#),
                Read(r#""path":"/new""#),
            ],
        },
        RequestRow {
            from: "Go TestRequestFilter_SetRespHeaderDoNotBreakReq, TestRequestFilter_SetRespHeader, TestRespHeader",
            what: "a response header does not end the chain",
            plugins: &[
                ("probe", r#"{"set_response_headers":{"foo":"baz"}}"#),
                ("probe", r#"{"set_headers":{"foo":"bar"}}"#),
            ],
            request: get("/"),
            expected: &[Header("foo", &["bar"]), ResponseHeader("foo", &["baz"])],
        },
        RequestRow {
            from: "Go TestSrcIp",
            what: "IPv4",
            plugins: REPORT_ONLY,
            request: from_address("127.2.3.1"),
            expected: &[Read(r#""src_ip":"127.2.3.1""#)],
        },
        RequestRow {
            from: "Go TestSrcIp",
            what: "IPv6",
            plugins: REPORT_ONLY,
            request: from_address("2001:db8::68"),
            expected: &[Read(r#""src_ip":"2001:db8::68""#)],
        },
        RequestRow {
            from: "Go TestSrcIp",
            what: "a short IPv6",
            plugins: REPORT_ONLY,
            request: from_address("::12"),
            expected: &[Read(r#""src_ip":"::12""#)],
        },
        RequestRow {
            from: "Go TestPath",
            what: "read and set",
            plugins: &[("probe", r#"{"report":"r","set_path":"/go"}"#)],
            request: get("/apisix"),
            expected: &[Read(r#""path":"/apisix""#), Target("/go")],
        },
        RequestRow {
            from: "Go TestHeader",
            what: "read, set and removed in any case",
            plugins: &[
                (
                    "probe",
                    r#"{"report":"r","remove_headers":["empty","K"],"set_headers":{"cache-control":"max-age=10s"}}"#,
                ),
                (
                    "probe",
                    r#"{"set_headers":{"k":"v2"},"remove_headers":["Cache-Control","cat"]}"#,
                ),
            ],
            request: headers,
            expected: &[
                Read(
                    r#"["k","v"],["cache-control","no-cache"],["cache-control","no-store"],["cat","dog"]"#,
                ),
                Header("k", &["v2"]),
                Header("cache-control", &[]),
                Header("cat", &[]),
            ],
        },
        RequestRow {
            from: "Go TestArgs",
            what: "set, replaced, added and removed",
            plugins: &[(
                "probe",
                r#"{"set_args":{"set":"a","override":"b"},"add_args":{"add":"b"},"remove_args":["del"]}"#,
            )],
            request: get("/?del=a&override=a&add=a"),
            expected: &[Target("/?set=a&override=b&add=a&add=b")],
        },
        RequestRow {
            from: "Go TestFetchChanges; Java encoder more-stop-headers",
            what: "a stop with repeated headers and a body",
            plugins: &[(
                "probe",
                r#"{"response_headers":{"foo":"bar","foo":"baz","cat":"dog"},"response_body":"hello world"}"#,
            )],
            request: get("/"),
            expected: &[
                Status(200),
                Header("foo", &["bar", "baz"]),
                Header("cat", &["dog"]),
                Body("hello world"),
            ],
        },
        RequestRow {
            from: "Go TestFetchChangesEmptyResponse, TestSay_NoBody; Python test_response_call_handler",
            what: "nothing written: the request goes on",
            plugins: &[("probe", "{}")],
            request: get("/a?x&y="),
            expected: &[Target("/a?x&y=")],
        },
        RequestRow {
            from: "Go TestFetchChangesStatusOnly",
            what: "a status alone stops",
            plugins: &[("probe", r#"{"status":400}"#)],
            request: get("/"),
            expected: &[Status(400)],
        },
        RequestRow {
            from: "Go TestWriteHeaderTwice",
            what: "the first stop wins",
            plugins: &[
                ("probe", r#"{"status":400}"#),
                ("probe", r#"{"status":503}"#),
            ],
            request: get("/"),
            expected: &[Status(400)],
        },
        RequestRow {
            from: "Go TestFaultInjection; Go e2e fault-injection",
            what: "status and body",
            plugins: &[("probe", r#"{"status":400,"response_body":"hello"}"#)],
            request: get("/test/go/runner/faultinjection"),
            expected: &[Status(400), Body("hello")],
        },
        RequestRow {
            from: "Go TestSay; Go e2e say",
            what: "header and body",
            plugins: &[(
                "probe",
                r#"{"response_headers":{"X-Resp-A6-Runner":"Go"},"response_body":"hello"}"#,
            )],
            request: get("/test/go/runner/say"),
            expected: &[
                Status(200),
                Header("x-resp-a6-runner", &["Go"]),
                Body("hello"),
            ],
        },
        RequestRow {
            from: "Go TestRequestBodyRewrite_RequestFilter; Go e2e request-body-rewrite",
            what: "the body replaced, its length with it",
            plugins: &[("probe", r#"{"set_body":"new_body"}"#)],
            request: HttpRequest::new("POST", "/echo")
                .header("content-length", "5")
                .body("hello"),
            expected: &[Body("new_body"), Header("content-length", &["8"])],
        },
        RequestRow {
            from: "Go TestRequestBodyRewrite_ParseConf",
            what: "an empty body: a departure, it is ignored there",
            plugins: &[("probe", r#"{"set_body":""}"#)],
            request: HttpRequest::new("POST", "/echo").body("hello"),
            expected: &[Refused("an empty body cannot be expressed")],
        },
    ]
}

pub(crate) fn from_java_and_python() -> Vec<RequestRow> {
    vec![
        RequestRow {
            from: "Java conf-handler order",
            what: "filters run as listed: a departure, they are sorted by a number there",
            plugins: &[
                ("probe", r#"{"set_headers":{"x":"1"}}"#),
                ("rewrite", "2"),
                ("probe", r#"{"set_headers":{"x":"3"},"report":"r"}"#),
            ],
            request: get("/"),
            expected: &[
                Read(r#"["x","1"]"#),
                Read(r#""path":"/a6/python/runner""#),
                Header("x", &["3"]),
            ],
        },
        RequestRow {
            from: "Java conf-handler skip-duplicate",
            what: "a name twice runs twice: a departure, the second is skipped there",
            plugins: &[
                ("probe", r#"{"add_args":{"x":"1"}}"#),
                ("probe", r#"{"add_args":{"x":"2"}}"#),
            ],
            request: get("/"),
            expected: &[Target("/?x=1&x=2")],
        },
        RequestRow {
            from: "Java call-handler request-params; Python test_parse_dict_vector, test_parse_list_vector",
            what: "path, arguments, headers, address, method",
            plugins: REPORT_ONLY,
            request: get("/path?argKey=argValue").header("headerKey", "headerValue"),
            expected: &[
                Read(r#""method":"GET","path":"/path","src_ip":"127.0.0.1""#),
                Read(r#""args":[["argKey","argValue"]]"#),
                Read(r#"["headerkey","headerValue"]"#),
            ],
        },
        RequestRow {
            from: "Java encoder rewrite, more-headers-and-args; Python test_create_dict_vector",
            what: "path, headers and arguments",
            plugins: &[(
                "probe",
                r#"{"set_path":"/hello","set_headers":{"Server":"APISIX","Authorization":"Bearer x","time":"1"},
                    "set_args":{"foo":"bar","dog":"cat","abc":"edf"}}"#,
            )],
            request: get("/old"),
            expected: &[
                Target("/hello?foo=bar&dog=cat&abc=edf"),
                Header("server", &["APISIX"]),
                Header("authorization", &["Bearer x"]),
                Header("time", &["1"]),
            ],
        },
        RequestRow {
            from: "Java encoder stop; Java call-handler stop",
            what: "status, header and body",
            plugins: &[(
                "probe",
                r#"{"status":401,"response_headers":{"code":"401"},"response_body":"Unauthorized"}"#,
            )],
            request: get("/"),
            expected: &[Status(401), Header("code", &["401"]), Body("Unauthorized")],
        },
        RequestRow {
            from: "Java encoder stop-without-status",
            what: "a header alone stops",
            plugins: &[("probe", r#"{"response_headers":{"Foo":"Bar"}}"#)],
            request: get("/"),
            expected: &[Status(200), Header("foo", &["Bar"])],
        },
        RequestRow {
            from: "Java encoder null-keys; Python test_request_handler",
            what: "a header without a name: a departure, it is ignored there",
            plugins: &[("probe", r#"{"set_headers":{"":"x"}}"#)],
            request: get("/"),
            expected: &[Refused("is not an HTTP token")],
        },
        RequestRow {
            from: "Java encoder null-keys; Python test_request_handler",
            what: "an argument without a name: a departure",
            plugins: &[("probe", r#"{"set_args":{"":"x"}}"#)],
            request: get("/"),
            expected: &[Refused("an argument needs a name")],
        },
        RequestRow {
            from: "Java encoder null-keys; Python test_response_handler",
            what: "a response header without a name: a departure",
            plugins: &[("probe", r#"{"set_response_headers":{"":"x"}}"#)],
            request: get("/"),
            expected: &[Refused("is not an HTTP token")],
        },
        RequestRow {
            from: "Java e2e rewrite",
            what: "path, header and argument",
            plugins: &[(
                "probe",
                r#"{"set_path":"/get","set_headers":{"foo":"bar"},"set_args":{"foo":"bar"}}"#,
            )],
            request: get("/test"),
            expected: &[Target("/get?foo=bar"), Header("foo", &["bar"])],
        },
        RequestRow {
            from: "Java e2e stop; Python e2e stop; Python test_process_execute, test_dispatch_call",
            what: "the sample stop",
            plugins: &[("stop", r#"{"body":"hello"}"#)],
            request: get("/get"),
            expected: &[
                Status(201),
                Header("x-resp-a6-runner", &["Python"]),
                Body("Hello, Python Runner of APISIX"),
            ],
        },
        RequestRow {
            from: "Python e2e rewrite; Python test_process_execute, test_dispatch_call",
            what: "the sample rewrite",
            plugins: &[("rewrite", r#"{"body":"hello"}"#)],
            request: get("/get?a=1"),
            expected: &[
                Target("/a6/python/runner?a=1&a6_runner=Python"),
                Header("x-resp-a6-runner", &["Python"]),
            ],
        },
        RequestRow {
            from: "Python test_dispatch_call",
            what: "the sample rewrite for an IPv6 client",
            plugins: &[("rewrite", "")],
            request: from_address("::1"),
            expected: &[Target("/a6/python/runner?a6_runner=Python")],
        },
        RequestRow {
            from: "Python test_process_execute",
            what: "a filter that fails",
            plugins: &[("probe", r#"{"set_headers":{"x":"a\nb"}}"#)],
            request: get("/"),
            expected: &[Refused("CR, LF and NUL cannot be sent")],
        },
    ]
}

#[test]
fn requests_should_fare_as_in_the_suites_of_the_runners() {
    check_requests(&from_go());
    check_requests(&from_java_and_python());
}

/// Go TestMethod; Python test_get_method_code_by_name, test_get_method_name_by_code
#[test]
fn every_method_should_be_read_by_its_name() {
    let runner = runner();
    let gateway = TestGateway::new(runner.socket());
    assert_eq!(METHODS.len(), 15);
    for method in METHODS {
        let request = HttpRequest::new(method, "/");
        let outcome = gateway
            .request_phase(&route(REPORT_ONLY), &request)
            .faultless();
        let Ok(HttpOutcome::Upstream(upstream)) = outcome else {
            panic!("{method}: {outcome:?}");
        };
        let report = String::from_utf8_lossy(upstream.header("r")[0]);
        assert!(
            report.contains(&format!(r#""method":"{method}""#)),
            "{method}: {report}"
        );
    }
}

/// APISIX sanity 20, 22
///
/// There the runner is gone; here it refuses.
#[test]
fn a_refusal_should_stop_a_request_unless_the_route_allows_degradation() {
    let runner = runner();
    let gateway = TestGateway::new(runner.socket());
    let route = route(&[("unknown", "bar")]);
    let observed = gateway.request_phase(&route, &get("/hello"));
    assert_eq!(observed.faults, [Fault::Refused(1)]);
    assert!(matches!(observed.outcome, HttpOutcome::Client(response) if response.status == 503));
    let observed = gateway.request_phase(&route.allow_degradation(), &get("/hello"));
    assert_eq!(observed.faults, [Fault::Refused(1)]);
    assert!(matches!(observed.outcome, HttpOutcome::Upstream(_)));
}
