//! `runner try`, `test`, `check` and `new` as their users meet them: what is
//! printed, where, with which exit status, and that nothing passes which should
//! not.

use std::path::Path;
use std::process::{Command, Output};

use harness::{Guest, modules};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

fn runner(arguments: &[&str]) -> Output {
    let output = Command::new(RUNNER).args(arguments).output();
    output.expect("the runner")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn example(name: &str) -> String {
    let file = modules::examples().join(format!("{name}.wasm"));
    file.to_str().expect("UTF-8").to_owned()
}

/// Arguments behind the file; whether it goes well; what is printed or said.
#[test]
fn a_try_should_show_what_the_filter_came_to() {
    let sets = r#"{"set_headers":{"X-A":"1"}}"#;
    let masks = r#"{"response":{"body":true,"set_body":"masked"}}"#;
    let asks = r#"{"vars":["remote_port"]}"#;
    let rows: [(&str, &[&str], bool, &[&str]); 11] = [
        ("stop", &["/"], true, &["= is stopped", "+ 201"]),
        ("probe", &["/"], true, &["= goes to the upstream as it is"]),
        (
            "probe",
            &[
                "--conf",
                sets,
                "POST",
                "http://api.test/a%20b?x=1",
                "-H",
                "X-A: 0",
                "-d",
                "hi",
            ],
            true,
            &[
                "POST /a%20b?x=1",
                "host: api.test",
                "content-length: 2",
                "- x-a: 0",
                "+ X-A: 1",
                r#"request.set-header("X-A", "1")"#,
                "instructions",
            ],
        ),
        (
            "probe",
            &["--conf", asks, "/", "--var", "remote_port=4711"],
            true,
            &[r#"= [Some("4711")]"#],
        ),
        (
            "probe",
            &[
                "--conf",
                masks,
                "/",
                "--response",
                "{status: 404, body: secret}",
            ],
            true,
            &[
                "404",
                "- secret",
                "+ masked",
                "= goes to the client with these changes",
            ],
        ),
        (
            "probe",
            &["--conf", "no JSON", "/"],
            false,
            &["probe: configuration rejected: "],
        ),
        (
            "probe",
            &["--response", "99", "/"],
            false,
            &["no status 99"],
        ),
        ("stop", &["get", "/"], false, &["did you mean GET?"]),
        ("stop", &["hello"], false, &["it begins with /"]),
        ("stop", &["/", "--var", "x"], false, &["is not NAME=VALUE"]),
        (
            "missing",
            &["/"],
            false,
            &["missing.wasm; build the filter first"],
        ),
    ];
    for (filter, arguments, good, texts) in rows {
        let file = example(filter);
        let mut all = vec!["try", file.as_str()];
        all.extend(arguments);
        let output = runner(&all);
        let (printed, said) = (printed(&output), said(&output));
        assert_eq!(output.status.success(), good, "{all:?}\n{printed}\n{said}");
        let place = if good { &printed } else { &said };
        for text in texts {
            assert!(
                place.contains(text),
                "{all:?}: no {text:?} in\n{printed}\n{said}"
            );
        }
    }
}

/// What an operator has to grant is there for whoever tries a filter, without a
/// network.
#[test]
fn what_is_granted_should_come_from_the_author() {
    let callout = example("auth-callout");
    let answer = r#"{url: "https://auth.test/", body: "ada\n"}"#;
    let mut arguments = vec!["try", &callout, "/", "--conf", "https://auth.test/"];
    arguments.extend([
        "-H",
        "authorization: Bearer 7",
        "--secret",
        "AUTH_KEY=sesame",
    ]);
    let unanswered = printed(&runner(&arguments));
    let why = "there is no network here, and no answer to GET https://auth.test/";
    for part in ["+ 503", why, r#"secrets.get("AUTH_KEY") = "...""#] {
        assert!(unanswered.contains(part), "no {part:?} in\n{unanswered}");
    }
    arguments.extend(["--http", answer]);
    let answered = printed(&runner(&arguments));
    assert!(answered.contains("+ x-user: ada"), "{answered}");
    for text in [unanswered, answered] {
        assert!(!text.contains("sesame"), "{text}");
    }
    for (option, wrong, said_of_it) in [
        ("--secret", "AUTH_KEY", "is not NAME=VALUE"),
        ("--http", "{url: /, error: late}", "does not fail with"),
        ("--http", "{path: /}", "--http is an answer"),
    ] {
        let output = runner(&["try", &callout, "/", option, wrong]);
        assert!(said(&output).contains(said_of_it), "{}", said(&output));
    }
    let checked = printed(&runner(&["check", &callout]));
    let needed = "needs         plugins.auth-callout.grants.secrets: {NAME: {env: VARIABLE}}";
    assert!(checked.contains(needed), "{checked}");
}

#[test]
fn cases_should_have_answers_secrets_and_an_empty_store() {
    let callout = r#"
  - name: passes
    configuration: https://auth.test/
    secrets: {AUTH_KEY: sesame}
    http: [{method: GET, url: "https://auth.test/", body: ada}]
    request: {url: /, headers: {authorization: Bearer 7}}
    expect: {request: {headers: {x-user: ada}}}
  - name: fails
    configuration: https://auth.test/
    secrets: {AUTH_KEY: sesame}
    http:
      - {method: POST, url: "https://auth.test/"}
      - {url: "https://auth.test/", error: timeout}
    request: {url: /, headers: {authorization: Bearer 7}}
    expect: {stop: {status: 503}, log: [was to fail so]}
  - name: lacks a secret
    configuration: https://auth.test/
    expect: {rejected: AUTH_KEY}
"#;
    let limit = "
  - {name: one, configuration: 1 60, request: {url: /}, expect: {request: {}}}
  - {name: another, configuration: 1 60, request: {url: /}, expect: {request: {}}}
  - {name: none, configuration: 0 60, request: {url: /}, expect: {stop: {status: 429}}}
";
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("cases.yaml");
    for (name, cases) in [("auth-callout", callout), ("rate-limit", limit)] {
        std::fs::write(&file, format!("cases:{cases}")).expect("file");
        let file = file.to_str().expect("UTF-8");
        let output = runner(&["test", file, "--filter", &example(name)]);
        let text = printed(&output);
        assert!(output.status.success(), "{text}{}", said(&output));
        assert!(text.contains("3 passed, 0 failed"), "{text}");
    }
}

#[test]
fn what_fails_should_say_why_after_what_it_did() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("bad.wasm");
    let file = file.to_str().expect("UTF-8");
    let trap = Guest::request_filter("", "i32.const 0", "unreachable").build();
    std::fs::write(file, trap).expect("file");
    let output = runner(&["try", file, "/"]);
    assert!(!output.status.success());
    assert!(printed(&output).contains("= fails"), "{}", printed(&output));
    assert!(
        said(&output).contains("bad: trapped: "),
        "{}",
        said(&output)
    );
    std::fs::write(file, "export default 1").expect("file");
    for command in [&["try", file, "/"][..], &["check", file]] {
        let output = runner(command);
        assert!(!output.status.success(), "{command:?}");
        assert!(
            said(&output).contains("build it first"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn a_check_should_say_what_the_filter_is() {
    let output = runner(&["check", &example("probe")]);
    let text = printed(&output);
    assert!(output.status.success(), "{text}{}", said(&output));
    for part in [
        "a core module, made a component on load",
        "serves        requests",
        "serves        responses",
        "exports       apisix:filter/request-handler@0.1.0",
        "imports       apisix:filter/response@0.1.0",
        "needs         no grants",
        "of at most 64.0 MiB (limits.memory_mib)",
        "places        1 for each instance",
        "snapshot      can be made",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

/// A case, in YAML; whether it is met; what is printed or said.
#[test]
fn a_case_should_pass_only_where_all_it_says_is_so() {
    let probe = |configuration: &str, rest: &str| {
        format!("- {{name: one, configuration: {configuration}, {rest}}}")
    };
    let path = r#"{set_path: "/public/..//secret"}"#;
    let body = r#"{set_body: '{"role":"admin","role":"user"}'}"#;
    let rows: [(String, bool, &str); 16] = [
        (
            probe("{}", "request: {url: /}, expect: {request: {path: /}}"),
            true,
            "1 passed, 0 failed",
        ),
        (
            probe("{}", "request: {url: /}, expect: {stop: {status: 200}}"),
            false,
            "expected a stop, found: the request goes on",
        ),
        (
            probe(
                path,
                "request: {url: /}, expect: {request: {path: /secret}}",
            ),
            false,
            r#"expected "/secret", found "/public/..//secret""#,
        ),
        (
            probe(
                path,
                r#"request: {url: /}, expect: {request: {path: "/public/..//secret"}}"#,
            ),
            true,
            "1 passed",
        ),
        (
            probe(
                "{}",
                "request: {url: /, body: x}, expect: {request: {body: null}}",
            ),
            false,
            "request.body: expected null",
        ),
        (
            probe("{}", "request: {url: /}, expect: {request: {body: null}}"),
            true,
            "1 passed",
        ),
        (
            probe(
                body,
                "request: {url: /, body: x}, expect: {request: {body: {role: user}}}",
            ),
            false,
            "request.body",
        ),
        (
            probe(
                "{}",
                r#"request: {url: "/?a"}, expect: {request: {args: {a: ""}}}"#,
            ),
            false,
            "(no value)",
        ),
        (
            probe(
                "{}",
                "request: {url: /, headers: {x: [a, b]}}, expect: {request: {headers: {X: a}}}",
            ),
            false,
            r#"expected "a", found ["a", "b"]"#,
        ),
        (
            probe(
                "{}",
                "request: {url: /, headers: {x: a}}, expect: {request: {headers: {X: null}}}",
            ),
            false,
            "expected none, found \"a\"",
        ),
        (
            probe("no JSON", "expect: {rejected: nothing like it}"),
            false,
            "expected a refusal",
        ),
        (
            probe("no JSON", "expect: {rejected: }"),
            false,
            "a refusal without a reason",
        ),
        (
            probe("{}", "request: {url: /}, expect: {log: []}"),
            false,
            "expects no line",
        ),
        (
            probe(
                "{}",
                "request: {url: /, headers: {x: 1.10}}, expect: {request: {}}",
            ),
            false,
            "in quotes",
        ),
        (
            probe("{}", "request: {url: /}, expect: {fails: trapp}"),
            false,
            "is no cause",
        ),
        (
            "- name: two\n  request: {url: /, headers: {x: a, x: b}}\n  expect: {request: {}}"
                .into(),
            false,
            "is written twice",
        ),
    ];
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("cases.yaml");
    for (case, met, text) in rows {
        std::fs::write(
            &file,
            format!("filter: {}\ncases:\n{case}\n", example("probe")),
        )
        .expect("file");
        let output = runner(&["test", folder.path().to_str().expect("UTF-8")]);
        let all = printed(&output) + &said(&output);
        assert_eq!(output.status.success(), met, "{case}\n{all}");
        assert!(all.contains(text), "{case}: no {text:?} in\n{all}");
    }
}

#[test]
fn what_a_filter_says_should_not_move_the_cursor() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("cases.yaml");
    let case = "- name: one\n  configuration: {set_body: \"\\e[2J\\nok forged\"}\n  \
                request: {url: /, body: x}\n  expect: {request: {body: {}}}";
    std::fs::write(
        &file,
        format!("filter: {}\ncases:\n{case}\n", example("probe")),
    )
    .expect("file");
    let output = runner(&["test", file.to_str().expect("UTF-8")]);
    let text = printed(&output);
    assert!(
        !output.status.success() && !text.contains('\x1b'),
        "{text:?}"
    );
    assert!(
        !text.lines().any(|line| line.starts_with("ok forged")),
        "{text}"
    );
}

#[test]
fn a_new_project_should_need_a_name_a_language_and_a_place() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let new = |arguments: &[&str]| {
        let command = Command::new(RUNNER)
            .arg("new")
            .args(arguments)
            .current_dir(folder.path())
            .output();
        command.expect("the runner")
    };
    assert!(new(&["hello", "--lang", "c"]).status.success());
    assert!(folder.path().join("hello/wit/world.wit").exists());
    for (arguments, text) in [
        (&["hello"][..], "is there already"),
        (&["Hello"], "is no name that all toolchains take"),
        (&["../x/y z"], "is no name"),
        (&["guest-sdk"], "keep to themselves"),
        (
            &["other", "--lang", "cobol"],
            "there are: rust, js, js-full, ts, python, c, go",
        ),
    ] {
        let output = new(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said(&output).contains(text), "{}", said(&output));
    }
    assert!(!Path::new(folder.path()).join("other").exists());
}
