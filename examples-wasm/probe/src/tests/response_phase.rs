//! Responses: only `response` and `report` matter.

use guest_sdk::Error;
use guest_sdk::testing::{FakeResponse, ResponseOutcome, run_response};

use crate::Probe;

const NOTHING: [&str; 0] = [];

fn response() -> FakeResponse {
    FakeResponse::new(502)
        .id(4_294_967_295)
        .header("Content-Type", "text/plain")
        .header("Set-Cookie", "a=1")
        .header("Set-Cookie", "b=2")
        .variable("host", "example")
        .body(b"caf\xe9")
}

fn run(configuration: &str) -> ResponseOutcome {
    run_response::<Probe>(configuration, response())
}

#[test]
fn keys_of_the_request_phase_do_nothing() {
    let outcome = run(r#"{"vars":["host"],"body":true,"set_path":"/","status":404,
        "set_headers":{"a":"b"},"set_body":"x","response":{}}"#);
    outcome.passed();
    assert_eq!(outcome.edits, NOTHING);
    assert_eq!(outcome.questions, NOTHING);
}

#[test]
fn the_report_holds_what_was_read() {
    let plain = concat!(
        r#"{"id":4294967295,"status":502,"headers":[["Content-Type","text/plain"],"#,
        r#"["Set-Cookie","a=1"],["Set-Cookie","b=2"]]"#
    );
    let table = [
        ("", "}", &[][..]),
        (
            r#","response":{"vars":["nope","host"],"body":true}"#,
            ",\"vars\":{\"nope\":null,\"host\":\"example\"},\"body\":\"caf\u{fffd}\"}",
            &["variable nope", "variable host", "body"],
        ),
    ];
    for (keys, end, questions) in table {
        let outcome = run(&[r#"{"report":"x-report""#, keys, "}"].concat());
        let report = outcome.passed().header("X-Report");
        assert_eq!(report, Some([plain, end].concat()));
        assert_eq!(outcome.questions, questions);
    }
}

#[test]
fn edits_follow_the_documented_order() {
    let outcome = run(r#"{"response":{
        "set_body": "new",
        "remove_headers": ["content-type"],
        "add_headers": {"Set-Cookie": "c=3"},
        "set_headers": {"x": "y"},
        "set_status": 200
    }}"#);
    let sent = outcome.passed();
    assert_eq!(sent.header_values("set-cookie"), ["a=1", "b=2", "c=3"]);
    assert_eq!(
        outcome.edits,
        [
            "set-status 200",
            "set-header x y",
            "add-header Set-Cookie c=3",
            "remove-header content-type",
            "set-body new",
        ]
    );
}

#[test]
fn what_the_host_refuses_is_the_failure() {
    let table = [
        (r#"{"response":{"set_status":199}}"#, "invalid: set-status"),
        (r#"{"response":{"set_body":""}}"#, "invalid: set-body"),
        (r#"{"response":{"vars":["a"]}}"#, "unsupported: none"),
        (r#"{"response":{"body":true}}"#, "unsupported: none"),
    ];
    for (configuration, reason) in table {
        let none = Error::Unsupported(String::from("none"));
        let response = response().variables_error(none.clone()).body_error(none);
        let outcome = run_response::<Probe>(configuration, response);
        assert!(outcome.failed().starts_with(reason), "{configuration}");
    }
}
