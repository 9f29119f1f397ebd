//! Every frame that APISIX was seen to send is accepted byte for byte: a
//! configuration gets a token, a request reaches a filter as another decoder
//! read it (`frames/decoded.txt`), an answer that nobody asked for is refused,
//! and the connection serves the next call each time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use harness::wire_client::WireClient;
use harness::{RunnerProcess, modules};
use protocol::FrameBuilder;
use protocol::gateway_side::{Asked, HttpAction, Reply, encode_answer, set_conf_token};
use serde_json::Value;

const BAD_REQUEST: Reply = Reply::Error(0);

fn frames() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/frames")
}

/// File name -> the lines that say what is in the frame.
fn decoded() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(frames().join("decoded.txt")).expect("decoded.txt");
    let blocks = text
        .split("\n\n")
        .map(|block| block.lines().map(str::to_owned));
    blocks
        .filter_map(|mut lines| Some((lines.next()?, lines.collect())))
        .collect()
}

#[test]
fn every_captured_frame_should_be_accepted() {
    let runner = runner();
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let token = client
        .prepare(&[("probe", r#"{"report":"x-report"}"#)])
        .expect("token");
    let decoded = decoded();
    for (name, lines) in &decoded {
        let mut frame = std::fs::read(frames().join(name)).expect(name);
        if name.contains("httpreqcall") || name.contains("httprespcall") {
            set_conf_token(&mut frame, token).expect(name);
        }
        let mut reply = client.exchange(&frame).expect(name);
        while let Reply::ExtraInfo(question) = reply {
            assert_eq!(question, Asked::Var(b"request_method".to_vec()), "{name}");
            let mut builder = FrameBuilder::new();
            let answer = encode_answer(&mut builder, Some(b"GET")).expect("answer");
            reply = client.exchange(answer).expect(name);
        }
        match name.split('.').nth(3) {
            Some("prepareconf") => {
                assert!(
                    matches!(reply, Reply::PrepareConf { conf_token: 1.. }),
                    "{name}: {reply:?}"
                );
            }
            Some("httpreqcall") => check_report(name, lines, &reply),
            Some("extrainfo") => assert_eq!(reply, BAD_REQUEST, "{name}"),
            Some("httprespcall") => check_echo(name, lines, &reply),
            _ => panic!("{name}: what is it?"),
        }
    }
    assert_eq!(decoded.len(), 108, "frames");
}

#[test]
fn a_configuration_should_have_one_token_whatever_its_key() {
    let runner = runner();
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let mut by_content = BTreeMap::new();
    let mut by_token = BTreeMap::new();
    for (name, lines) in decoded()
        .iter()
        .filter(|(name, _)| name.contains("prepareconf"))
    {
        let frame = std::fs::read(frames().join(name)).expect(name);
        let Ok(Reply::PrepareConf { conf_token }) = client.exchange(&frame) else {
            panic!("{name}: no token");
        };
        // The first line holds the key, the others the content.
        let content = lines[1..].to_vec();
        assert_eq!(
            *by_content.entry(content.clone()).or_insert(conf_token),
            conf_token,
            "{name}"
        );
        assert_eq!(
            *by_token.entry(conf_token).or_insert(content.clone()),
            content,
            "{name}"
        );
    }
}

fn runner() -> RunnerProcess {
    modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples())
}

/// A response that no filter changed comes back with all its headers but those
/// of the connection.
fn check_echo(name: &str, lines: &[String], reply: &Reply) {
    let Reply::HttpRespCall {
        status: 0,
        headers,
        body: None,
        ..
    } = reply
    else {
        panic!("{name}: {reply:?}");
    };
    let echoed = headers.iter().map(|header| {
        let value = header.value.as_deref().expect(name);
        format!(
            "  header {}={}",
            header.name.escape_ascii(),
            value.escape_ascii()
        )
    });
    let sent = lines[1..]
        .iter()
        .filter(|line| !line.contains("header Connection="))
        .cloned();
    // The report, which the filter adds, comes last.
    let echoed: Vec<String> = echoed.filter(|line| !line.contains("x-report")).collect();
    assert_eq!(echoed, sent.collect::<Vec<String>>(), "{name}");
}

/// The report of the filter against the lines of the other decoder.
fn check_report(name: &str, lines: &[String], reply: &Reply) {
    let Reply::HttpReqCall {
        id,
        action:
            HttpAction::Rewrite {
                headers,
                path,
                args,
                ..
            },
    } = reply
    else {
        panic!("{name}: {reply:?}");
    };
    assert_eq!(
        (path, args.len(), headers.len()),
        (&None, 0, 1),
        "{name}: only the report changed"
    );
    let report = headers[0].value.as_deref().expect(name);
    let report: Value = serde_json::from_slice(report).expect(name);
    let text = |value: &Value| {
        value
            .as_str()
            .expect(name)
            .as_bytes()
            .escape_ascii()
            .to_string()
    };
    let first = lines[0].split(" token=").next().expect(name);
    assert_eq!(first, format!("HTTPReqCall.Req id={id}"), "{name}");
    assert_eq!(report["id"], *id, "{name}");
    // The other decoder joined all 16 bytes of an IPv6 address with dots.
    let decoded = lines[0].replace("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "::1");
    let rest = format!(
        "{} {} from {}",
        text(&report["method"]),
        text(&report["path"]),
        text(&report["src_ip"])
    );
    assert!(
        decoded.ends_with(&rest),
        "{name}: {decoded} does not end with {rest}"
    );
    let mut reported = Vec::new();
    for (list, word) in [("args", "arg"), ("headers", "header")] {
        for entry in report[list].as_array().expect(name) {
            let value = match &entry[1] {
                Value::Null => String::new(),
                value => format!("={}", text(value)),
            };
            reported.push(format!("  {word} {}{value}", text(&entry[0])));
        }
    }
    assert_eq!(reported, lines[1..], "{name}");
}
