//! The response phase: APISIX's `response.t` and the second half of
//! `extra-info.t`, and what the Go and Java suites expect of a response.

use harness::{HttpRequest, UpstreamResponse};
use protocol::gateway_side::NamedValue;

use crate::Seen::{Body, Header, Read, Refused, Status};
use crate::{ResponseRow, check_responses, get};

const REPORT_ONLY: &str = r#"{"report":"r"}"#;
const READ_BODY: &str = r#"{"report":"r","response":{"body":true}}"#;

fn hello() -> UpstreamResponse {
    UpstreamResponse::new(200, "hello world\n")
}

/// The ordinary row: a plain response to a plain request.
fn row() -> ResponseRow {
    ResponseRow {
        from: "",
        what: "",
        plugins: &[],
        request: get("/hello"),
        upstream: hello(),
        expected: &[],
    }
}

pub(crate) fn from_apisix() -> Vec<ResponseRow> {
    vec![
        ResponseRow {
            from: "APISIX response 2",
            what: "check input",
            plugins: &[("probe", REPORT_ONLY)],
            expected: &[
                Status(200),
                Body("hello world\n"),
                Read(
                    r#""status":200,"headers":[["Content-Type","text/html"],["Content-Length","12"]]"#,
                ),
                Header("content-type", &["text/html"]),
            ],
            ..row()
        },
        ResponseRow {
            from: "APISIX response 3",
            what: "modify body",
            plugins: &[("probe", r#"{"response":{"set_body":"cat"}}"#)],
            expected: &[Status(200), Body("cat"), Header("content-length", &[])],
            ..row()
        },
        ResponseRow {
            from: "APISIX response 4",
            what: "modify header",
            plugins: &[(
                "probe",
                r#"{"response":{"set_headers":{"x-runner":"Test-Runner","Content-Type":"application/json"}}}"#,
            )],
            upstream: hello().header("X-Runner", "Go-runner"),
            expected: &[
                Status(200),
                Header("x-runner", &["Test-Runner"]),
                Header("content-type", &["application/json"]),
                Body("hello world\n"),
            ],
            ..row()
        },
        ResponseRow {
            from: "APISIX response 5",
            what: "modify same response headers",
            plugins: &[(
                "probe",
                r#"{"response":{"add_headers":{"x-same":"one","X-Same":"two"}}}"#,
            )],
            expected: &[
                Status(200),
                Header("x-same", &["one", "two"]),
                Body("hello world\n"),
            ],
            ..row()
        },
        ResponseRow {
            from: "APISIX response 6; Go TestResponse_WriteHeader",
            what: "modify status",
            plugins: &[("probe", r#"{"response":{"set_status":304}}"#)],
            expected: &[Status(304), Body("")],
            ..row()
        },
        ResponseRow {
            from: "APISIX response 8, 10",
            what: "a failure is no leak, with degradation neither: a departure",
            plugins: &[("probe", r#"{"response":{"set_status":100}}"#)],
            expected: &[Refused("status 100")],
            ..row()
        },
        ResponseRow {
            from: "APISIX response 15",
            what: "response chunked",
            plugins: &[("probe", "{}")],
            upstream: UpstreamResponse::chunked(200, "hello world\n"),
            expected: &[
                Status(200),
                Body("hello world\n"),
                Header("transfer-encoding", &[]),
            ],
            ..row()
        },
        ResponseRow {
            from: "APISIX extra-info 7",
            what: "ask var",
            plugins: &[(
                "probe",
                r#"{"report":"r","response":{"vars":["server_addr","remote_addr","route_id","arg_x","erver_addr"]}}"#,
            )],
            request: get("/hello?x=")
                .variable("server_addr", "127.0.0.1")
                .variable("remote_addr", "127.0.0.1")
                .variable("route_id", "1")
                .variable("arg_x", ""),
            expected: &[
                Read(
                    r#""vars":{"server_addr":"127.0.0.1","remote_addr":"127.0.0.1","route_id":"1","arg_x":"","erver_addr":null}"#,
                ),
                Body("hello world\n"),
            ],
            ..row()
        },
        ResponseRow {
            from: "APISIX extra-info 8",
            what: "ask response body",
            plugins: &[("probe", READ_BODY)],
            expected: &[Read(r#""body":"hello world\u000a""#), Body("hello world\n")],
            ..row()
        },
        ResponseRow {
            from: "APISIX extra-info 9",
            what: "ask response body (chunked), two filters",
            plugins: &[("probe", READ_BODY), ("probe", READ_BODY)],
            upstream: UpstreamResponse::chunked(200, "hello world\n"),
            expected: &[Read(r#""body":"hello world\u000a""#), Body("hello world\n")],
            ..row()
        },
    ]
}

pub(crate) fn from_go_and_java() -> Vec<ResponseRow> {
    let bad_gateway = || UpstreamResponse::new(502, "no").header("X-Resp-A6-Runner", "Java");
    let headers = hello()
        .header("k", "v")
        .header("cache-control", "no-cache")
        .header("cache-control", "no-store")
        .header("cat", "dog");
    vec![
        ResponseRow {
            from: "Go TestHTTPRespCall",
            what: "no filters",
            expected: &[
                Status(200),
                Body("hello world\n"),
                Header("content-type", &["text/html"]),
                Header("content-length", &["12"]),
            ],
            ..row()
        },
        ResponseRow {
            from: "Go TestHTTPRespCall_FailedToParseConf, TestResponseRewrite_BadConf",
            what: "a bad configuration fails: a departure, it is skipped there",
            plugins: &[("probe", "ouch")],
            expected: &[Refused("its configuration cannot be used")],
            ..row()
        },
        ResponseRow {
            from: "Go TestResponseFilter, TestResponse_StatusCode",
            what: "status read and set, header set",
            plugins: &[(
                "probe",
                r#"{"report":"r","response":{"set_status":200,"set_headers":{"bee":"bar"}}}"#,
            )],
            upstream: bad_gateway(),
            expected: &[
                Read(r#""status":502"#),
                Status(200),
                Header("bee", &["bar"]),
                Header("content-type", &["text/html"]),
                Body("no"),
            ],
            ..row()
        },
        ResponseRow {
            from: "Go TestResponse_TwiceWriteHeader",
            what: "the last status wins: a departure, it is the first there",
            plugins: &[
                ("probe", r#"{"response":{"set_status":304}}"#),
                ("probe", r#"{"response":{"set_status":502}}"#),
            ],
            expected: &[Status(502), Body("hello world\n")],
            ..row()
        },
        ResponseRow {
            from: "Go TestResponse_Header",
            what: "headers read, set and removed; the others stay: a departure",
            plugins: &[
                (
                    "probe",
                    r#"{"response":{"remove_headers":["empty","k"],"set_headers":{"Cache-Control":"max-age=10s"}}}"#,
                ),
                (
                    "probe",
                    r#"{"report":"r","response":{"remove_headers":["cache-Control","cat"],"set_headers":{"k":"v2"}}}"#,
                ),
            ],
            upstream: headers,
            expected: &[
                Read(r#"["cat","dog"]"#),
                Read(r#"["Cache-Control","max-age=10s"]"#),
                Header("k", &["v2"]),
                Header("cache-control", &[]),
                Header("cat", &[]),
                Header("content-type", &["text/html"]),
            ],
            ..row()
        },
        ResponseRow {
            from: "Go TestResponse_Write",
            what: "body only: status and headers stay",
            plugins: &[("probe", r#"{"response":{"set_body":"hello world"}}"#)],
            upstream: bad_gateway(),
            expected: &[
                Status(502),
                Body("hello world"),
                Header("x-resp-a6-runner", &["Java"]),
            ],
            ..row()
        },
        ResponseRow {
            from: "Go TestResponseRewrite; Go e2e response-rewrite",
            what: "status, headers and body",
            plugins: &[(
                "probe",
                r#"{"response":{"set_status":200,"set_headers":{"X-Resp-A6-Runner":"Go","X-Server-Id":"9527"},
                    "set_body":"response rewrite"}}"#,
            )],
            upstream: bad_gateway(),
            expected: &[
                Status(200),
                Header("x-resp-a6-runner", &["Go"]),
                Header("x-server-id", &["9527"]),
                Body("response rewrite"),
            ],
            ..row()
        },
        ResponseRow {
            from: "Go TestResponseRewrite_ConfEmpty",
            what: "header only: status and body stay",
            plugins: &[(
                "probe",
                r#"{"response":{"set_headers":{"X-Resp-A6-Runner":"Go"}}}"#,
            )],
            upstream: bad_gateway(),
            expected: &[Status(502), Header("x-resp-a6-runner", &["Go"]), Body("no")],
            ..row()
        },
        ResponseRow {
            from: "Java post-filter doPostFilter; Java e2e post",
            what: "status and header read, all changed",
            plugins: &[(
                "probe",
                r#"{"report":"r","response":{"set_status":418,"set_headers":{"new-header":"v"},"set_body":"new"}}"#,
            )],
            upstream: UpstreamResponse {
                headers: vec![NamedValue::new("headerKey", "headerValue")],
                ..UpstreamResponse::new(418, "teapot")
            },
            expected: &[
                Read(r#""status":418,"headers":[["headerKey","headerValue"]]"#),
                Status(418),
                Header("new-header", &["v"]),
                Body("new"),
            ],
            ..row()
        },
        ResponseRow {
            from: "Java e2e post-with-vars",
            what: "variable and body in one call",
            plugins: &[(
                "probe",
                r#"{"report":"r","response":{"vars":["server_port"],"body":true}}"#,
            )],
            request: HttpRequest::new("POST", "/hello").variable("server_port", "9080"),
            expected: &[
                Read(r#""vars":{"server_port":"9080"},"body":"hello world\u000a""#),
                Body("hello world\n"),
            ],
            ..row()
        },
        ResponseRow {
            from: "Java post-response without-charset",
            what: "text is UTF-8",
            plugins: &[("probe", r#"{"response":{"set_body":"你好"}}"#)],
            expected: &[Body("你好")],
            ..row()
        },
    ]
}

#[test]
fn responses_should_fare_as_in_the_suites() {
    check_responses(&from_apisix());
    check_responses(&from_go_and_java());
}
