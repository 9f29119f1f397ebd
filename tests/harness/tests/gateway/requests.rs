//! How a request reaches the upstream: no action and `Rewrite`.

use harness::{HttpOutcome, HttpRequest, UpstreamRequest};
use protocol::Entry;
use protocol::extra_info::Question;
use protocol::http_req_call::{Action, Rewrite};

use crate::scripted::{ScriptedRunner, act, ask, route};

#[test]
fn where_the_request_goes() {
    let x9 = [Entry::new("x", "9"), Entry::bare("y")];
    let twice = [Entry::new("x", "8"), Entry::new("x", "9")];
    let neutral = [Entry::bare("not-there")];
    let args = |args| Rewrite {
        args,
        ..Rewrite::default()
    };
    let path = |path| Rewrite {
        path: Some(path),
        ..Rewrite::default()
    };
    let both = Rewrite {
        path: Some(b"/p"),
        args: &x9,
        ..Rewrite::default()
    };
    for (fact, target, rewritten, rewrite, expected) in [
        (
            "no edit",
            "/a b?x=1&y",
            None,
            Rewrite::default(),
            "/a%20b?x=1&y",
        ),
        (
            "a path is escaped, the query stays",
            "/o?x=1&y",
            None,
            path(b"/p q%"),
            "/p%20q%25?x=1&y",
        ),
        (
            "a question mark in a path is no query",
            "/o?x=1",
            None,
            path(b"/p?z=1"),
            "/p%3Fz=1?x=1",
        ),
        (
            "a neutral argument keeps the query",
            "/o?y&x=1",
            None,
            args(&neutral),
            "/o?y&x=1",
        ),
        (
            "replace one, delete one, keep one",
            "/o?x=1&z=2&y",
            None,
            args(&x9),
            "/o?z=2&x=9",
        ),
        (
            "more entries of a name add values",
            "/o?x=1",
            None,
            args(&twice),
            "/o?x=8&x=9",
        ),
        ("path and arguments", "/o?x=1&z=2", None, both, "/p?z=2&x=9"),
        (
            "after proxy-rewrite arguments are lost",
            "/o",
            Some("/n%20?a=1"),
            args(&x9),
            "/n%20?a=1",
        ),
        (
            "after proxy-rewrite both arrive",
            "/o",
            Some("/n?a=1"),
            both,
            "/p?a=1&x=9",
        ),
        (
            "after proxy-rewrite untouched",
            "/o?x=1",
            Some("/n?a=1"),
            Rewrite::default(),
            "/n?a=1",
        ),
    ] {
        let mut request = HttpRequest::new("GET", target);
        request.upstream_uri = rewritten.map(Into::into);
        let runner = ScriptedRunner::doing(vec![act(Action::Rewrite(&rewrite))]);
        let upstream = upstream(&runner, &request);
        assert_eq!(
            String::from_utf8_lossy(&upstream.path_and_query),
            expected,
            "{fact}"
        );
    }
}

#[test]
fn before_3_16_a_path_alone_lost_the_query() {
    let rewrite = Rewrite {
        path: Some(b"/p"),
        ..Rewrite::default()
    };
    let runner = ScriptedRunner::doing(vec![act(Action::Rewrite(&rewrite))]);
    let gateway = runner.gateway().before_3_16();
    let HttpOutcome::Upstream(upstream) = gateway
        .request_phase(&route(), &HttpRequest::new("GET", "/o?x=1"))
        .outcome
    else {
        panic!("not passed on");
    };
    assert_eq!(upstream.path_and_query, b"/p");
}

#[test]
fn request_headers_are_set_removed_and_never_doubled() {
    let headers = [
        Entry::new("X-Twice", "1"),
        Entry::new("x-twice", "2"),
        Entry::bare("X-GONE"),
        Entry::new("X-Empty", ""),
        Entry::new("Host", "other.test"),
    ];
    let rewrite = Rewrite {
        headers: &headers,
        ..Rewrite::default()
    };
    let runner = ScriptedRunner::doing(vec![act(Action::Rewrite(&rewrite))]);
    let request = HttpRequest::new("GET", "/")
        .header("x-gone", "1")
        .header("x-kept", "1");
    let upstream = upstream(&runner, &request);
    for (name, expected) in [
        ("x-twice", &[&b"2"[..]][..]),
        ("x-gone", &[]),
        ("x-empty", &[b""]),
        ("host", &[b"other.test"]),
        ("x-kept", &[b"1"]),
    ] {
        assert_eq!(upstream.header(name), expected, "{name}");
    }
}

#[test]
fn a_new_body_comes_with_its_length() {
    let rewrite = Rewrite {
        body: Some(b"new body"),
        ..Rewrite::default()
    };
    let runner = ScriptedRunner::doing(vec![act(Action::Rewrite(&rewrite))]);
    let request = HttpRequest::new("POST", "/")
        .header("content-length", "3")
        .body("old");
    let upstream = upstream(&runner, &request);
    assert_eq!(upstream.body.as_deref(), Some(&b"new body"[..]));
    assert_eq!(upstream.header("Content-Length"), [b"8"]);
}

#[test]
fn response_headers_are_set_ahead_but_not_all() {
    let resp_headers = [
        Entry::new("X-R", "1"),
        Entry::new("x-r", "2"),
        Entry::new("Content-Type", "a/b"),
        Entry::new("Location", "/x"),
    ];
    let rewrite = Rewrite {
        resp_headers: &resp_headers,
        ..Rewrite::default()
    };
    let runner = ScriptedRunner::doing(vec![act(Action::Rewrite(&rewrite))]);
    let upstream = upstream(&runner, &HttpRequest::new("GET", "/"));
    assert_eq!(upstream.response_header("x-r"), [b"1", b"2"]);
    assert_eq!(upstream.response_headers.len(), 2, "two are ignored");
}

#[test]
fn questions_are_answered_from_the_request() {
    let questions = [
        (Question::Var(b"server_addr"), Some(&b"10.0.0.1"[..])),
        (Question::Var(b"empty"), Some(b"")),
        (Question::Var(b"no_such_thing"), None),
        (Question::Var(b"upstream_uri"), Some(b"")),
        (Question::ReqBody, Some(b"body")),
        (Question::RespBody, None),
    ];
    let mut steps: Vec<_> = questions
        .iter()
        .map(|(question, _)| ask(*question))
        .collect();
    steps.push(act(Action::None));
    let runner = ScriptedRunner::doing(steps);
    let request = HttpRequest::new("POST", "/")
        .body("body")
        .variable("server_addr", "10.0.0.1")
        .variable("empty", "");
    upstream(&runner, &request);
    let expected = questions.map(|(_, answer)| answer.map(<[u8]>::to_vec));
    assert_eq!(runner.answers(), expected);
}

fn upstream(runner: &ScriptedRunner, request: &HttpRequest) -> UpstreamRequest {
    match runner
        .gateway()
        .request_phase(&route(), request)
        .faultless()
    {
        Ok(HttpOutcome::Upstream(upstream)) => upstream,
        other => panic!("{other:?} is not a request to the upstream"),
    }
}
