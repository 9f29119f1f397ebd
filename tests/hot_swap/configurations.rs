//! What a swap comes to for configurations that are there, for calls that are
//! under way, and for what was captured, kept or compiled before.

use std::path::Path;
use std::time::Duration;

use harness::{Guest, WireClient, modules};
use protocol::FrameBuilder;
use protocol::gateway_side::{HttpAction, Reply, encode_answer};

use crate::stage::*;

/// Stops every request with the status that `configure` left in memory. A text
/// that begins with an `x` is met with these instructions first.
fn configured(status: u16, at_x: &str) -> Vec<u8> {
    let configure = format!(
        "(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 120)) (then {at_x}))
        (i32.store (i32.const 700) (i32.const {status}))
        i32.const 0"
    );
    let on_request = "
        (i32.store8 (i32.const 132) (i32.const 1))
        (i32.store16 (i32.const 136) (i32.load (i32.const 700)))
        i32.const 128";
    let items = r#"(data (i32.const 600) "no x, please")"#;
    Guest::request_filter(items, &configure, on_request).build()
}

/// The error that says so.
const REFUSES: &str = "
    (i32.store8 (i32.const 64) (i32.const 1))
    (i32.store (i32.const 68) (i32.const 600))
    (i32.store (i32.const 72) (i32.const 12))
    (return (i32.const 64))";

#[test]
fn a_configuration_that_the_new_version_cannot_serve_should_stay_with_the_old() {
    let fill = |folder: &Path| {
        std::fs::create_dir(folder).expect("folder");
        put_bytes(folder, "a", &configured(201, ""));
    };
    let mut stage = Stage::new(fill, &["--watch"], "");
    let [x, y] = ["x", "y"].map(|text| stage.token("a", text));
    stage.reaches(x, Some(201));
    stage.reaches(y, Some(201));
    for (status, at_x, reason) in [
        (202, REFUSES, "no x, please"),
        (203, "unreachable", "trapped: "),
        (204, "(loop br 0)", "ran for more than 1000 ms"),
    ] {
        let printed = stage.runner.log().len();
        put_bytes(&stage.modules(), "a", &configured(status, at_x));
        stage.reaches(y, Some(status));
        stage.logs(printed, "the new version cannot serve a configuration");
        stage.logs(printed, reason);
        stage.logs(printed, "plugin=a route=route#1#test#1 cause=configuration");
        assert_eq!(stage.call(x), Some(201));
        let line = "ready\nplugin a serves 1 configurations with an older version";
        stage.says("/readyz", line);
        stage.says("/readyz", reason);
    }
    // One that comes now has nothing to stay with.
    put_bytes(&stage.modules(), "a", &configured(205, REFUSES));
    stage.reaches(y, Some(205));
    let new = stage.token("a", "x2");
    stage.reaches(new, None);
    put_bytes(&stage.modules(), "a", &configured(206, ""));
    for token in [x, y, new] {
        stage.reaches(token, Some(206));
    }
    stage.says("/readyz", READY);
}

#[test]
fn a_call_should_end_on_the_version_it_began_with() {
    let fill = |folder: &Path| {
        std::fs::create_dir(folder).expect("folder");
        let probe = modules::examples().join("probe.wasm");
        std::fs::copy(probe, module(folder, "a")).expect("copied");
    };
    let mut stage = Stage::new(fill, &["--watch"], "");
    let mut under_way = WireClient::connect(stage.runner.socket()).expect("connection");
    let token = under_way
        .prepare(&[("a", r#"{"vars":["x"],"report":"x-report"}"#)])
        .expect("token");
    let question = under_way.call(token).expect("a question");
    assert!(matches!(question, Reply::ExtraInfo(_)), "{question:?}");
    let plain = stage.token("a", "{}");
    stage.reaches(plain, Some(0));
    for status in [202, 203] {
        put(&stage.modules(), "a", status);
        stage.reaches(plain, Some(status));
    }
    stage.reaches(token, Some(203));
    let mut builder = FrameBuilder::new();
    let answer = encode_answer(&mut builder, Some(b"y")).expect("a frame");
    let reply = under_way.exchange(answer).expect("reply");
    let rewrite = matches!(
        reply,
        Reply::HttpReqCall {
            action: HttpAction::Rewrite { .. },
            ..
        }
    );
    assert!(rewrite, "{reply:?}");
}

#[test]
fn nothing_of_the_old_version_should_be_left_in_the_new() {
    let captured = "calls start from a snapshot";
    let rows = [
        ("snapshot: always", captured),
        ("snapshot: off", ""),
        ("instances: warm", ""),
        ("instances: warm, snapshot: always", captured),
    ];
    for (settings, said) in rows {
        let fill = |folder: &Path| {
            std::fs::create_dir(folder).expect("folder");
            put_bytes(folder, "a", &configured(201, ""));
        };
        let cache = tempfile::tempdir().expect("temporary folder");
        let config = format!(
            "logging: {{level: debug}}\nplugins: {{a: {{{settings}}}}}\ncache: {{dir: {}}}\n",
            cache.path().join("code").display()
        );
        let mut stage = Stage::new(fill, &["--watch"], &config);
        let token = stage.token("a", "");
        let mut printed = 0;
        // The third is the first again, and compiled already.
        for (status, from) in [
            (201, "compiled"),
            (202, "compiled"),
            (201, "from the cache"),
        ] {
            put_bytes(&stage.modules(), "a", &configured(status, ""));
            stage.reaches(token, Some(status));
            stage.logs(printed, &format!(" bytes, {from}, "));
            if !said.is_empty() {
                stage.logs(printed, said);
            }
            for _ in 0..50 {
                assert_eq!(stage.call(token), Some(status), "{settings}");
            }
            printed = stage.runner.log().len();
        }
    }
}

/// While versions come faster than configurations can be checked, new ones come
/// too.
#[test]
fn a_configuration_that_comes_in_the_middle_should_not_stay_behind() {
    let mut stage = Stage::watching(&[("a", 201)]);
    let mut tokens = Vec::new();
    for status in 202..212 {
        put(&stage.modules(), "a", status);
        for n in 0..40 {
            tokens.push(stage.token("a", &format!("{status} {n}")));
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    for token in tokens {
        stage.reaches(token, Some(211));
    }
}
