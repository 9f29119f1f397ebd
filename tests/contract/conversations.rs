//! Questions inside a call: what is asked, what becomes of the answers, and
//! what if the gateway is gone in the middle.

use harness::WireClient;
use protocol::FrameBuilder;
use protocol::gateway_side::{Asked, HttpAction, HttpReqCall, HttpRespCall, Reply, encode_answer};

use crate::{Plugins, REPORT, SOON, connect, runner, texts, values};

#[derive(Clone, Copy)]
enum Phase {
    Request,
    Response,
}

/// A call with the questions that it must lead to, each with its answer.
pub(crate) struct ConversationRow {
    pub(crate) from: &'static str,
    what: &'static str,
    phase: Phase,
    plugins: Plugins,
    asked: &'static [(&'static str, Option<&'static str>)],
    read: &'static str,
}

const FOUR: &str = r#"{"report":"r","vars":["server_addr","remote_addr","route_id","arg_x"]}"#;
const TIME: &str = r#"{"report":"r","vars":["request_time"],"response":{"vars":["request_time"]}}"#;
const BODIES: &str = r#"{"report":"r","body":true,"response":{"body":true}}"#;

pub(crate) const CONVERSATIONS: &[ConversationRow] = &[
    ConversationRow {
        from: "APISIX extra-info 2",
        what: "four variables, one of them empty",
        phase: Phase::Request,
        plugins: &[("probe", FOUR)],
        asked: &[
            ("server_addr", Some("127.0.0.1")),
            ("remote_addr", Some("127.0.0.1")),
            ("route_id", Some("1")),
            ("arg_x", Some("")),
        ],
        read: r#""vars":{"server_addr":"127.0.0.1","remote_addr":"127.0.0.1","route_id":"1","arg_x":""}"#,
    },
    ConversationRow {
        from: "APISIX extra-info 3",
        what: "a variable that does not exist",
        phase: Phase::Request,
        plugins: &[(
            "probe",
            r#"{"report":"r","vars":["erver_addr"],"set_path":"/uri"}"#,
        )],
        asked: &[("erver_addr", None)],
        read: r#""vars":{"erver_addr":null}"#,
    },
    ConversationRow {
        from: "APISIX extra-info 5",
        what: "a response body that does not exist",
        phase: Phase::Response,
        plugins: &[("probe", BODIES)],
        asked: &[("response body", None)],
        read: r#""body":null"#,
    },
    ConversationRow {
        from: "Go TestVar",
        what: "asked by two filters, asked once",
        phase: Phase::Request,
        plugins: &[("probe", TIME), ("probe", TIME)],
        asked: &[("request_time", Some("1.0"))],
        read: r#""vars":{"request_time":"1.0"}"#,
    },
    ConversationRow {
        from: "Go TestBody; Java extra-info body",
        what: "asked by two filters, asked once",
        phase: Phase::Request,
        plugins: &[("probe", BODIES), ("probe", BODIES)],
        asked: &[("request body", Some("Hello, Go Runner"))],
        read: r#""body":"Hello, Go Runner""#,
    },
    ConversationRow {
        from: "Go TestResponse_Var",
        what: "asked by two filters, asked once",
        phase: Phase::Response,
        plugins: &[("probe", TIME), ("probe", TIME)],
        asked: &[("request_time", Some("1.0"))],
        read: r#""vars":{"request_time":"1.0"}"#,
    },
    ConversationRow {
        from: "Go TestRead",
        what: "asked by two filters, asked once: a second time there is nothing",
        phase: Phase::Response,
        plugins: &[("probe", BODIES), ("probe", BODIES)],
        asked: &[("response body", Some("Hello, Go Runner"))],
        read: r#""body":"Hello, Go Runner""#,
    },
    ConversationRow {
        from: "Java extra-info vars, vars-in-filter",
        what: "variables and the body",
        phase: Phase::Request,
        plugins: &[(
            "probe",
            r#"{"report":"r","body":true,"vars":["remote_addr","server_port","content_type"]}"#,
        )],
        asked: &[
            ("remote_addr", Some("127.0.0.1")),
            ("server_port", Some("9080")),
            ("content_type", Some("application/json")),
            ("request body", Some("abcd")),
        ],
        read: r#""vars":{"remote_addr":"127.0.0.1","server_port":"9080","content_type":"application/json"},"body":"abcd""#,
    },
];

/// Where the gateway is gone.
pub(crate) struct GoneRow {
    pub(crate) from: &'static str,
    phase: Phase,
    /// So many questions are answered before.
    answered: usize,
}

pub(crate) const GONE: &[GoneRow] = &[
    GoneRow {
        from: "APISIX extra-info 4",
        phase: Phase::Request,
        answered: 1,
    },
    GoneRow {
        from: "Go TestVar_FailedToSendExtraInfoReq, TestVar_FailedToReadExtraInfoResp",
        phase: Phase::Request,
        answered: 0,
    },
    GoneRow {
        from: "Go TestResponse_Var_FailedToSendExtraInfoReq, TestResponse_FailedToReadExtraInfoResp",
        phase: Phase::Response,
        answered: 0,
    },
];

fn call(phase: Phase, conf_token: u32) -> Vec<u8> {
    let mut builder = FrameBuilder::new();
    let frame = match phase {
        Phase::Request => HttpReqCall {
            id: 1,
            path: b"/",
            conf_token,
            ..HttpReqCall::default()
        }
        .encode(&mut builder),
        Phase::Response => HttpRespCall {
            id: 1,
            status: 200,
            conf_token,
            ..HttpRespCall::default()
        }
        .encode(&mut builder),
    };
    frame.expect("frame").to_vec()
}

fn answer(client: &mut WireClient, result: Option<&str>) -> Reply {
    let mut builder = FrameBuilder::new();
    let frame = encode_answer(&mut builder, result.map(str::as_bytes)).expect("frame");
    client.exchange(frame).expect("reply")
}

/// The questions in order with the answers of the row, and the final reply.
/// What the runner asks for itself is answered aside.
fn converse(client: &mut WireClient, row: &ConversationRow, token: u32) -> (Vec<String>, Reply) {
    let mut answers = row.asked.iter();
    let mut asked = vec![];
    let mut reply = client.exchange(&call(row.phase, token)).expect("reply");
    while let Reply::ExtraInfo(question) = &reply {
        let question = match question {
            Asked::Var(name) => String::from_utf8(name.clone()).expect("UTF-8"),
            Asked::ReqBody => "request body".to_owned(),
            Asked::RespBody => "response body".to_owned(),
        };
        if question == "request_method" {
            reply = answer(client, Some("GET"));
            continue;
        }
        asked.push(question);
        reply = answer(client, answers.next().and_then(|(_, result)| *result));
    }
    (asked, reply)
}

#[test]
fn every_question_should_be_asked_once_and_every_answer_read() {
    let runner = runner();
    for row in CONVERSATIONS {
        let (from, what) = (row.from, row.what);
        let mut client = connect(&runner);
        let token = client.prepare(row.plugins).expect("token");
        let (asked, reply) = converse(&mut client, row, token);
        let expected: Vec<&str> = row.asked.iter().map(|(question, _)| *question).collect();
        assert_eq!(asked, expected, "{from}: {what}");
        let (Reply::HttpReqCall {
            action: HttpAction::Rewrite { headers, .. },
            ..
        }
        | Reply::HttpRespCall { headers, .. }) = reply
        else {
            panic!("{from}: {what}: {reply:?}");
        };
        let report = values(&texts(&headers), REPORT).concat();
        assert!(report.contains(row.read), "{from}: {what}: {report}");
    }
}

#[test]
fn a_gateway_that_vanishes_should_end_its_call_and_no_other() {
    let runner = runner();
    // Asked one after the other, in either phase.
    let one = |name| format!(r#"{{"vars":["{name}"],"response":{{"vars":["{name}"]}}}}"#);
    let (first, second) = (one("server_addr"), one("remote_addr"));
    let plugins = [("probe", first.as_str()), ("probe", second.as_str())];
    let mut other = connect(&runner);
    let token = other.prepare(&plugins).expect("token");
    for (index, row) in GONE.iter().enumerate() {
        let mut client = connect(&runner);
        let mut reply = client.exchange(&call(row.phase, token)).expect("reply");
        for _ in 0..row.answered {
            reply = answer(&mut client, Some("127.0.0.1"));
        }
        assert!(
            matches!(reply, Reply::ExtraInfo(_)),
            "{}: {reply:?}",
            row.from
        );
        drop(client);
        let logged = |log: String| log.matches("before it answered").count();
        let deadline = std::time::Instant::now() + SOON;
        while logged(runner.log()) <= index && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(
            logged(runner.log()),
            index + 1,
            "{}: {}",
            row.from,
            runner.log()
        );
        let served = crate::exchange(&mut other, &call(Phase::Request, token));
        let untouched = Reply::HttpReqCall {
            id: 1,
            action: HttpAction::None,
        };
        assert_eq!(served, Ok(untouched), "{}", row.from);
    }
}
