//! Requests: what is read, edited and reported, and in which order.

use guest_sdk::testing::{FakeRequest, RequestOutcome, run_request};
use guest_sdk::{Error, StopResponse};

use crate::Probe;

const NOTHING: [&str; 0] = [];

fn request() -> FakeRequest {
    FakeRequest::new("GET", "/a b")
        .id(0)
        .source_address("2001:db8::1")
        .header("Accept", "*/*")
        .header("X-Raw", b"caf\xe9 \"\t\x7f")
        .arg("a", "1")
        .arg("e", "")
        .arg_without_value("z")
        .variable("host", "example")
        .variable("empty", "")
        .body("hello")
}

fn run(configuration: &str) -> RequestOutcome {
    run_request::<Probe>(configuration, request())
}

#[track_caller]
fn report(outcome: &RequestOutcome) -> String {
    outcome.passed().header("x-report").unwrap_or_default()
}

#[test]
fn without_keys_nothing_happens() {
    let outcome = run("{}");
    outcome.passed();
    assert_eq!(outcome.edits, NOTHING);
    assert_eq!(outcome.questions, NOTHING);
}

#[test]
fn the_report_is_one_safe_line() {
    let outcome = run(r#"{"report": "X-Report"}"#);
    let expected = concat!(
        r#"{"method":"GET","path":"/a b","src_ip":"2001:db8::1","id":0,"#,
        r#""args":[["a","1"],["e",""],["z",null]],"#,
        r#""headers":[["accept","*/*"],["x-raw","caf"#,
        "\u{fffd}",
        r#" \"\u0009\u007f"]]}"#,
    );
    assert_eq!(report(&outcome), expected);
    assert_eq!(outcome.questions, NOTHING);
}

#[test]
fn variables_and_body_are_read_when_asked_for() {
    let table = [
        (
            r#""vars":["host","empty","nope"]"#,
            r#""vars":{"host":"example","empty":"","nope":null}}"#,
            &["variable host", "variable empty", "variable nope"][..],
        ),
        (r#""vars":[]"#, r#""vars":{}}"#, &[]),
        (r#""body":true"#, r#""body":"hello"}"#, &["body"]),
        (r#""body":false"#, r#"]]}"#, &[]),
    ];
    for (key, end, questions) in table {
        let configuration = [r#"{"report":"x-report","#, key, "}"].concat();
        let outcome = run(&configuration);
        let report = report(&outcome);
        assert!(report.ends_with(end), "{key}: {report}");
        assert_eq!(outcome.questions, questions, "for {key}");
    }
}

#[test]
fn an_absent_body_is_null() {
    let bare = FakeRequest::new("GET", "/");
    let outcome = run_request::<Probe>(r#"{"report":"x-report","body":true}"#, bare);
    assert!(report(&outcome).ends_with(r#""args":[],"headers":[],"body":null}"#));
}

#[test]
fn the_gateway_is_asked_without_a_report_too() {
    let outcome = run(r#"{"vars":["host"],"body":true}"#);
    outcome.passed();
    assert_eq!(outcome.questions, ["variable host", "body"]);
    assert_eq!(outcome.edits, NOTHING);
}

#[test]
fn the_body_that_came_is_sent_back_when_asked_for() {
    let outcome = run(r#"{"echo_body":true}"#);
    outcome.passed();
    assert_eq!(outcome.questions, ["body"]);
    assert_eq!(outcome.edits, ["set-body hello"]);
    let without = run_request::<Probe>(r#"{"echo_body":true}"#, FakeRequest::new("GET", "/"));
    without.passed();
    assert_eq!(without.edits, NOTHING);
}

#[test]
fn edits_follow_the_documented_order_not_the_written_one() {
    let outcome = run(r#"{
        "set_response_headers": {"x-early": "1"},
        "set_body": "new",
        "remove_args": ["e"],
        "add_args": {"a": "2"},
        "set_args": {"z": "9", "b": "8"},
        "remove_headers": ["accept"],
        "add_headers": {"x-b": "b", "x-a": "a"},
        "set_headers": {"X-Raw": "raw"},
        "set_path": "/new",
        "report": "x-report"
    }"#);
    let sent = outcome.passed();
    let report = sent.header("x-report").unwrap_or_default();
    assert!(
        report.contains(r#""path":"/a b""#),
        "read after edits: {report}"
    );
    assert_eq!(sent.query(), "a=1&z=9&b=8&a=2");
    let (last, edits) = outcome.edits.split_last().unwrap_or((&report, &[]));
    assert_eq!(
        edits,
        [
            "set-path /new",
            "set-header X-Raw raw",
            "add-header x-b b",
            "add-header x-a a",
            "remove-header accept",
            "set-arg z 9",
            "set-arg b 8",
            "add-arg a 2",
            "remove-arg e",
            "set-body new",
            "set-response-header x-early 1",
        ]
    );
    assert!(last.starts_with("set-header x-report {"));
}

#[test]
fn any_of_three_keys_stops() {
    let table = [
        (r#"{"status": 404}"#, StopResponse::new(404)),
        (
            r#"{"response_headers": {"b": "2", "a": "1"}}"#,
            StopResponse::new(200).header("b", "2").header("a", "1"),
        ),
        (
            r#"{"response_body": "bye"}"#,
            StopResponse::new(200).body("bye"),
        ),
        (r#"{"response_body": ""}"#, StopResponse::new(200)),
    ];
    for (configuration, expected) in table {
        assert_eq!(run(configuration).stopped(), &expected);
    }
}

#[test]
fn a_stop_carries_the_report() {
    let request = FakeRequest::new("PUT", "/").source_address("").id(7);
    let outcome = run_request::<Probe>(r#"{"status":201,"report":"X-Report"}"#, request);
    let report = r#"{"method":"PUT","path":"/","src_ip":"","id":7,"args":[],"headers":[]}"#;
    let expected = StopResponse::new(201).header("X-Report", report);
    assert_eq!(outcome.stopped(), &expected);
}

#[test]
fn what_the_host_refuses_is_the_failure() {
    let table = [
        (r#"{"set_path":"x"}"#, "invalid: set-path"),
        (r#"{"remove_headers":["Host"]}"#, "invalid: remove-header"),
        (r#"{"add_headers":{"accept":"x"}}"#, "invalid: add-header"),
        (r#"{"vars":["host"]}"#, "unsupported: no variables"),
        (r#"{"body":true}"#, "gateway: no body"),
    ];
    for (configuration, reason) in table {
        let request = request()
            .variables_error(Error::Unsupported(String::from("no variables")))
            .body_error(Error::Gateway(String::from("no body")));
        let outcome = run_request::<Probe>(configuration, request);
        assert!(outcome.failed().starts_with(reason), "{configuration}");
    }
}
