//! Other servers and the store: each function does what it says, within its
//! phase and its limits, and waiting costs the filter none of its own time.

use std::sync::Arc;
use std::time::Duration;

use harness::{Guest, modules};
use sandbox::{Filter, Grants, OutboundError, SandboxError, StopResponse, Verdict};

use crate::Bench;
use crate::fakes::{Server, Store, everything, response, secrets};
use crate::guests::{PASS, importing, reporting};

const KEY: &str = "(i32.const 512) (i32.const 3)";
const VALUE: &str = "(i32.const 520) (i32.const 5)";
const NO_LIFETIME: &str = "(i32.const 0) (i64.const 0)";

/// The store's functions: parameters, arguments, the distance of the payload,
/// what to report where it goes well.
struct Call {
    function: &'static str,
    parameters: &'static str,
    arguments: String,
    payload: u32,
    otherwise: &'static str,
}

impl Call {
    fn new(function: &'static str, parameters: &'static str, arguments: &[&str]) -> Self {
        Call {
            function,
            parameters,
            arguments: arguments.join(" "),
            payload: 4,
            otherwise: "(call $nothing)",
        }
    }

    fn body(&self) -> String {
        reporting(&self.arguments, self.payload, self.otherwise)
    }

    fn in_on_request(&self) -> Vec<u8> {
        self.guest(PASS, &self.body()).build()
    }

    fn guest(&self, configure: &str, on_request: &str) -> Guest {
        importing(
            "key-value",
            self.function,
            self.parameters,
            configure,
            on_request,
        )
    }
}

fn get() -> Call {
    Call {
        otherwise: "(if (result i32) (i32.load8_u (i32.const 68))
            (then (call $report (i32.load (i32.const 72)) (i32.load (i32.const 76))))
            (else (call $nothing)))",
        ..Call::new("get", "i32 i32", &[KEY])
    }
}

fn set(lifetime: &str) -> Call {
    Call::new("set", "i32 i32 i32 i32 i32 i64", &[KEY, VALUE, lifetime])
}

fn remove() -> Call {
    Call::new("remove", "i32 i32", &[KEY])
}

fn increment() -> Call {
    let by = "(i64.const 2)";
    Call {
        payload: 8,
        ..Call::new(
            "increment",
            "i32 i32 i64 i32 i64",
            &[KEY, by, "(i32.const 1) (i64.const 60000)"],
        )
    }
}

fn with_store(store: &Arc<Store>) -> Grants {
    Grants {
        key_value: Some(Arc::clone(store) as _),
        ..everything()
    }
}

#[test]
fn the_store_should_be_asked_as_the_filter_asks() {
    let store = Arc::new(Store::default());
    let bench = Bench::granting(with_store(&store));
    let lives = "(i32.const 1) (i64.const 1500)";
    let lives_not = "(i32.const 1) (i64.const 0)";
    let rows = [
        (get(), "nothing", "get key"),
        (set(lives), "nothing", "set key Some(1.5s)"),
        (get(), "value", "get key"),
        (increment(), "key is no number", "increment key 2 Some(60s)"),
        (set(NO_LIFETIME), "nothing", "set key None"),
        (remove(), "nothing", "remove key"),
        (get(), "nothing", "get key"),
        (increment(), "nothing", "increment key 2 Some(60s)"),
        (get(), "2", "get key"),
        (increment(), "nothing", "increment key 2 Some(60s)"),
        (get(), "4", "get key"),
    ];
    for (call, expected, asked) in rows {
        assert_eq!(bench.report(call.in_on_request()), expected, "{asked}");
        let last = store.asked.lock().expect("not poisoned").pop();
        assert_eq!(last.as_deref(), Some(asked));
    }
    let invalid = [
        (
            set(lives_not),
            "key-value.set: a value cannot live for 0 ms",
        ),
        (
            Call::new("remove", "i32 i32", &["(i32.const 512) (i32.const 0)"]),
            "key-value.remove: a key has 1 to 512 bytes, not 0",
        ),
        (
            Call::new("remove", "i32 i32", &["(i32.const 512) (i32.const 513)"]),
            "key-value.remove: a key has 1 to 512 bytes, not 513",
        ),
    ];
    let before = store.asked.lock().expect("not poisoned").len();
    for (call, expected) in invalid {
        let reported = bench.report(call.in_on_request());
        assert!(reported.starts_with(expected), "{reported}");
    }
    assert_eq!(store.asked.lock().expect("not poisoned").len(), before);
}

#[test]
fn no_service_should_answer_outside_of_a_call() {
    let bench = Bench::granting(everything());
    for call in [get(), set(NO_LIFETIME), remove(), increment()] {
        let configures = call.guest(&call.body(), PASS).build();
        let expected = format!(
            "key-value.{} works in on-request and on-response only",
            call.function
        );
        assert_eq!(bench.report(configures), expected);
    }
}

#[test]
fn what_is_not_granted_any_more_should_be_denied() {
    let bench = Bench::granting(everything());
    let plugin = bench.load(get().in_on_request()).expect("it loads");
    let nothing = Arc::new(Grants::none());
    let filter = Filter::with_grants(plugin, Arc::from([]), Arc::from("r"), nothing);
    let expected = "the operator has not granted this; grant it with \
                    plugins.fuzzed.grants.key_value: {}";
    assert_eq!(
        bench.call(&filter),
        Err(SandboxError::GuestError(expected.into()))
    );
}

#[test]
fn a_call_should_ask_so_often_and_no_more() {
    let mut bench = Bench::granting(everything());
    bench.settings.limits.service_calls = 2;
    let twice = format!(
        "(drop {}) (drop {}) {}",
        increment().body(),
        increment().body(),
        increment().body()
    );
    let wasm = increment().guest(PASS, &twice).build();
    let expected = "the filters of one call may ask services 2 times (limits.service_calls)";
    let filter = bench.filter(wasm, "");
    // Each call has its own.
    for _ in 0..2 {
        assert_eq!(
            bench.call(&filter),
            Err(SandboxError::GuestError(expected.into()))
        );
    }
}

#[test]
fn waiting_should_end_and_cost_the_filter_nothing_of_its_own() {
    let slow = |after| {
        let store = Store {
            after: Duration::from_millis(after),
            ..Store::default()
        };
        let mut bench = Bench::granting(with_store(&Arc::new(store)));
        bench.settings.limits.handler_time = Duration::from_millis(20);
        bench.settings.limits.handler_wall_time = Duration::from_millis(20);
        bench.settings.limits.services_time = Duration::from_millis(200);
        bench
    };
    let late = "no answer within 200 ms";
    assert_eq!(slow(60_000).report(get().in_on_request()), late);
    // Longer than a handler may take by itself.
    assert_eq!(slow(80).report(get().in_on_request()), "nothing");
    // What one has waited is gone for the next.
    let again = format!("(drop {}) {}", get().body(), get().body());
    let again = get().guest(PASS, &again).build();
    let exhausted = "the filters of one call may wait 200 ms for services (limits.services_ms)";
    assert_eq!(slow(60_000).report(again), exhausted);
}

fn example(name: &str) -> Vec<u8> {
    std::fs::read(modules::examples().join(format!("{name}.wasm"))).expect(name)
}

#[test]
fn a_rate_limit_should_count_over_calls() {
    let store = Arc::new(Store::default());
    let bench = Bench::granting(with_store(&store));
    let filter = bench.filter(example("rate-limit"), "2 60");
    for expected in [None, None, Some(429)] {
        let verdict = bench.call(&filter).expect("a verdict");
        let status = match verdict {
            Verdict::Next => None,
            Verdict::Stop(StopResponse { status, .. }) => Some(status),
        };
        assert_eq!(status, expected);
    }
    let asked = store.asked.lock().expect("not poisoned");
    assert_eq!(asked[0], "increment requests of 192.0.2.7 1 Some(60s)");
}

#[test]
fn another_server_should_be_asked_as_the_filter_asks() {
    let rows = [
        (Ok(response(200, "ada")), None),
        (Ok(response(401, "")), Some(401)),
        (Ok(response(302, "")), Some(403)),
        (Err(OutboundError::Unreachable("nobody".into())), Some(503)),
    ];
    for (result, expected) in rows {
        let server = Server::answering(result);
        let bench = Bench::granting(Grants {
            http: Some(Arc::clone(&server) as _),
            secrets: Some(secrets(&[("AUTH_KEY", "sesame")])),
            ..Grants::none()
        });
        let filter = bench.filter(example("auth-callout"), "https://auth.test/check");
        let status = match bench.call(&filter).expect("a verdict") {
            Verdict::Next => None,
            Verdict::Stop(StopResponse { status, .. }) => Some(status),
        };
        assert_eq!(status, expected);
        let asked = server.asked.lock().expect("not poisoned");
        let [request] = asked.as_slice() else {
            panic!("{asked:?}");
        };
        assert_eq!(request.method, "GET");
        assert_eq!(request.url, "https://auth.test/check");
        assert_eq!(request.time, Duration::from_secs(1), "what the filter says");
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        assert_eq!(
            request.headers,
            [
                header("authorization", "Bearer 7"),
                header("x-key", "sesame")
            ]
        );
    }
}
