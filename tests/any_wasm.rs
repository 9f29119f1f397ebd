//! Every .wasm that makes sense loads: components, core modules that describe
//! their interface, core modules for WASI preview 1. What a guest prints is in
//! the log. What cannot load says why in its author's words.

use std::time::Duration;

use harness::{Guest, RunnerProcess, WireClient, modules};
use protocol::gateway_side::{HttpAction, Reply};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

const SOON: Duration = Duration::from_secs(5);

/// A runner that serves this one module as `guest`.
fn serving(wasm: &[u8]) -> RunnerProcess {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("guest.wasm"), wasm).expect("file");
    let others = modules::examples().join("stop.wasm");
    std::fs::copy(others, folder.path().join("stop.wasm")).expect("copy");
    let runner = modules::runner(RUNNER, folder.path());
    assert!(
        runner.prints("plugins can be used", SOON),
        "{}",
        runner.log()
    );
    runner
}

fn call(runner: &RunnerProcess) -> Reply {
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let conf_token = client.prepare(&[("guest", "")]).expect("token");
    client.call(conf_token).expect("reply")
}

fn assert_passes(runner: &RunnerProcess) {
    let reply = call(runner);
    let passes = matches!(
        reply,
        Reply::HttpReqCall {
            action: HttpAction::None,
            ..
        }
    );
    assert!(passes, "{reply:?}\n{}", runner.log());
}

/// Address 0 holds "ok" and `next`.
const PASS: &str = "i32.const 0";

/// A core module for preview 1.
fn for_preview_1(items: &str, on_request: &str) -> Vec<u8> {
    Guest::for_preview_1(items, PASS, on_request).core_module()
}

/// Writes so many bytes from address 512 to a file descriptor, by preview 1.
const WRITE: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write"
      (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (data (i32.const 512) "one\0atwo\0athree")
    (func $write (param $fd i32) (param $bytes i32)
      (i32.store (i32.const 256) (i32.const 512))
      (i32.store (i32.const 260) (local.get $bytes))
      (drop (call $fd_write (local.get $fd) (i32.const 256) (i32.const 1) (i32.const 264))))"#;

#[test]
fn a_core_module_that_describes_its_interface_should_serve() {
    let log = r#"(import "apisix:filter/log@0.1.0" "log" (func (param i32 i32 i32)))"#;
    for items in ["", log] {
        let module = Guest::request_filter(items, PASS, PASS).core_module();
        assert_passes(&serving(&module));
    }
}

#[test]
fn a_core_module_for_preview_1_should_serve_and_what_it_prints_be_logged() {
    // Two whole lines and a third without its end, then what the adapter has of
    // a second output.
    let on_request = "(call $write (i32.const 1) (i32.const 13)) \
                      (call $write (i32.const 2) (i32.const 4)) i32.const 0";
    let module = for_preview_1(WRITE, on_request);
    let runner = serving(&module);
    assert_passes(&runner);
    for line in [
        "INFO guest: one",
        "INFO guest: two",
        "INFO guest: three",
        "WARN guest: one",
    ] {
        let line = format!("{line} plugin=");
        assert!(runner.prints(&line, SOON), "{line}\n{}", runner.log());
    }
}

/// No files, no environment, no arguments, no input: each is there and empty.
#[test]
fn preview_1_should_find_nothing_of_the_world() {
    let items = r#"
      (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_prestat_get"
        (func $prestat (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_read"
        (func $read (param i32 i32 i32 i32) (result i32)))
      (func $expect (param $found i32) (param $wanted i32)
        (if (i32.ne (local.get $found) (local.get $wanted)) (then unreachable)))"#;
    let on_request = "
      (i32.store (i32.const 256) (i32.const 7))
      (call $expect (call $environ (i32.const 256) (i32.const 260)) (i32.const 0))
      (call $expect (i32.load (i32.const 256)) (i32.const 0))
      (i32.store (i32.const 256) (i32.const 7))
      (call $expect (call $args (i32.const 256) (i32.const 260)) (i32.const 0))
      (call $expect (i32.load (i32.const 256)) (i32.const 0))
      (call $expect (call $prestat (i32.const 3) (i32.const 256)) (i32.const 8)) ;; EBADF
      (i32.store (i32.const 256) (i32.const 512))
      (i32.store (i32.const 260) (i32.const 16))
      (call $expect
        (call $read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 264))
        (i32.const 0))
      (call $expect (i32.load (i32.const 264)) (i32.const 0))
      i32.const 0";
    assert_passes(&serving(&for_preview_1(items, on_request)));
}

#[test]
fn a_core_module_that_cannot_load_should_be_told_why() {
    let filter = |items: &str| Guest::request_filter(items, PASS, PASS);
    let no_memory = Guest {
        wat: "(module)".into(),
        ..filter("")
    };
    let rows: [(Vec<u8>, &str); 5] = [
        (
            b"\0asm\x01\0\0\0".to_vec(),
            "found a core module that exports nothing of apisix:filter; build it with bindings",
        ),
        (
            filter(r#"(import "env" "abort" (func))"#).core_module(),
            "found a core module that imports abort from env, what a linker could not find",
        ),
        (
            filter(r#"(import "wasi_snapshot_preview1" "sock_listen" (func))"#).core_module(),
            "found a core module, and no component can be made of it: ",
        ),
        (
            no_memory.core_module(),
            "found a core module that exports nothing of apisix:filter",
        ),
        (
            filter(r#"(import "wasi:http/types@0.2.0" "x" (func))"#).core_module(),
            "found a core module, and no component can be made of it: ",
        ),
    ];
    for (wasm, expected) in rows {
        let runner = serving(&wasm);
        assert_eq!(call(&runner), Reply::Error(1), "{expected}");
        assert!(
            runner.prints(expected, SOON),
            "no {expected:?} in\n{}",
            runner.log()
        );
    }
}
