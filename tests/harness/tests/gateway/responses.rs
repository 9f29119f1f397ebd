//! What becomes of a response, and how often the upstream is called for it:
//! the reply handling of `ext-plugin-post-resp`.

use harness::test_gateway::ResponseOutcome;
use harness::{Fault, HttpRequest, Observed, UpstreamResponse};
use protocol::Entry;
use protocol::err_resp::Code;
use protocol::extra_info::Question;
use protocol::http_resp_call::Edits;

use crate::scripted::{ScriptedRunner, Step, ask, edit, refuse, route};

#[test]
fn an_unedited_response_loses_ten_headers() {
    let upstream = UpstreamResponse::new(200, "body")
        .header("Location", "/x")
        .header("X-A", "1");
    let observed = respond(vec![edit(&Edits::default())], "GET", &upstream);
    let response = observed.faultless().expect("a faultless runner").response;
    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, &b"body"[..])
    );
    assert_eq!(response.header("content-type"), [b"text/plain"]);
    assert_eq!(response.header("location"), [b""; 0]);
    assert_eq!(response.header("x-a"), [b"1"]);
}

#[test]
fn echoed_headers_replace_the_whole_list() {
    let headers = [
        Entry::new("Content-Type", "text/html"),
        Entry::new("Content-Length", "4"),
        Entry::new("ETag", "e"),
        Entry::new("Connection", "close"),
        Entry::new("X-New", "1"),
        Entry::new("X-New", "2"),
    ];
    let edits = Edits {
        headers: &headers,
        ..Edits::default()
    };
    let upstream = UpstreamResponse::new(200, "body").header("X-Dropped", "1");
    let response = respond(vec![edit(&edits)], "GET", &upstream)
        .faultless()
        .expect("faultless");
    let response = response.response;
    for (name, expected) in [
        ("content-type", &[&b"text/html"[..]][..]),
        ("content-length", &[b"4"]),
        ("etag", &[b"e"]),
        ("connection", &[]),
        ("x-new", &[b"1", b"2"]),
        ("x-dropped", &[]),
    ] {
        assert_eq!(response.header(name), expected, "{name}");
    }
}

#[test]
fn transfer_encoding_must_not_be_echoed() {
    let headers = [Entry::new("Transfer-Encoding", "chunked")];
    let edits = Edits {
        headers: &headers,
        ..Edits::default()
    };
    let observed = respond(
        vec![edit(&edits)],
        "GET",
        &UpstreamResponse::chunked(200, "body"),
    );
    assert_eq!(
        observed.outcome.response.header("transfer-encoding").len(),
        2
    );
}

#[test]
fn the_length_of_the_old_body_breaks_the_new_one() {
    let headers = [Entry::new("Content-Length", "11")];
    let edits = Edits {
        headers: &headers,
        body: Some(b"new"),
        ..Edits::default()
    };
    let observed = respond(
        vec![edit(&edits)],
        "GET",
        &UpstreamResponse::new(200, "old content"),
    );
    assert_eq!(
        observed.faults,
        [Fault::BrokenLength {
            announced: 11,
            sent: 3
        }]
    );
}

#[test]
fn how_often_the_upstream_is_called() {
    let plain = UpstreamResponse::new;
    let one_byte = Edits {
        body: Some(b"\n"),
        ..Edits::default()
    };
    let to_204 = Edits {
        status: Some(204),
        ..Edits::default()
    };
    let nothing = Edits::default();
    for (fact, method, upstream, edits, calls, body) in [
        (
            "200 with a body",
            "GET",
            plain(200, "body"),
            nothing,
            1,
            "body",
        ),
        ("204", "GET", plain(204, ""), nothing, 2, ""),
        ("304", "GET", plain(304, ""), nothing, 2, ""),
        ("HEAD", "HEAD", plain(200, ""), nothing, 2, ""),
        (
            "chunked and empty",
            "POST",
            UpstreamResponse::chunked(200, ""),
            nothing,
            2,
            "",
        ),
        (
            "empty with a length",
            "POST",
            plain(200, ""),
            nothing,
            1,
            "",
        ),
        ("one byte on 204", "GET", plain(204, ""), one_byte, 1, ""),
        ("one byte on 304", "GET", plain(304, ""), one_byte, 1, ""),
        ("one byte on HEAD", "HEAD", plain(200, ""), one_byte, 1, ""),
        (
            "one byte on chunked and empty",
            "POST",
            UpstreamResponse::chunked(200, ""),
            one_byte,
            1,
            "\n",
        ),
        ("204 set on a 200", "GET", plain(200, "body"), to_204, 1, ""),
    ] {
        let observed = respond(vec![edit(&edits)], method, &upstream);
        assert_eq!(observed.outcome.upstream_calls, calls, "{fact}");
        assert_eq!(observed.outcome.response.body, body.as_bytes(), "{fact}");
    }
}

#[test]
fn status_and_body_are_replaced_apart() {
    for (status, body, expected) in [
        (Some(201), None, (201, "old")),
        (None, Some(&b"new"[..]), (200, "new")),
        (Some(503), Some(b"new"), (503, "new")),
    ] {
        let edits = Edits {
            status,
            body,
            ..Edits::default()
        };
        let observed = respond(
            vec![edit(&edits)],
            "GET",
            &UpstreamResponse::new(200, "old"),
        );
        let response = observed.outcome.response;
        assert_eq!(
            (response.status, response.body),
            (expected.0, expected.1.into())
        );
    }
}

#[test]
fn an_error_lets_the_body_out() {
    let upstream = UpstreamResponse::new(200, "secret").header("X-A", "1");
    let runner = ScriptedRunner::doing(vec![refuse(Code::ServiceUnavailable)]);
    for (route, status) in [(route(), 503), (route().allow_degradation(), 200)] {
        let request = HttpRequest::new("GET", "/");
        let observed = runner
            .gateway()
            .response_phase(&route, &request, &mut || upstream.clone());
        assert_eq!(observed.faults, [Fault::Refused(1)]);
        let response = observed.outcome.response;
        assert_eq!(
            (response.status, response.body.as_slice()),
            (status, &b"secret"[..])
        );
        assert_eq!(response.header("x-a"), [b""; 0], "its headers are lost");
    }
}

#[test]
fn the_response_body_is_handed_out_once() {
    for (upstream, first) in [
        (UpstreamResponse::new(200, "body"), "body"),
        (UpstreamResponse::new(204, ""), ""),
        (UpstreamResponse::chunked(200, ""), ""),
    ] {
        let steps = vec![
            ask(Question::RespBody),
            ask(Question::RespBody),
            edit(&Edits::default()),
        ];
        let runner = ScriptedRunner::doing(steps);
        let request = HttpRequest::new("GET", "/");
        let observed = runner
            .gateway()
            .response_phase(&route(), &request, &mut || upstream.clone());
        assert_eq!(observed.faults, []);
        assert_eq!(runner.answers(), [Some(first.into()), None]);
    }
}

fn respond(
    steps: Vec<Step>,
    method: &str,
    upstream: &UpstreamResponse,
) -> Observed<ResponseOutcome> {
    let runner = ScriptedRunner::doing(steps);
    let request = HttpRequest::new(method, "/");
    let mut calls = 0;
    let observed = runner
        .gateway()
        .response_phase(&route(), &request, &mut || {
            calls += 1;
            upstream.clone()
        });
    assert_eq!(observed.outcome.upstream_calls, calls);
    observed
}
