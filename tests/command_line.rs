//! The command line as a stranger meets it.

use std::path::Path;
use std::process::{Command, Output};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

fn run(args: &[&str]) -> Output {
    Command::new(RUNNER)
        .args(args)
        .env_clear()
        .output()
        .expect("the runner runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_demo_should_show_both_requests_before_and_after() {
    let output = run(&["demo"]);
    let shown = stdout(&output);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in [
        "  - GET /pre/hello?a=1",
        "  + GET /a6/python/runner?a=1&a6_runner=Python",
        "    host: 127.0.0.1:19080",
        "  + X-Resp-A6-Runner: Python",
        "    GET /stop/x",
        "  + 201",
        "  + Hello, Python Runner of APISIX",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "no {line:?} in\n{shown}"
        );
    }
}

#[test]
fn every_command_should_have_help_with_what_a_stranger_needs() {
    for (args, expected) in [
        (
            &["--help"][..],
            &["Examples:", "serve", "demo", "version", "completions"][..],
        ),
        (
            &["serve", "--help"],
            &[
                "--modules",
                "--config",
                "--listen",
                "ext-plugin:",
                "path_for_test",
            ],
        ),
        (
            &["bench", "--help"],
            &["Examples:", "--socket", "--pid", "runner serve"],
        ),
        (&["demo", "--help"], &["captured"]),
        (&["version", "--help"], &["wasmtime"]),
    ] {
        let output = run(args);
        assert!(output.status.success(), "{args:?}");
        for text in expected {
            assert!(stdout(&output).contains(text), "{args:?}: no {text:?}");
        }
    }
}

#[test]
fn the_version_should_name_what_advisories_name() {
    let shown = stdout(&run(&["version"]));
    assert!(shown.contains("runner 0.1.0\nwasmtime 48.0."), "{shown}");
}

#[test]
fn a_completion_script_should_know_the_commands() {
    assert!(stdout(&run(&["completions", "bash"])).contains("--modules"));
}

#[test]
fn a_command_line_that_makes_no_sense_should_say_what_would() {
    for (args, expected) in [
        (&["serv"][..], "similar subcommand exists: 'serve'"),
        (&["serve"], "--modules <DIR>"),
        (
            &["serve", "--module", "x"],
            "similar argument exists: '--modules'",
        ),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn a_bad_configuration_should_be_named_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("c.yaml");
    let socket = folder.path().join("s.sock");
    for (text, expected) in [
        (
            "logging:\n  levle: info\n",
            "c.yaml:2: logging: unknown field `levle`",
        ),
        ("socket: $env.NOPE\n", "c.yaml:1: socket: invalid type"),
    ] {
        std::fs::write(&file, text).expect("file");
        let output = run(&[
            "serve",
            "--modules",
            "/nowhere",
            "--config",
            file.to_str().expect("UTF-8"),
            "--listen",
            socket.to_str().expect("UTF-8"),
        ]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(expected), "{said}");
        assert!(!socket.exists());
    }
}

#[test]
fn every_file_in_conf_should_be_a_configuration() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    for entry in std::fs::read_dir(conf).expect("conf/") {
        let file = entry.expect("entry").path();
        let checked = runner::config::load(Some(&file), None, &NoEnvironment);
        assert!(checked.is_ok(), "{}: {checked:?}", file.display());
    }
}

/// Folders and users that this machine lacks are warnings.
#[test]
fn the_example_of_several_tenants_should_pass() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/tenants.yaml");
    let output = run(&["check", "--config", file.to_str().expect("UTF-8")]);
    let said = stdout(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("errors: 0, warnings: "), "{said}");
    for expected in [
        "tenant payments",
        "may         send GET",
        "reached at    unix:",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_configuration_should_be_checked_with_its_modules() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("c.yaml");
    let modules = folder.path().join("modules");
    std::fs::create_dir(&modules).expect("folder");
    let copy = |name: &str| {
        let file = format!("{name}.wasm");
        std::fs::copy(
            harness::modules::examples().join(&file),
            modules.join(&file),
        )
        .expect("copy")
    };
    copy("stop");
    copy("rate-limit");
    let here = modules.display();
    let rows = [
        (
            format!("modules: {here}\n"),
            false,
            "add plugins.rate-limit.grants.key_value: {}",
        ),
        (
            format!("modules: {here}\ngrants: {{key_value: {{}}}}\n"),
            true,
            "may         keep values",
        ),
        (
            format!(
                "modules: {here}\ngrants: {{key_value: {{}}}}\nplugins: {{stop: {{sha256: [{}]}}}}\n",
                "0".repeat(64)
            ),
            false,
            "not among the pinned ones",
        ),
        (
            format!("modules: {here}\ngrants: {{key_value: {{}}}}\nplugins: {{stpo: {{}}}}\n"),
            true,
            "there is no module of this name",
        ),
        (
            "modules: /nowhere/at/all\n".into(),
            true,
            "warning       /nowhere",
        ),
        ("grant: {}\n".into(), false, "did you mean `grants`?"),
    ];
    for (text, passes, expected) in rows {
        std::fs::write(&file, &text).expect("file");
        let output = run(&["check", "--config", file.to_str().expect("UTF-8")]);
        let said = stdout(&output) + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), passes, "{text}{said}");
        assert!(said.contains(expected), "{text}{said}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&modules, std::fs::Permissions::from_mode(0o777)).expect("chmod");
    std::fs::write(&file, format!("modules: {here}\n")).expect("file");
    let output = run(&["check", "--config", file.to_str().expect("UTF-8")]);
    assert!(!output.status.success());
    assert!(
        stdout(&output).contains("`chmod o-w "),
        "{}",
        stdout(&output)
    );
}

struct NoEnvironment;

impl runner::config::Environment for NoEnvironment {
    fn get(&self, _name: &str) -> Option<String> {
        None
    }
}
