//! Files that are changed, added and removed, in one step and in several, for
//! better and for worse.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use harness::Guest;
use harness::guests::stopping_with;

use crate::stage::*;

const A_WHILE: Duration = Duration::from_millis(300);

/// Not all of a module; the rest is what is returned.
fn begin(folder: &Path, status: u16) -> Vec<u8> {
    let wasm = stopping_with(status);
    let (first, rest) = wasm.split_at(wasm.len() / 2);
    fs::write(module(folder, "a"), first).expect("file");
    rest.into()
}

fn go_on(folder: &Path, rest: &[u8]) {
    let file = File::options().append(true).open(module(folder, "a"));
    file.expect("file").write_all(rest).expect("written");
}

#[test]
fn a_good_module_should_take_over_and_a_bad_one_change_nothing() {
    let mut stage = Stage::watching(&[("a", 201), ("b", 299)]);
    let bad = |change, log, ready, answer| Step {
        change,
        plugin: "a",
        answer: Some(answer),
        log,
        ready,
    };
    let refused = "plugin a serves its last good version: expected a WebAssembly component";
    stage.play(&[
        swaps(|folder| put(folder, "a", 202), 202),
        swaps(
            |folder| fs::write(module(folder, "a"), stopping_with(203)).expect("file"),
            203,
        ),
        bad(
            |folder| put_bytes(folder, "a", b"hello"),
            "; the last good version of the plugin a stays",
            refused,
            203,
        ),
        bad(
            |folder| put_bytes(folder, "a", b"\0asm\x01\0\0\0"),
            "found a core module",
            "ready\nplugin a serves",
            203,
        ),
        // Routes may use what it lacks.
        bad(
            |folder| {
                let pass = "i32.const 0";
                let filter = Guest::request_filter("", pass, pass);
                put_bytes(folder, "a", &filter.build());
            },
            "it has no response handler, and the version that serves has one",
            "ready\nplugin a serves its last good version: it has no response handler",
            203,
        ),
        bad(
            |folder| put(folder, "a", 203),
            "a.wasm holds again what serves as the plugin a",
            READY,
            203,
        ),
        bad(
            |folder| put_bytes(folder, "a", b"hello"),
            "a.wasm is refused",
            refused,
            203,
        ),
        swaps(|folder| put(folder, "a", 204), 204),
        // Another file with the same in it.
        bad(|folder| put(folder, "a", 204), "", READY, 204),
        swaps(
            |folder| {
                fs::remove_file(module(folder, "a")).expect("removed");
                sleep(A_WHILE);
                put(folder, "a", 205);
            },
            205,
        ),
        // Two of one name, as far as somebody may think so.
        bad(
            |folder| fs::write(folder.join("a.WASM"), stopping_with(298)).expect("file"),
            "a.WASM is refused: it would be a second module of the plugin a",
            READY,
            205,
        ),
        swaps(|folder| put(folder, "a", 206), 206),
    ]);
    assert!(!stage.runner.log().contains("is gone"));
    // The first, and each that was another.
    let taken =
        r#"wasm_runner_module_versions_total{outcome="taken",plugin="a",tenant="default"} 6"#;
    stage.says("/metrics", taken);
    let refused =
        r#"wasm_runner_module_versions_total{outcome="refused",plugin="a",tenant="default"} 4"#;
    stage.says("/metrics", refused);
}

#[test]
fn modules_should_come_and_go() {
    let mut stage = Stage::watching(&[("a", 201), ("b", 299)]);
    let of_c = |change, answer, log| Step {
        change,
        plugin: "c",
        answer,
        log,
        ready: READY,
    };
    // It counts under its name while it is there, and only then.
    let figure = |stage: &Stage, outcome: &str, plugin: &str| {
        let name = format!(
            r#"wasm_runner_filter_calls_total{{outcome="{outcome}",phase="request",plugin="{plugin}",tenant="default"}} "#
        );
        let figures = stage.page("/metrics");
        let line = figures.lines().find_map(|line| line.strip_prefix(&*name));
        line.map(|figure| figure.parse::<f64>().expect("a number"))
    };
    let comes = |status, put: fn(&Path)| of_c(put, Some(status), "plugin c is ready");
    stage.play(&[
        of_c(|_| {}, None, ""),
        comes(202, |folder| put(folder, "c", 202)),
    ]);
    let first_life = figure(&stage, "stop", "c");
    assert!(first_life >= Some(2.0), "{first_life:?}");
    assert_eq!(figure(&stage, "missing", "c"), Some(0.0));
    stage.play(&[of_c(
        |folder| fs::remove_file(module(folder, "c")).expect("removed"),
        None,
        "plugin c is gone",
    )]);
    assert_eq!(figure(&stage, "stop", "c"), None);
    stage.play(&[comes(203, |folder| put(folder, "c", 203))]);
    let second_life = figure(&stage, "stop", "c");
    assert!(second_life >= Some(2.0), "{second_life:?}");
    assert_eq!(figure(&stage, "missing", "c"), Some(0.0));
    let unknown = figure(&stage, "missing", "(unknown)");
    assert!(unknown >= Some(4.0), "{unknown:?}");
}

#[test]
fn a_file_that_comes_in_pieces_should_be_taken_when_it_is_whole() {
    let mut stage = Stage::watching(&[("a", 201), ("b", 299)]);
    stage.play(&[swaps(
        |folder| {
            let rest = begin(folder, 202);
            sleep(A_WHILE);
            go_on(folder, &rest);
        },
        202,
    )]);
    assert!(stage.runner.log().contains("a.wasm ends early"));
    assert!(!stage.runner.log().contains("refused"));

    // One whose end does not come, for a while.
    stage.play(&[
        Step {
            change: |folder| drop(begin(folder, 203)),
            plugin: "a",
            answer: Some(202),
            log: "the last good version of the plugin a stays",
            ready: "plugin a serves its last good version: the component is not valid: the file \
                    ends in the middle",
        },
        swaps(
            |folder| {
                let wasm = stopping_with(203);
                go_on(folder, &wasm[wasm.len() / 2..]);
            },
            203,
        ),
        // From nothing to a whole one.
        swaps(
            |folder| {
                let mut file = File::create(module(folder, "a")).expect("file");
                for piece in stopping_with(204).chunks(100) {
                    file.write_all(piece).expect("written");
                    sleep(Duration::from_millis(10));
                }
            },
            204,
        ),
    ]);
}

#[test]
fn a_module_that_never_served_should_do_so_once_it_can() {
    let fill = |folder: &Path| {
        fs::create_dir(folder).expect("folder");
        put_bytes(folder, "a", b"hello");
    };
    let mut stage = Stage::new(fill, &["--watch"], "");
    stage.play(&[
        Step {
            change: |_| {},
            plugin: "a",
            answer: None,
            log: "",
            ready: "503 Service Unavailable",
        },
        Step {
            change: |folder| put_bytes(folder, "a", b"hallo"),
            plugin: "a",
            answer: None,
            log: "a.wasm is refused",
            ready: "plugin a: expected a WebAssembly component",
        },
        Step {
            log: "plugin a is ready",
            ..swaps(|folder| put(folder, "a", 201), 201)
        },
        Step {
            log: "; the last good version",
            ready: "ready\nplugin a serves its last",
            ..swaps(|folder| put_bytes(folder, "a", b"hello"), 201)
        },
        swaps(|folder| put(folder, "a", 202), 202),
    ]);
}
