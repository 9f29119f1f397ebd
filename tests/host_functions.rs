//! What a filter may import, called from filters written in WebAssembly text:
//! the phases in which a function works, and the values that filters pass on.
//! (Reading and editing are in `request_phase.rs` and `response_phase.rs`.)

use harness::{Guest, HttpOutcome, HttpRequest, RouteConf, RunnerProcess, TestGateway, modules};
use tempfile::TempDir;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// Addresses in the guests' memory: results of imports, and constant texts.
const LAYOUT: &str = r#"(data (i32.const 512) "key") (data (i32.const 520) "value")
    (data (i32.const 528) "x-value") (data (i32.const 536) "/path")"#;

/// What a handler returns for "ok, next": address 0 holds zeros.
const OK: &str = "i32.const 0";

/// Traps unless the result at address 64 is the error `wrong-phase`, the second
/// case of `types.error`.
const MUST_BE_WRONG_PHASE: &str = "
    (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
    (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))";

fn run(guests: &[(&str, Guest)], chain: &[&str]) -> (HttpOutcome, RunnerProcess, TempDir) {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, guest) in guests {
        std::fs::write(folder.path().join(format!("{name}.wasm")), guest.build()).expect("file");
    }
    let runner = modules::runner(RUNNER, folder.path());
    let mut route = RouteConf::new("r");
    for plugin in chain {
        route = route.plugin(plugin, "");
    }
    let gateway = TestGateway::new(runner.socket());
    let outcome = gateway
        .request_phase(&route, &HttpRequest::new("GET", "/"))
        .outcome;
    (outcome, runner, folder)
}

fn passes(name: &str, guest: Guest) {
    let (outcome, runner, _folder) = run(&[(name, guest)], &[name]);
    assert!(
        matches!(outcome, HttpOutcome::Upstream(_)),
        "{name}: {outcome:?}\n{}",
        runner.log()
    );
}

/// One import of each interface that has a phase: its name, its parameters
/// before the address of the result, and arguments for them.
const IMPORTS: [(&str, &str, &str, &str); 6] = [
    ("request", "id", "", ""),
    (
        "request",
        "set-path",
        "i32 i32",
        "(i32.const 536) (i32.const 5)",
    ),
    ("request", "body", "", ""),
    ("chain", "get", "i32 i32", "(i32.const 512) (i32.const 3)"),
    (
        "variables",
        "get",
        "i32 i32",
        "(i32.const 512) (i32.const 3)",
    ),
    ("response", "status", "", ""),
];

#[test]
fn a_function_out_of_its_phase_should_return_an_error_and_never_trap() {
    for (interface, function, params, args) in IMPORTS {
        let import = format!(
            r#"(import "apisix:filter/{interface}@0.1.0" "{function}"
                (func $f (param {params} i32))) {LAYOUT}"#
        );
        let call = format!("(call $f {args} (i32.const 64)) {MUST_BE_WRONG_PHASE} {OK}");
        let world = if interface == "response" {
            "filter"
        } else {
            "request-filter"
        };
        let mut in_configure = Guest::request_filter(&import, &call, OK);
        let mut in_on_request = Guest::request_filter(&import, OK, &call);
        for guest in [&mut in_configure, &mut in_on_request] {
            guest.world = world;
            if world == "filter" {
                let end = guest.wat.rfind(')').expect("the module ends");
                guest.wat.insert_str(
                    end,
                    r#"(func (export "apisix:filter/response-handler@0.1.0#on-response")
                        (result i32) i32.const 0)"#,
                );
            }
        }
        passes("configure", in_configure);
        if interface == "response" {
            passes("request", in_on_request);
        }
    }
}

#[test]
fn a_value_should_reach_the_filters_behind_and_no_other_call() {
    let set = format!(
        r#"(import "apisix:filter/chain@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
        {LAYOUT}"#
    );
    let set_value = "(call $set (i32.const 512) (i32.const 3) (i32.const 520) (i32.const 5)
        (i32.const 64)) i32.const 0";
    let get = format!(
        r#"(import "apisix:filter/chain@0.1.0" "get" (func $get (param i32 i32 i32)))
        (import "apisix:filter/request@0.1.0" "set-header"
            (func $header (param i32 i32 i32 i32 i32))) {LAYOUT}"#
    );
    // Where there is a value (68: option), it becomes a header (72, 76: text).
    let show_value = "(call $get (i32.const 512) (i32.const 3) (i32.const 64))
        (if (i32.load8_u (i32.const 68)) (then
            (call $header (i32.const 528) (i32.const 7)
                (i32.load (i32.const 72)) (i32.load (i32.const 76)) (i32.const 96))))
        i32.const 0";
    let setter = Guest::request_filter(&set, OK, set_value);
    let getter = Guest::request_filter(&get, OK, show_value);
    for (chain, expected) in [
        (&["setter", "getter"][..], &[&b"value"[..]][..]),
        (&["getter", "setter"], &[]),
        (&["getter"], &[]),
    ] {
        let guests = [("setter", setter.clone()), ("getter", getter.clone())];
        let (outcome, runner, _folder) = run(&guests, chain);
        let HttpOutcome::Upstream(upstream) = outcome else {
            panic!("{chain:?}: {outcome:?}\n{}", runner.log());
        };
        assert_eq!(upstream.header("x-value"), expected, "{chain:?}");
    }
}
