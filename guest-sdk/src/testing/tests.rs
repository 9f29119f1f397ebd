//! The fake host keeps the rules of `wit/`. Each test is a rule; what the
//! runner does with the same calls is tested with the runner.

use super::{FakeRequest, FakeResponse, RequestOutcome, ResponseOutcome, run_request};
use super::{rules, run_response};
use crate::log::Level;
use crate::{
    Error, Failure, Filter, Request, RequestFilter, Response, ResponseFilter, StopResponse,
    Verdict, chain, clock, log, plugin, variables,
};

type OnRequest = fn(&mut Request) -> Result<(), Error>;
type OnResponse = fn(&mut Response) -> Result<(), Error>;

thread_local! {
    static ON_REQUEST: std::cell::Cell<OnRequest> = const { std::cell::Cell::new(|_| Ok(())) };
    static ON_RESPONSE: std::cell::Cell<OnResponse> = const { std::cell::Cell::new(|_| Ok(())) };
}

/// Does what the test says.
struct Scripted;

impl Filter for Scripted {
    fn configure(text: &str) -> Result<Self, Failure> {
        match text {
            "ask too early" => match Request::current().method() {
                Err(error) => Err(error.into()),
                Ok(_) => Ok(Scripted),
            },
            _ => Ok(Scripted),
        }
    }
}

impl RequestFilter for Scripted {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        ON_REQUEST.get()(request)?;
        Ok(Verdict::Next)
    }
}

impl ResponseFilter for Scripted {
    fn on_response(&self, response: &mut Response) -> Result<(), Failure> {
        ON_RESPONSE.get()(response)?;
        Ok(())
    }
}

fn request(script: OnRequest) -> RequestOutcome {
    ON_REQUEST.set(script);
    let fake = FakeRequest::new("GET", b"/\xff")
        .header("Host", "example")
        .header("X-Two", "1")
        .header("X-Two", b"\xff")
        .arg("a", "1")
        .arg("a", "2")
        .arg(b"\xff", b"\xff")
        .arg_without_value("z")
        .chain("earlier", "value")
        .variable("known", "");
    run_request::<Scripted>("", fake)
}

fn response(script: OnResponse) -> ResponseOutcome {
    ON_RESPONSE.set(script);
    let fake = FakeResponse::new(200)
        .header("X-Two", "1")
        .header("x-two", "2");
    run_response::<Scripted>("", fake)
}

#[test]
fn refused_request_edits_are_invalid_and_change_nothing() {
    let scripts: [OnRequest; 22] = [
        |request| request.set_path("x"),
        |request| request.set_path(""),
        |request| request.set_path("/\0"),
        |request| request.set_header("", "x"),
        |request| request.set_header("a b", "x"),
        |request| request.set_header("ä", "x"),
        |request| request.set_header("a:", "x"),
        |request| request.set_header("a", "x\r"),
        |request| request.set_header("a", "x\n"),
        |request| request.set_header_bytes("a", b"x\0"),
        |request| request.add_header("HOST", "x"),
        |request| request.add_header("x two", "x"),
        |request| request.remove_header("Host"),
        |request| request.set_arg("", "x"),
        |request| request.add_arg("", "x"),
        |request| request.add_arg("z", "x"),
        |request| request.set_body(b""),
        |request| request.set_response_header("Location", "x"),
        |request| request.add_response_header("server", "x"),
        |request| request.set_response_header("a b", "x"),
        |request| request.add_response_header_bytes("a", b"\n"),
        |request| request.add_arg_bytes(b"", b""),
    ];
    for (index, script) in scripts.into_iter().enumerate() {
        let outcome = request(script);
        assert!(outcome.failed().starts_with("invalid: "), "script {index}");
        assert!(outcome.edits.is_empty(), "script {index}");
    }
}

#[test]
fn reads_show_text_or_bytes() {
    request(|request| {
        assert_eq!(request.path()?, "/\u{fffd}");
        assert_eq!(request.path_bytes()?, b"/\xff");
        assert_eq!(request.header("x-TWO")?.as_deref(), Some("1"));
        assert_eq!(request.header_values("x-two")?, ["1", "\u{fffd}"]);
        assert_eq!(request.header_values_bytes("x-two")?, [&b"1"[..], b"\xff"]);
        assert_eq!(request.headers()?[0].name, "host");
        assert_eq!(request.header("none")?, None);
        assert_eq!(
            request.arg_values("a")?,
            [Some("1".into()), Some("2".into())]
        );
        assert_eq!(request.arg_values("z")?, [None]);
        assert_eq!(request.arg("z")?.map(|arg| arg.value), Some(None));
        assert_eq!(request.arg("A")?, None);
        assert!(request.arg_bytes(b"\xff")?.is_some());
        assert_eq!(request.body()?, None);
        Ok(())
    })
    .passed();
}

#[test]
fn edits_show_in_later_reads_and_in_what_is_sent() {
    let outcome = request(|request| {
        request.set_path_bytes(b"/\xfe")?;
        request.set_header("X-Two", "3")?;
        request.add_header("x-new", "4")?;
        request.set_arg("z", "")?;
        request.add_arg("z", "5")?;
        request.remove_arg("a")?;
        request.set_body(b"body")?;
        request.add_response_header("x-r", "1")?;
        request.add_response_header("x-r", "2")?;
        assert_eq!(request.header_values("x-two")?, ["3"]);
        assert_eq!(request.body()?.as_deref(), Some(&b"body"[..]));
        Ok(())
    });
    let sent = outcome.passed();
    assert_eq!(sent.path, b"/\xfe");
    assert_eq!(sent.header_values("x-two"), ["3"]);
    assert_eq!(sent.header("X-New").as_deref(), Some("4"));
    assert_eq!(sent.query(), "\u{fffd}=\u{fffd}&z=&z=5");
    assert_eq!(sent.response_header_values("X-R"), ["1", "2"]);
}

#[test]
fn a_failed_filter_leaves_the_request_as_it_came() {
    let outcome = request(|request| {
        request.set_path("/edited")?;
        request.set_path("not a path")
    });
    assert_eq!(outcome.request.path, b"/\xff");
    assert_eq!(outcome.edits, ["set-path /edited"]);
}

#[test]
fn the_wrong_phase_is_refused() {
    let outcome = run_request::<Scripted>("ask too early", FakeRequest::new("GET", "/"));
    assert!(outcome.failed().starts_with("wrong-phase: method"));

    let outcome = request(|_| Response::current().status().map(drop));
    assert!(outcome.failed().starts_with("wrong-phase: status"));

    let outcome = response(|_| Request::current().set_path("/"));
    assert!(outcome.failed().starts_with("wrong-phase: set-path"));

    assert!(matches!(variables::get("x"), Err(Error::WrongPhase(_))));
    assert!(matches!(chain::set("x", "y"), Err(Error::WrongPhase(_))));
    assert_eq!(plugin::name(), "");
}

#[test]
fn responses_take_second_values_but_no_odd_status() {
    let outcome = response(|response| {
        response.add_header("X-Two", "3")?;
        response.set_status(599)?;
        response.set_body(b"x")
    });
    let sent = outcome.passed();
    assert_eq!(sent.header_values("x-two"), ["1", "2", "3"]);
    assert_eq!((sent.status, sent.body.as_deref()), (599, Some(&b"x"[..])));

    let refused: [OnResponse; 4] = [
        |response| response.set_status(199),
        |response| response.set_status(600),
        |response| response.set_header("a", "\n"),
        |response| response.set_body(b""),
    ];
    for script in refused {
        assert!(response(script).failed().starts_with("invalid: "));
    }
}

#[test]
fn a_stop_response_must_be_sendable() {
    let table = [
        (StopResponse::new(200), true),
        (StopResponse::new(599), true),
        (StopResponse::new(199), false),
        (StopResponse::new(600), false),
        (StopResponse::new(200).header("a b", ""), false),
        (StopResponse::new(200).header("a", "\r\n"), false),
    ];
    for (response, sendable) in table {
        let allowed = rules::stop_response(&response).is_ok();
        assert_eq!(allowed, sendable, "{response:?}");
    }
}

#[test]
fn variables_are_unknown_or_empty_and_asked_once() {
    let outcome = request(|_| {
        assert_eq!(variables::get("known")?.as_deref(), Some(""));
        let values = variables::get_many(&["unknown", "known"])?;
        assert_eq!(values, [None, Some(String::new())]);
        Ok(())
    });
    outcome.passed();
    assert_eq!(outcome.questions, ["variable known", "variable unknown"]);
}

#[test]
fn the_chain_passes_values_up_to_its_limit() {
    let outcome = request(|_| {
        assert_eq!(chain::get("earlier")?.as_deref(), Some("value"));
        chain::remove("earlier")?;
        chain::set("k", &"v".repeat(65_535))?;
        chain::set("k", &"w".repeat(65_535))?;
        assert!(matches!(chain::set("l", "x"), Err(Error::Limit(_))));
        Ok(())
    });
    outcome.passed();
    assert_eq!(outcome.chain.keys().collect::<Vec<_>>(), ["k"]);
}

#[test]
fn log_lines_are_filtered_cut_and_escaped() {
    ON_REQUEST.set(|_| {
        log::debug!("not {}", "seen");
        log::info!("two\nlines");
        log::warn!("{} {name}", 1, name = "ä");
        log::write(Level::Error, &"ä".repeat(5_000));
        Ok(())
    });
    let fake = FakeRequest::new("GET", "/").log_level(Level::Info);
    let outcome = run_request::<Scripted>("", fake);
    let lines: Vec<_> = outcome
        .logs
        .iter()
        .map(|line| line.message.as_str())
        .collect();
    assert_eq!(lines[..2], ["two\\nlines", "1 ä"]);
    assert_eq!(lines[2].len(), 8192);
    assert_eq!(outcome.logs[2].level, Level::Error);
}

#[test]
fn the_plugin_sees_its_name_configuration_and_time() {
    ON_REQUEST.set(|_| {
        assert_eq!(plugin::name(), "mine");
        assert_eq!(plugin::configuration_bytes(), b"\xff");
        assert_eq!(clock::now_ms(), 5);
        Ok(())
    });
    let fake = FakeRequest::new("GET", "/").plugin_name("mine").now_ms(5);
    run_request::<Scripted>(b"\xff", fake).passed();
}
