//! Secrets are for the filter that was granted them and stand in no log,
//! whatever the filter does with them. And what a filter sees of time and
//! chance.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::modules;
use sandbox::{Filter, Grants, Randomness, SandboxError};
use tracing::Subscriber;

use crate::Bench;
use crate::fakes::{everything, secrets};
use crate::guests::{PASS, importing, reporting};

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

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What is logged meanwhile, every event there is among it.
    fn of(json: bool, work: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let layer = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber: Box<dyn Subscriber + Send + Sync> = match json {
            true => Box::new(layer.json().finish()),
            false => Box::new(layer.finish()),
        };
        tracing::subscriber::with_default(subscriber, work);
        let bytes = log.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }
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
    for json in [false, true] {
        let log = Log::of(json, || {
            assert!(bench.call(&filter).is_ok());
        });
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

/// Whatever way it takes: this one prints.
#[test]
fn a_printed_secret_should_stand_in_no_log() {
    let bench = Bench::granting(Grants {
        secrets: Some(secrets(&[("TOKEN", "n-python")])),
        ..Grants::none()
    });
    let python = modules::examples().join("../languages/modules/in-python.wasm");
    let wasm = std::fs::read(python).expect("run `./just languages`");
    let plugin = bench.load(wasm).expect("it loads");
    let configuration = "n-python is no JSON";
    let filter = Filter::new(plugin, configuration.as_bytes().into(), Arc::from("r"));
    let log = Log::of(false, || match bench.call(&filter) {
        Err(SandboxError::ConfigurationRejected(reason)) => {
            assert!(!reason.contains("n-python"), "{reason}");
        }
        other => panic!("{other:?}"),
    });
    let lines = log
        .lines()
        .filter(|line| !line.contains("sandbox::bindings"));
    assert!(
        lines.clone().all(|line| !line.contains("n-python")),
        "{log}"
    );
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

/// It draws as it starts, for the order of its dictionaries.
#[test]
fn python_should_be_captured_where_its_numbers_are_fixed() {
    let python = modules::examples().join("../languages/modules/in-python.wasm");
    let wasm = std::fs::read(python).expect("run `./just languages`");
    for (random, expected) in [(Randomness::Fixed, true), (Randomness::Real, false)] {
        let bench = Bench::granting(Grants {
            random,
            ..Grants::none()
        });
        let filter = bench.filter(wasm.clone(), r#"{"header":"x","value":"y"}"#);
        let captured = bench.workbench.capture(&filter, 256 << 20);
        assert_eq!(captured, expected, "{random:?}");
        assert!(bench.call(&filter).is_ok());
    }
}
