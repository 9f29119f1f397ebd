//! The log: every line about a tenant begins with its name, and nothing that a
//! guest or a gateway says makes a line that passes for another tenant's.

use harness::guests::stopping_with;
use harness::{Guest, Signal};
use serde_json::Value;

use crate::house::{House, ISOLATIONS, tenant};
use crate::stage::SOON;

/// In every text of the guest, so that its lines are found.
const MARK: &str = "mark-of-a";

/// Texts that try to be a line of b: MARK stands behind what ends the line.
const TEXTS: [&str; 9] = [
    "hello\n2026-01-01T00:00:00.000000Z  INFO guest: tenant=b MARK plugin=p",
    "hello\r2026-01-01T00:00:00.000000Z  INFO guest: tenant=b MARK plugin=p",
    "hello\u{2028}2026-01-01T00:00:00.000000Z  INFO guest: tenant=b MARK plugin=p",
    "hello\u{85}tenant=b MARK",
    " tenant=b MARK",
    "{\"tenant\":\"b\",\"message\":\"MARK\"}",
    "\",\"tenant\":\"b\",\"message\":\"MARK\"}\n{\"tenant\":\"b\",\"message\":\"MARK\"}",
    "\u{1b}[2K\u{1b}[1Gtenant=b MARK",
    "\0\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}tenant=b MARK",
];

/// Everything behind each other, each with a line break that it does not count,
/// with where each begins and how long it is.
fn laid_out(texts: &[String]) -> (String, Vec<(usize, usize)>) {
    let (mut data, mut places) = (String::new(), Vec::new());
    for text in texts {
        places.push((8192 + data.len(), text.len()));
        data += text;
        data.push('\n');
    }
    let bytes = data.bytes().map(|byte| format!("\\{byte:02x}"));
    (bytes.collect(), places)
}

/// Logs all texts, prints them to both outputs of WASI, and fails with the last
/// one as its reason where it can.
fn talker() -> Vec<u8> {
    let texts: Vec<String> = TEXTS
        .iter()
        .map(|text| text.replace("MARK", MARK))
        .collect();
    let (data, places) = laid_out(&texts);
    let items = format!(
        r#"(import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
        (import "wasi_snapshot_preview1" "fd_write"
          (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 8192) "{data}")
        (func $say (param $at i32) (param $bytes i32)
          (call $log (i32.const 2) (local.get $at) (local.get $bytes))
          (i32.store (i32.const 256) (local.get $at))
          (i32.store (i32.const 260) (i32.add (local.get $bytes) (i32.const 1)))
          (drop (call $fd_write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 264)))
          (drop (call $fd_write (i32.const 2) (i32.const 256) (i32.const 1) (i32.const 264))))"#
    );
    let say = places
        .iter()
        .map(|(at, bytes)| format!("(call $say (i32.const {at}) (i32.const {bytes}))"));
    let on_request = format!("{} i32.const 0", say.collect::<String>());
    Guest::for_preview_1(&items, "i32.const 0", &on_request).core_module()
}

/// Refuses its configuration, and gives as the reason what that says.
fn refusing() -> Vec<u8> {
    // result<_, error>: 1, then the case `failed`, then the text.
    let configure = "(i32.store8 (i32.const 64) (i32.const 1))
        (i32.store (i32.const 68) (local.get 0))
        (i32.store (i32.const 72) (local.get 1))
        i32.const 64";
    Guest::request_filter("", configure, "i32.const 0").build()
}

/// Whose the line is for a reader of either format, and that it is one.
fn owner(format: &str, line: &str) -> Option<String> {
    if format == "json" {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let first = line.strip_prefix("{\"tenant\":\"");
        let named = first.and_then(|rest| rest.split('"').next());
        assert_eq!(object["tenant"].as_str(), named, "{line}");
        return named.map(str::to_owned);
    }
    let mut words = line.split_ascii_whitespace();
    let time = words.next().unwrap_or_default();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
    let level = words.next().unwrap_or_default();
    assert!(
        ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level),
        "{line}"
    );
    let target = words.next().unwrap_or_default();
    assert!(target.ends_with(':'), "{line}");
    let (_, said) = line.split_once(target).expect("behind it");
    let named = said.trim_start().strip_prefix("tenant=");
    named.and_then(|rest| Some(rest.split_once(' ')?.0.to_owned()))
}

#[test]
fn what_a_guest_or_a_gateway_says_should_never_be_anothers_line() {
    for isolation in ISOLATIONS {
        for format in ["text", "json"] {
            let mut house = House::new(
                isolation,
                &format!("logging: {{level: debug, format: {format}}}"),
                &[
                    tenant("a")
                        .module("talks", talker())
                        .module("refuses", refusing()),
                    tenant("b").module("same", stopping_with(202)),
                ],
            );
            house.caller("a", "talks", "").always(2, 0);
            house.caller("b", "same", "").always(2, 202);
            for text in TEXTS.map(|text| text.replace("MARK", MARK)) {
                // As the configuration, and so as the reason of a failure, and as
                // the name of a plugin.
                for (plugin, configuration) in [("refuses", &*text), (&*text, "")] {
                    let found = house.caller("a", plugin, configuration).call();
                    assert_eq!(found, None, "{isolation}, {format}");
                }
            }
            house.runner.signal(Signal::TERM).expect("sent");
            house.runner.wait(SOON).expect("it ends");
            let log = house.runner.log();
            let (mut guests, mut failures) = (0, 0);
            for line in log.lines() {
                let owner = owner(format, line);
                if line.contains(MARK) {
                    assert_eq!(owner.as_deref(), Some("a"), "{isolation}: {line}");
                    guests += usize::from(line.contains("guest"));
                    failures += usize::from(line.contains("call failed"));
                }
                assert!(!line.contains('\u{1b}'), "{isolation}: {line}");
            }
            // Twice, by three ways.
            assert!(guests >= 2 * 3 * TEXTS.len(), "{guests} lines in\n{log}");
            assert!(failures >= TEXTS.len(), "{failures} lines in\n{log}");
        }
    }
}

#[test]
fn every_line_about_a_tenant_should_begin_with_its_name() {
    for isolation in ISOLATIONS {
        for format in ["text", "json"] {
            let own = rustix::process::getuid().as_raw();
            let both = ["a", "b"].map(|name| {
                tenant(name)
                    .socket(&format!("mode: '0600', peers: [{own}]"))
                    .with("limits: {connections: 3}, grants: {key_value: {}}")
                    .module("same", stopping_with(201))
                    .module("broken", b"no module".to_vec())
                    .example("rate-limit")
            });
            let config = format!(
                "logging: {{level: debug, format: {format}}}\nkey_value: {{folder: HERE/kept}}"
            );
            let mut house = crate::house::Plan::new(isolation, &config, &both).start(&[], &[]);
            house.page_says("/readyz", "tenant b: plugin broken");
            house
                .caller("a", "missing", "")
                .client
                .call(12345)
                .expect("a reply");
            let many: Vec<_> = (0..6).map(|_| house.client("a")).collect();
            house.logs("there are 3 already");
            drop(many);
            house.runner.signal(Signal::TERM).expect("sent");
            house.runner.wait(SOON).expect("it ends");
            let log = house.runner.log();
            let places = ["a", "b"].map(|name| {
                let here = house.plan.at("").display().to_string();
                (
                    name,
                    [format!("{here}{name}/"), format!("{here}{name}.sock")],
                )
            });
            for line in log.lines() {
                let owner = owner(format, line);
                for (name, places) in &places {
                    if places.iter().any(|place| line.contains(place)) {
                        assert_eq!(owner.as_deref(), Some(*name), "{isolation}: {line}");
                    }
                }
                if line.contains("there are 3 already") || line.contains("12345") {
                    assert_eq!(owner.as_deref(), Some("a"), "{isolation}: {line}");
                }
            }
        }
    }
}
