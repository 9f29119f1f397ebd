//! Requests that end at the gateway.

use harness::test_gateway::NGINX_PAGE;
use harness::{ClientResponse, HttpOutcome, HttpRequest};
use protocol::Entry;
use protocol::gateway_side::NamedValue;
use protocol::http_req_call::{Action, Stop};

use crate::scripted::{ScriptedRunner, act, route};

#[test]
fn a_stop_answers_the_client() {
    let headers = [
        Entry::new("Set-Cookie", "a"),
        Entry::new("set-cookie", "b"),
        Entry::new("X_u", "c"),
        Entry::bare("x-cleared"),
    ];
    let page = vec![NamedValue::new("content-type", "text/html; charset=utf-8")];
    let named = vec![
        NamedValue::new("set-cookie", "a"),
        NamedValue::new("set-cookie", "b"),
        NamedValue::new("x-u", "c"),
    ];
    for (fact, stop, expected) in [
        (
            "headers: first sets, repeats add, underscore becomes dash",
            Stop {
                status: 403,
                headers: &headers,
                body: b"no",
            },
            (403, named, &b"no"[..]),
        ),
        ("no status is 200", Stop::default(), (200, vec![], b"")),
        (
            "no body from 300 on is nginx's page",
            Stop {
                status: 404,
                ..Stop::default()
            },
            (404, page, NGINX_PAGE),
        ),
    ] {
        let runner = ScriptedRunner::doing(vec![act(Action::Stop(&stop))]);
        let observed = runner
            .gateway()
            .request_phase(&route(), &HttpRequest::new("GET", "/"));
        let (status, headers, body) = expected;
        let response = ClientResponse {
            status,
            headers,
            body: body.to_vec(),
        };
        assert_eq!(
            observed.faultless(),
            Ok(HttpOutcome::Client(response)),
            "{fact}"
        );
    }
}

#[test]
fn an_unknown_method_never_reaches_the_runner() {
    let runner = ScriptedRunner::doing(vec![]);
    let observed = runner
        .gateway()
        .request_phase(&route(), &HttpRequest::new("PURGE", "/"));
    let HttpOutcome::Client(response) = observed.outcome else {
        panic!("passed on")
    };
    assert_eq!(response.status, 500);
    assert_eq!(runner.seen(), []);
}
