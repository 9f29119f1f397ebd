//! The log: every line about a tenant begins with its name, and nothing that a
//! guest or a gateway says makes a line that passes for another tenant's.

use harness::guests::stopping_with;
use harness::{Guest, Signal};
use serde_json::Value;

use crate::house::{House, ISOLATIONS, tenant};
use crate::stage::{SOON, soon};

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
            for name in ["a", "b"] {
                house.logs(&format!("tenant {name}: 2 plugins can be used"));
            }
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
                let kept = ["", "cache/", "kept/"].map(|kind| format!("{here}{kind}{name}"));
                let ends = ["/", " ", "\"", ".sock"];
                let places = kept
                    .iter()
                    .flat_map(|kept| ends.map(|end| format!("{kept}{end}")));
                (name, places.collect::<Vec<_>>())
            });
            let mut about = [0, 0];
            for line in log.lines() {
                let owner = owner(format, line);
                for ((name, places), about) in places.iter().zip(&mut about) {
                    if places.iter().any(|place| line.contains(place)) {
                        assert_eq!(owner.as_deref(), Some(*name), "{isolation}: {line}");
                        *about += 1;
                    }
                }
                if line.contains("there are 3 already") || line.contains("12345") {
                    assert_eq!(owner.as_deref(), Some("a"), "{isolation}: {line}");
                }
            }
            // Its socket, its modules, its two stores.
            assert!(about.iter().all(|lines| *lines >= 5), "{about:?} in\n{log}");
        }
    }
}

#[test]
fn a_tenant_that_logs_without_end_should_not_take_anothers_lines() {
    /// Lines of b, each worth one failed call.
    const LINES: usize = 200;
    let talk = r#"(import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    let on_request = "(local $n i32)
        (loop $again
            (call $log (i32.const 2) (i32.const 0) (i32.const 1))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 250))))
        i32.const 0";
    let talks = Guest::request_filter(talk, "i32.const 0", on_request).build();
    for isolation in ISOLATIONS {
        let mut a = tenant("a");
        let names: Vec<String> = (0..8).map(|number| format!("talks{number}")).collect();
        for name in &names {
            a = a.module(name, talks.clone());
        }
        let b = tenant("b").module("same", stopping_with(202));
        let house = House::new(isolation, "", &[a, b]);
        let over = std::sync::atomic::AtomicBool::new(false);
        let is_over = || over.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::scope(|scope| {
            for name in &names {
                let mut caller = house.caller("a", name, "");
                scope.spawn(move || {
                    while !is_over() {
                        caller.always(1, 0);
                    }
                });
            }
            let mut b = house.client("b");
            for number in 0..LINES {
                let plugin = format!("line-{number}-of-b");
                b.prepare(&[(&plugin, "")]).expect("token");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut missing = (0..LINES).collect::<Vec<_>>();
        let written = soon(|| {
            let log = house.runner.log();
            missing.retain(|number| !log.contains(&format!("line-{number}-of-b")));
            missing.is_empty()
        });
        let lost = missing.len();
        assert!(written, "{isolation}: {lost} of {LINES} lines are lost");
    }
}

#[test]
fn long_lines_of_several_processes_should_not_be_torn() {
    let talk = r#"(import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    // As long as a line can be, and longer than what a pipe takes at once.
    let talks = |letter: u8| {
        let on_request = format!(
            "(local $n i32)
            (memory.fill (i32.const 8192) (i32.const {letter}) (i32.const 8000))
            (loop $again
                (call $log (i32.const 2) (i32.const 8192) (i32.const 8000))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $n) (i32.const 7))))
            i32.const 0"
        );
        Guest::request_filter(talk, "i32.const 0", &on_request).build()
    };
    const MANY: usize = 4;
    let both = [("a", b'x'), ("b", b'y')].map(|(name, letter)| {
        (0..MANY).fold(tenant(name), |tenant, number| {
            tenant.module(&format!("talks{number}"), talks(letter))
        })
    });
    let limits = "limits: {handler_ms: 1000, log_kib_per_s: 60000}";
    let house = House::new("process", limits, &both);
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            for number in 0..MANY {
                let mut caller = house.caller(name, &format!("talks{number}"), "");
                scope.spawn(move || caller.always(200, 0));
            }
        }
    });
    let log = house.runner.log();
    // The last one may still be on its way.
    let whole = log.rsplit_once('\n').expect("lines").0;
    let mut found = [0, 0];
    for line in whole.lines() {
        let owner = owner("text", line);
        for ((name, text), found) in [("a", "xxx"), ("b", "yyy")].iter().zip(&mut found) {
            if line.contains(text) {
                assert_eq!(owner.as_deref(), Some(*name), "{}", &line[..100]);
                *found += 1;
            }
        }
    }
    assert!(found.iter().all(|lines| *lines > 100), "{found:?}");
}
