//! Secrets are for the filter that was granted them and stand in no log,
//! whatever the filter does with them. And what a filter sees of time and
//! chance.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use sandbox::{Grants, Randomness};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::Bench;
use crate::fakes::{everything, secrets};
use crate::guests::{PASS, importing, printing, reporting};

const NAME: &str = "(i32.const 528) (i32.const 5)";
const VALUE: &str = "s3cret-value";

/// Reports what the secret TOKEN is, from `configure` or from the handler.
fn asks(configure: bool) -> Vec<u8> {
    let ask = reporting(
        NAME,
        4,
        "(call $report (i32.load (i32.const 68)) (i32.load (i32.const 72)))",
    );
    let (configure, on_request) = match configure {
        true => (&*ask, PASS),
        false => (PASS, &*ask),
    };
    importing("secrets", "get", "i32 i32", configure, on_request).build()
}

fn granting(values: &[(&str, &str)]) -> Bench {
    Bench::granting(Grants {
        secrets: Some(secrets(values)),
        ..everything()
    })
}

#[test]
fn a_secret_should_reach_its_filter_and_no_reason_of_a_failure() {
    for in_configure in [true, false] {
        let asks = || asks(in_configure);
        // Too short to be looked for.
        assert_eq!(granting(&[("TOKEN", "abc")]).report(asks()), "abc");
        let report = granting(&[("TOKEN", VALUE)]).report(asks());
        assert_eq!(report, "[secret TOKEN]");
        let denied = granting(&[("OTHER", VALUE)]).report(asks());
        assert_eq!(
            denied,
            "the operator has not granted the secret \"TOKEN\"; grant it with \
             plugins.fuzzed.grants.secrets: {TOKEN: {env: VARIABLE}}"
        );
    }
}

thread_local! {
    /// What this thread logged, as text and as JSON.
    static LOGGED: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Writes one of the two.
struct Log(usize);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged[self.0].write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What this thread logs meanwhile, every event there is among it: as text and
/// as JSON.
fn logged(work: impl FnOnce()) -> [String; 2] {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let text = fmt::layer().with_ansi(false).with_writer(|| Log(0));
        let json = fmt::layer().json().with_writer(|| Log(1));
        tracing_subscriber::registry().with(text).with(json).init();
    });
    LOGGED.take();
    work();
    LOGGED
        .take()
        .map(|log| String::from_utf8(log).expect("text"))
}

#[test]
fn a_secret_should_stand_in_no_log() {
    let items =
        |level| format!("(i32.const {level}) (i32.load (i32.const 68)) (i32.load (i32.const 72))");
    // It logs the secret at every level and goes on.
    let mut body = format!("(call $f {NAME} (i32.const 64))");
    for level in 0..5 {
        body.push_str(&format!("(call $log {})", items(level)));
    }
    body.push_str(PASS);
    let mut guest = importing("secrets", "get", "i32 i32", PASS, &body);
    guest.wat = guest.wat.replacen(
        "(module",
        r#"(module (import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        1,
    );
    let bench = granting(&[("TOKEN", VALUE)]);
    let filter = bench.filter(guest.build(), "");
    let logs = logged(|| {
        assert!(bench.call(&filter).is_ok());
    });
    for log in logs {
        assert!(log.matches("[secret TOKEN]").count() >= 5, "{log}");
        let of_host_calls = log
            .lines()
            .filter(|line| line.contains("sandbox::bindings"));
        let others: Vec<&str> = log
            .lines()
            .filter(|line| !line.contains("sandbox::bindings"))
            .collect();
        assert!(others.iter().all(|line| !line.contains(VALUE)), "{log}");
        // What the host was asked is for the author; the answer is nobody's.
        let mut answers = of_host_calls.filter(|line| line.contains("return"));
        assert!(answers.all(|line| !line.contains(VALUE)), "{log}");
    }
}

#[test]
fn a_printed_secret_should_stand_in_no_log() {
    // A line of which the log has 8 KiB, with a secret wherever it is cut.
    let long = "(loop $again
        (memory.copy (i32.add (i32.const 300000) (local.get $bytes)) (i32.const 520) (i32.const 5))
        (local.set $bytes (i32.add (local.get $bytes) (i32.const 5)))
        (br_if $again (i32.lt_u (local.get $bytes) (i32.const 9000))))
        (call $print (i32.const 300000) (i32.const 9000))";
    for (body, expected) in [
        (
            "(call $print (i32.const 520) (i32.const 6))",
            "[secret TOKEN]",
        ),
        (long, "[cut]"),
    ] {
        let body = format!("(local $bytes i32) {body} {PASS}");
        let bench = granting(&[("TOKEN", "value")]);
        let filter = bench.filter(printing(&body), "");
        let [log, _] = logged(|| {
            assert!(bench.call(&filter).is_ok());
        });
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(" INFO ")).collect();
        assert!(!lines.is_empty(), "{log}");
        let is_redacted = |line: &&str| line.contains(expected) && !line.contains("valu");
        assert!(lines.iter().all(is_redacted), "{lines:?}");
    }
}

#[test]
fn clocks_should_tell_no_less_than_the_operator_grants() {
    let hour = "(if (i64.ne (i64.rem_u (call $now) (i64.const 3600000)) (i64.const 0))
        (then unreachable)) i32.const 0";
    let import = r#"(import "apisix:filter/clock@0.1.0" "now-ms" (func $now (result i64)))"#;
    let wasm = harness::Guest::request_filter(import, PASS, hour).build();
    let bench = Bench::granting(Grants {
        clock_resolution: Duration::from_secs(3600),
        ..Grants::none()
    });
    assert!(bench.call(&bench.filter(wasm, "")).is_ok());
}

/// Draws in `configure`, and reports in the handler whether the next draw gives
/// the same number again.
fn draws() -> Vec<u8> {
    let draw = "(call $f (i32.const 64)) (i64.store (i32.const 900) (i64.load (i32.const 72)))
        i32.const 0";
    let again = "(call $f (i32.const 64))
        (if (i64.ne (i64.load (i32.const 72)) (i64.load (i32.const 900))) (then unreachable))
        i32.const 0";
    importing("random", "get-u64", "", draw, again).build()
}

#[test]
fn fixed_numbers_should_be_the_same_in_every_instance_and_let_it_be_captured() {
    let granting = |random| {
        Bench::granting(Grants {
            random,
            ..Grants::none()
        })
    };
    // What configure drew is kept, and the instance that starts from there
    // draws as every instance does.
    let fixed = granting(Randomness::Fixed);
    let filter = fixed.filter(draws(), "");
    assert!(fixed.workbench.capture(&filter, 64 << 20));
    for _ in 0..3 {
        assert!(fixed.call(&filter).is_ok());
    }
    let real = granting(Randomness::Real);
    let filter = real.filter(draws(), "");
    assert!(!real.workbench.capture(&filter, 64 << 20));
    assert!(real.call(&filter).is_err(), "another number");
}

/// Languages draw as they start, for the order of their dictionaries, and WASI
/// has three ways to do so.
#[test]
fn numbers_of_wasi_should_be_fixed_too() {
    let wit = "
        package wasi:random@0.2.0 {
            interface random { get-random-u64: func() -> u64; }
            interface insecure { get-insecure-random-u64: func() -> u64; }
            interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
        }
        /// A filter of requests.";
    let interfaces = "import types;\n    import wasi:random/random@0.2.0;\n    import \
                      wasi:random/insecure@0.2.0;\n    import wasi:random/insecure-seed@0.2.0;\n    \
                      import request;";
    let items = r#"
        (import "wasi:random/random@0.2.0" "get-random-u64" (func $a (result i64)))
        (import "wasi:random/insecure@0.2.0" "get-insecure-random-u64" (func $b (result i64)))
        (import "wasi:random/insecure-seed@0.2.0" "insecure-seed" (func $c (param i32)))
        (func $sum (result i64) (call $c (i32.const 64))
            (i64.add (i64.load (i32.const 72))
                (i64.add (i64.load (i32.const 64)) (i64.add (call $a) (call $b)))))"#;
    let draw = "(i64.store (i32.const 900) (call $sum)) i32.const 0";
    let again = "(if (i64.ne (call $sum) (i64.load (i32.const 900))) (then unreachable))
        i32.const 0";
    let wasm = harness::Guest::request_filter(items, draw, again)
        .against("/// A filter of requests.", wit)
        .against("import types;\n    import request;", interfaces)
        .build();
    for (random, is_captured) in [(Randomness::Fixed, true), (Randomness::Real, false)] {
        let bench = Bench::granting(Grants {
            random,
            ..Grants::none()
        });
        let filter = bench.filter(wasm.clone(), "");
        assert_eq!(bench.workbench.capture(&filter, 64 << 20), is_captured);
        assert_eq!(bench.call(&filter).is_ok(), is_captured);
    }
}
