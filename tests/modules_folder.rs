//! What may lie in the folder of modules: whatever cannot be used is named in
//! the log with what was expected and found, its calls fail, and the other
//! modules are served all the same.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Guest, RunnerProcess, WireClient, modules};
use protocol::gateway_side::{HttpAction, Reply};
use tempfile::TempDir;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// A folder with the sample `stop` and one more file.
fn folder_with(name: &str, bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::copy(
        modules::examples().join("stop.wasm"),
        folder.path().join("stop.wasm"),
    )
    .expect("copy");
    std::fs::write(folder.path().join(name), bytes).expect("file");
    folder
}

fn call(runner: &RunnerProcess, plugin: &str) -> Reply {
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let conf_token = client.prepare(&[(plugin, "")]).expect("token");
    client.call(conf_token).expect("reply")
}

fn refused(file: &str, bytes: &[u8], expected: &[&str]) {
    let folder = folder_with(file, bytes);
    let runner = modules::runner(RUNNER, folder.path());
    let stop = call(&runner, "stop");
    assert!(
        matches!(
            stop,
            Reply::HttpReqCall {
                action: HttpAction::Stop { .. },
                ..
            }
        ),
        "{file}: the other module gave {stop:?}"
    );
    let name = file.split('.').next().expect("name");
    assert_eq!(call(&runner, name), Reply::Error(1), "{file}");
    for text in expected.iter().chain([&file]) {
        assert!(
            runner.prints(text, Duration::from_secs(5)),
            "no {text:?} in\n{}",
            runner.log()
        );
    }
}

/// What a filter does that does nothing.
const PASS: &str = "i32.const 0";

#[test]
fn files_that_are_no_components_should_be_named() {
    let rows: [(&str, &[u8], &str); 7] = [
        ("empty.wasm", b"", "found an empty file"),
        (
            "text.wasm",
            b"hello",
            "found text; if it is the source of a filter, build it first",
        ),
        ("wat.wasm", b"(module)", "found WebAssembly text"),
        ("core.wasm", b"\0asm\x01\0\0\0", "found a core module"),
        (
            "native.wasm",
            b"\x7fELF\x02\x01\x01",
            "found a native ELF file",
        ),
        (
            "cut.wasm",
            b"\0asm\x0d\0\x01\0\x07\xff",
            "the component is not valid",
        ),
        ("notes.txt", b"hello", "expected NAME.wasm"),
    ];
    for (file, bytes, expected) in rows {
        refused(file, bytes, &[expected]);
    }
}

#[test]
fn native_code_should_be_refused_whatever_it_is_called() {
    let elf = b"\x7fELF\x02\x01\x01";
    refused(
        "fast.cwasm",
        elf,
        &["it is native code", "only the .wasm it was made from"],
    );
    refused("disguised.wasm", elf, &["found a native ELF file"]);
}

#[test]
fn components_that_do_not_fit_should_be_named_with_interface_version_and_function() {
    let now = r#"(import "apisix:filter/clock@0.1.0" "now-ms" (func (result i64)))"#;
    let filter = || Guest::request_filter(now, PASS, PASS);
    let other_version = filter().against("@0.1.0", "@0.2.0");
    let other_package = filter().against("apisix:filter", "other:thing");
    let new_function = filter().against("now-ms", "now-ns");
    let other_type = filter().against("now-ms: func() -> u64", "now-ms: func() -> s64");
    let no_handler = Guest {
        wat: r#"(module (memory (export "memory") 1))"#.into(),
        world: "nothing",
        wit_edits: vec![("world filter {", "world nothing {} world filter {")],
    };
    let rows: [(&str, &Guest, &[&str]); 5] = [
        (
            "version.wasm",
            &other_version,
            &["imports apisix:filter/types in version 0.2.0, this runner offers 0.1.0"],
        ),
        (
            "package.wasm",
            &other_package,
            &["imports other:thing/types@0.1.0, which this runner"],
        ),
        (
            "function.wasm",
            &new_function,
            &["imports the function now-ns of apisix:filter/clock, which this runner (0.1.0)"],
        ),
        (
            "type.wasm",
            &other_type,
            &["does not fit this runner's interface", "now-ms"],
        ),
        (
            "handler.wasm",
            &no_handler,
            &["exports nothing; a filter exports apisix:filter/configuration@0.1.0"],
        ),
    ];
    for (file, guest, expected) in rows {
        refused(file, &guest.build(), expected);
    }
}

#[test]
fn a_component_whose_start_fails_should_be_refused_at_load() {
    let traps = "(func $boom unreachable) (start $boom)";
    let loops = "(func $spin (loop br 0)) (start $spin)";
    for (file, items, expected) in [
        (
            "traps.wasm",
            traps,
            "its instance cannot be started: trapped",
        ),
        (
            "loops.wasm",
            loops,
            // By either clock: where others compute, the wall's is first.
            "its instance cannot be started: ",
        ),
    ] {
        refused(
            file,
            &Guest::request_filter(items, PASS, PASS).build(),
            &[expected],
        );
    }
}

#[test]
fn a_filter_that_misbehaves_on_a_call_should_lose_that_call_only() {
    let grow = "(drop (memory.grow (i32.const 2000))) unreachable";
    let rows = [
        ("unreachable", PASS, "trapped: "),
        ("(loop br 0) unreachable", PASS, "ran for more than 50 ms"),
        (grow, PASS, "needs more than 64 MiB of memory"),
        (
            PASS,
            "unreachable",
            "the check of a configuration failed: trapped",
        ),
        (PASS, "unreachable", "call failed: trapped"),
        (
            PASS,
            "unreachable",
            "plugin=guest route=route#1#test#1 request=0 cause=trap action=closed",
        ),
        (
            PASS,
            "(loop br 0) unreachable",
            "configuration failed: ran for more than 1000",
        ),
        // Discriminant 1 of the result, then a string at 0 of length 0.
        (
            "(i32.store8 (i32.const 64) (i32.const 1)) i32.const 64",
            PASS,
            "the filter reported: ",
        ),
        // A string outside of memory.
        (
            "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store (i32.const 72) (i32.const -1)) \
             i32.const 64",
            PASS,
            "trapped: ",
        ),
    ];
    for (on_request, configure, logged) in rows {
        let guest = Guest::request_filter("", configure, on_request);
        let folder = folder_with("guest.wasm", &guest.build());
        let runner = modules::patient_runner(RUNNER, folder.path());
        for _ in 0..2 {
            assert_eq!(
                call(&runner, "guest"),
                Reply::Error(1),
                "{on_request} {configure}"
            );
        }
        assert!(
            runner.prints(logged, Duration::from_secs(5)),
            "{logged:?}:\n{}",
            runner.log()
        );
        assert!(matches!(call(&runner, "stop"), Reply::HttpReqCall { .. }));
    }
}

/// What a guest needs to sleep, as the standard declares it.
const SLEEP_WIT: &str = "
    package wasi:io@0.2.0 {
        interface poll { resource pollable { block: func(); } }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            subscribe-duration: func(when: u64) -> pollable;
        }
    }
    /// A filter of requests.";

#[test]
fn a_filter_that_sleeps_should_be_woken_by_its_deadline() {
    let items = r#"
        (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration"
            (func $sleep (param i64) (result i32)))
        (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;
    let sleep = "(call $block (call $sleep (i64.const 20000000000))) i32.const 0";
    let guest = Guest::request_filter(items, PASS, sleep)
        .against("/// A filter of requests.", SLEEP_WIT)
        .against(
            "import types;\n    import request;",
            "import types;\n    import request;\n    import wasi:clocks/monotonic-clock@0.2.0;",
        );
    let folder = folder_with("sleeper.wasm", &guest.build());
    let runner = modules::runner(RUNNER, folder.path());
    let started = Instant::now();
    assert_eq!(call(&runner, "sleeper"), Reply::Error(1));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let expected = "did not return within 1000 ms";
    assert!(
        runner.prints(expected, Duration::from_secs(5)),
        "{}",
        runner.log()
    );
}

#[test]
fn what_is_no_file_should_be_in_nobodys_way() {
    let folder = folder_with("notes.txt", b"");
    std::fs::create_dir(folder.path().join("folder.wasm")).expect("folder");
    let made = Command::new("mkfifo")
        .arg(folder.path().join("pipe.wasm"))
        .status();
    assert!(made.expect("mkfifo").success());
    let runner = modules::runner(RUNNER, folder.path());
    assert!(matches!(call(&runner, "stop"), Reply::HttpReqCall { .. }));
    assert!(runner.prints(
        "pipe.wasm is ignored: it is not a file",
        Duration::from_secs(5)
    ));
}

/// Were a thread held by a looping guest, the client would lose its patience
/// long before the guests their time.
#[test]
fn a_looping_configure_should_not_hold_up_other_configurations() {
    let guest = Guest::request_filter("", "(loop br 0) unreachable", PASS);
    let folder = folder_with("looper.wasm", &guest.build());
    let config = folder.path().join("config.yaml");
    std::fs::write(
        &config,
        "limits: {configure_ms: 30000, configure_wall_ms: 55000}",
    )
    .expect("file");
    let args = [
        Path::new("serve"),
        Path::new("--modules"),
        folder.path(),
        Path::new("--config"),
        &config,
    ];
    let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("starts");
    call(&runner, "stop");
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    for n in 0..8 {
        client
            .prepare(&[("looper", &n.to_string())])
            .expect("token");
    }
    for n in 0..20 {
        let mut other = WireClient::connect(runner.socket()).expect("connection");
        other.prepare(&[("stop", &n.to_string())]).expect("token");
    }
}

#[test]
fn a_module_above_the_limit_should_not_be_loaded() {
    let folder = folder_with("large.wasm", &vec![0; (1 << 20) + 1]);
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "limits: {module_mib: 1}").expect("file");
    let args = [
        Path::new("serve"),
        Path::new("--modules"),
        folder.path(),
        Path::new("--config"),
        &config,
    ];
    let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("starts");
    assert_eq!(call(&runner, "large"), Reply::Error(1));
    assert!(matches!(call(&runner, "stop"), Reply::HttpReqCall { .. }));
    let expected =
        "large.wasm is refused: it has more than 1 MiB, the most that limits.module_mib allows";
    assert!(
        runner.prints(expected, Duration::from_secs(5)),
        "{}",
        runner.log()
    );
}

#[test]
fn a_filter_without_a_handler_for_the_phase_should_fail_the_call() {
    let wat = r#"(module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "apisix:filter/configuration@0.1.0#configure") (param i32 i32) (result i32)
            i32.const 0)
        (func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
            i32.const 0))"#;
    let guest = Guest {
        wat: wat.into(),
        world: "response-filter",
        wit_edits: vec![],
    };
    let folder = folder_with("guest.wasm", &guest.build());
    let runner = modules::runner(RUNNER, folder.path());
    assert_eq!(call(&runner, "guest"), Reply::Error(1));
    let expected = "wrong phase: it has no request handler";
    assert!(
        runner.prints(expected, Duration::from_secs(5)),
        "{}",
        runner.log()
    );
}

#[test]
fn a_runner_that_can_serve_nothing_should_end_with_a_failure() {
    let empty = tempfile::tempdir().expect("temporary folder");
    let bad = tempfile::tempdir().expect("temporary folder");
    std::fs::write(bad.path().join("bad.wasm"), b"hello").expect("file");
    let missing = empty.path().join("missing");
    for (folder, expected) in [
        (missing.as_path(), "cannot use the modules folder"),
        (empty.path(), "no NAME.wasm in the modules folder"),
        (bad.path(), "can be used; the log says why"),
    ] {
        let output = serve(folder);
        assert_eq!(output.status.code(), Some(1), "{}", folder.display());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(expected), "{said}");
        assert!(said.contains(folder.to_str().expect("UTF-8")), "{said}");
    }
}

fn serve(folder: &Path) -> std::process::Output {
    let socket_folder = tempfile::tempdir().expect("temporary folder");
    Command::new(RUNNER)
        // As the gateway starts it; what it keeps, it keeps beside the socket.
        .env_clear()
        .args(["serve", "--modules"])
        .arg(folder)
        .arg("--listen")
        .arg(socket_folder.path().join("runner.sock"))
        .output()
        .expect("the runner runs")
}
