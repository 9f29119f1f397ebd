//! How long an instance lives and what it starts from: fresh ones, fresh ones
//! from a snapshot of the configured state, warm ones. What one call writes
//! must never be seen by another unless the operator asked for warm instances,
//! and never by another configuration.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Guest, RunnerProcess, WireClient};
use protocol::gateway_side::{HttpAction, Reply};
use tempfile::TempDir;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// For what happens in the background.
const SOON: Duration = Duration::from_secs(30);

/// A filter that shows in a header the first letter of its configuration, as
/// `configure` wrote it into memory, and how many calls it has seen, once by a
/// global and once by memory. Configured with a `t`, it traps on the second.
fn counter(items: &str, configure: &str) -> Guest {
    let items = format!(
        r#"(import "apisix:filter/request@0.1.0" "set-header"
            (func $header (param i32 i32 i32 i32 i32)))
        {items}
        (global $count (mut i32) (i32.const 0))
        (data (i32.const 528) "x-count")"#
    );
    let configure =
        format!("{configure} (i32.store8 (i32.const 700) (i32.load8_u (local.get 0))) i32.const 0");
    let on_request = "
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store (i32.const 704) (i32.add (i32.load (i32.const 704)) (i32.const 1)))
        (if (i32.and (i32.eq (i32.load8_u (i32.const 700)) (i32.const 116))
                     (i32.eq (global.get $count) (i32.const 2)))
            (then unreachable))
        (i32.store8 (i32.const 560) (i32.load8_u (i32.const 700)))
        (i32.store8 (i32.const 561) (i32.add (global.get $count) (i32.const 48)))
        (i32.store8 (i32.const 562) (i32.add (i32.load (i32.const 704)) (i32.const 48)))
        (call $header (i32.const 528) (i32.const 7) (i32.const 560) (i32.const 3) (i32.const 96))
        i32.const 0";
    Guest::request_filter(&items, &configure, on_request)
}

/// A running runner with one filter, and one connection to it.
struct Stage {
    runner: RunnerProcess,
    client: WireClient,
    _folder: TempDir,
}

impl Stage {
    fn new(guest: &Guest, settings: &str) -> Self {
        Self::with_limits(guest, settings, "{}")
    }

    fn with_limits(guest: &Guest, settings: &str, limits: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let place = |name: &str| folder.path().join(name);
        std::fs::create_dir(place("modules")).expect("folder");
        std::fs::write(place("modules/counter.wasm"), guest.build()).expect("module");
        let config = format!(
            "logging: {{level: debug}}\nlimits: {limits}\nplugins: {{counter: {{{settings}}}}}\n"
        );
        std::fs::write(place("config.yaml"), config).expect("configuration");
        let args = [
            "serve".into(),
            "--modules".into(),
            place("modules"),
            "--config".into(),
            place("config.yaml"),
        ];
        let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("a runner");
        let client = WireClient::connect(runner.socket()).expect("connection");
        Stage {
            runner,
            client,
            _folder: folder,
        }
    }

    fn token(&mut self, conf: &str) -> u32 {
        self.client.prepare(&[("counter", conf)]).expect("token")
    }

    /// What the filter shows; `None` where the call failed.
    fn call(&mut self, conf_token: u32) -> Option<String> {
        match self.client.call(conf_token) {
            Ok(Reply::HttpReqCall {
                action: HttpAction::Rewrite { headers, .. },
                ..
            }) => {
                let value = headers[0].value.clone().expect("a value");
                Some(String::from_utf8(value).expect("UTF-8"))
            }
            Ok(Reply::Error(1)) => None,
            other => panic!("{other:?}\n{}", self.runner.log()),
        }
    }

    fn calls(&mut self, conf_token: u32, count: usize) -> Vec<Option<String>> {
        (0..count).map(|_| self.call(conf_token)).collect()
    }

    fn says(&self, text: &str) {
        assert!(
            self.runner.prints(text, SOON),
            "{text}:\n{}",
            self.runner.log()
        );
    }
}

fn shown(texts: &[&str]) -> Vec<Option<String>> {
    texts
        .iter()
        .map(|text| (!text.is_empty()).then(|| (*text).to_owned()))
        .collect()
}

const CAPTURED: &str = "plugin counter: calls start from a snapshot";

#[test]
fn a_snapshot_should_hold_its_configuration_and_nothing_of_any_call() {
    let mut stage = Stage::new(&counter("", ""), "snapshot: always");
    for conf in ["a", "b"] {
        let printed = stage.runner.log().len();
        let token = stage.token(conf);
        let expected = format!("{conf}11");
        assert_eq!(
            stage.calls(token, 5),
            shown(&[expected.as_str(); 5]),
            "before it is there, perhaps"
        );
        assert!(
            stage.runner.prints_after(printed, CAPTURED, SOON),
            "{}",
            stage.runner.log()
        );
        assert_eq!(
            stage.calls(token, 5),
            shown(&[expected.as_str(); 5]),
            "from the snapshot"
        );
    }
    let (a, b) = (stage.token("a"), stage.token("b"));
    for _ in 0..5 {
        assert_eq!(stage.call(a).as_deref(), Some("a11"));
        assert_eq!(stage.call(b).as_deref(), Some("b11"));
    }
}

#[test]
fn a_call_that_fails_should_leave_the_snapshot_as_it_was() {
    let mut stage = Stage::new(&counter("", ""), "snapshot: always");
    let token = stage.token("t");
    stage.says(CAPTURED);
    // It would trap on the second call of one instance.
    assert_eq!(stage.calls(token, 6), shown(&["t11"; 6]));
}

/// A filter that shows a 1 where it finds its instance as `configure` left it,
/// in memory from end to end and in globals of every type, and leaves nothing
/// as it was.
fn scribbler(on_the_way_out: &str) -> Guest {
    let items = r#"(import "apisix:filter/request@0.1.0" "set-header"
            (func $header (param i32 i32 i32 i32 i32)))
        (global $i (mut i32) (i32.const 7)) (global $l (mut i64) (i64.const 8))
        (global $f (mut f32) (f32.const 9.5)) (global $d (mut f64) (f64.const 10.5))
        (data (i32.const 528) "x-count") (data (i32.const 5000) "here") (data (i32.const 60000) "and there")
        (func $sum (result i32) (local $at i32) (local $sum i32)
            (loop $next
                (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 1))
                                         (i32.load8_u (local.get $at))))
                (br_if $next (i32.lt_u
                    (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 65536))))
            (local.get $sum))"#;
    let configure = "(global.set $l (i64.const 80)) (global.set $d (f64.const 100.5))
        (i32.store (i32.const 65532) (i32.const 77)) (i32.store (i32.const 700) (i32.const 0))
        (i32.store (i32.const 700) (call $sum)) i32.const 0";
    // The sum was taken while its own place was empty.
    let on_request = format!(
        "(local $found i32) (local $known i32)
        (local.set $known (i32.load (i32.const 700)))
        (i32.store (i32.const 700) (i32.const 0))
        (local.set $found (i32.and (i32.and
            (i32.eq (call $sum) (local.get $known)) (i32.eq (memory.size) (i32.const 1)))
            (i32.and
                (i32.and (i32.eq (global.get $i) (i32.const 7)) (i64.eq (global.get $l) (i64.const 80)))
                (i32.and (f32.eq (global.get $f) (f32.const 9.5))
                         (f64.eq (global.get $d) (f64.const 100.5))))))
        (memory.fill (i32.const 1024) (i32.const 170) (i32.const 64512))
        (global.set $i (i32.const 0)) (global.set $l (i64.const 0))
        (global.set $f (f32.const 0)) (global.set $d (f64.const 0))
        (i32.store8 (i32.const 560) (i32.add (i32.const 48) (local.get $found)))
        (call $header (i32.const 528) (i32.const 7) (i32.const 560) (i32.const 1) (i32.const 96))
        {on_the_way_out} i32.const 0"
    );
    Guest::request_filter(items, configure, &on_request)
}

#[test]
fn every_call_should_find_its_instance_as_configure_left_it() {
    let ways_out = [
        "",
        "(drop (memory.grow (i32.const 1)))",
        "(if (i32.eqz (global.get $i)) (then (memory.fill (i32.const 0) (i32.const 0) (i32.const 16))))",
    ];
    for way_out in ways_out {
        let mut stage = Stage::new(&scribbler(way_out), "snapshot: always");
        let token = stage.token("");
        stage.says(CAPTURED);
        assert_eq!(stage.calls(token, 10), shown(&["1"; 10]), "{way_out}");
    }
}

#[test]
fn a_configuration_in_use_should_be_captured_by_itself_and_one_that_is_off_never() {
    let work = "(local $i i32) (loop (br_if 0 (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200000))))";
    let rows = [("", true), ("snapshot: off", false)];
    for (settings, captured) in rows {
        let mut stage = Stage::new(&counter("", work), settings);
        let token = stage.token("a");
        let end = Instant::now() + SOON;
        let mut calls = 0;
        while !stage.runner.log().contains(CAPTURED) && calls < 3000 && Instant::now() < end {
            assert_eq!(stage.call(token).as_deref(), Some("a11"));
            calls += 1;
        }
        assert_eq!(
            stage.runner.log().contains(CAPTURED),
            captured,
            "after {calls} calls"
        );
    }
}

#[test]
fn what_asks_for_the_time_should_be_captured_only_where_the_operator_says_so() {
    let clock = r#"(import "apisix:filter/clock@0.1.0" "now-ms" (func $now (result i64)))"#;
    let asks = "(local $i i32) (drop (call $now)) (loop (br_if 0 (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3000000))))";
    let mut stage = Stage::new(&counter(clock, asks), "");
    let token = stage.token("a");
    let refused = "its configure asks for the clock";
    for _ in 0..200 {
        if stage.runner.log().contains(refused) {
            break;
        }
        stage.call(token);
    }
    stage.says(refused);
    assert_eq!(
        stage.call(token).as_deref(),
        Some("a11"),
        "and goes on as before"
    );

    let mut stage = Stage::new(&counter(clock, asks), "snapshot: always");
    stage.token("a");
    stage.says(CAPTURED);
}

#[test]
fn what_cannot_be_captured_should_say_why_and_serve_on() {
    let grows = "(table $t 1 funcref)";
    let changes_table = "(drop (table.grow $t (ref.null func) (i32.const 1)))";
    let mut stage = Stage::new(&counter(grows, changes_table), "snapshot: always");
    let token = stage.token("a");
    stage.says("unsupported `table.grow` instruction");
    assert_eq!(stage.calls(token, 3), shown(&["a11"; 3]));
}

#[test]
fn a_warm_instance_should_serve_its_configuration_only_and_not_for_ever() {
    let mut stage = Stage::new(&counter("", ""), "instances: warm, warm_uses: 3");
    let (a, b) = (stage.token("a"), stage.token("b"));
    let expected = ["a11", "a22", "a33", "a11", "a22"];
    assert_eq!(stage.calls(a, 5), shown(&expected));
    assert_eq!(stage.calls(b, 2), shown(&["b11", "b22"]));
    assert_eq!(stage.calls(a, 2), shown(&["a33", "a11"]));
}

#[test]
fn idle_instances_should_never_stand_in_the_way_of_others() {
    for settings in ["instances: warm", "snapshot: always"] {
        let mut stage = Stage::with_limits(&counter("", ""), settings, "{instances: 4}");
        for conf in ["a", "b", "c", "d", "e", "f"] {
            let token = stage.token(conf);
            if settings == "snapshot: always" {
                stage.says(CAPTURED);
            }
            let first = stage.call(token);
            assert_eq!(first.as_deref(), Some(&*format!("{conf}11")), "{settings}");
        }
    }
}

#[test]
fn a_guest_that_computes_should_let_others_on_its_thread_have_their_turn() {
    let spins = "(loop $spin (br_if $spin (i32.eq (i32.load8_u (i32.const 700)) (i32.const 115))))";
    let work = format!("{spins} i32.const 0");
    let guest = Guest::request_filter(
        "",
        "(i32.store8 (i32.const 700) (i32.load8_u (local.get 0))) i32.const 0",
        &work,
    );
    let limits = "{handler_ms: 2000, handler_wall_ms: 20000}";
    let stage = Stage::with_limits(&guest, "", limits);
    // On every thread there is at least one that spins.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let socket = stage.runner.socket();
    let quick: Vec<_> = (0..2 * threads)
        .map(|_| {
            let mut spinner = WireClient::connect(socket).expect("connection");
            let token = spinner.prepare(&[("counter", "s")]).expect("token");
            spinner
                .send(&WireClient::simplest_call(token))
                .expect("sent");
            spinner
        })
        .collect();
    let mut client = WireClient::connect(socket).expect("connection");
    let token = client.prepare(&[("counter", "q")]).expect("token");
    let mut turns = 0;
    while turns < 20 {
        let reply = client.call(token);
        assert!(matches!(reply, Ok(Reply::HttpReqCall { .. })), "{reply:?}");
        turns += 1;
    }
    // Far from their two seconds of computing, none has been answered.
    assert!(
        !stage.runner.log().contains("ran for more than"),
        "{}",
        stage.runner.log()
    );
    drop(quick);
}

#[test]
fn a_warm_instance_that_failed_should_not_serve_again() {
    let mut stage = Stage::new(&counter("", ""), "instances: warm");
    let token = stage.token("t");
    let expected = ["t11", "", "t11", "", "t11"];
    assert_eq!(stage.calls(token, 5), shown(&expected));
}

#[test]
fn a_warm_instance_should_go_when_it_has_waited_long_enough() {
    let mut stage = Stage::new(&counter("", ""), "instances: warm, warm_idle_s: 1");
    let token = stage.token("a");
    assert_eq!(stage.calls(token, 2), shown(&["a11", "a22"]));
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(stage.calls(token, 2), shown(&["a11", "a22"]));
}

#[test]
fn settings_for_a_plugin_that_is_not_there_should_be_pointed_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("counter.wasm"), counter("", "").build()).expect("module");
    let config = folder.path().join("c.yaml");
    std::fs::write(&config, "plugins: {countre: {instances: warm}}").expect("file");
    let args = [
        "serve".into(),
        "--modules".into(),
        folder.path().to_owned(),
        "--config".into(),
        config,
    ];
    let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("a runner");
    let text = "plugins.countre: there is no such plugin; did you mean counter?";
    assert!(runner.prints(text, SOON), "{}", runner.log());
}
