//! The same filter in every language of `runner new`, each built from the
//! project that it writes (`./just languages`) and held against one file of
//! cases: by `runner test` as its author would, and by a gateway in front of a
//! runner that serves all of them at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{HttpOutcome, HttpRequest, RouteConf, TestGateway, UpstreamResponse, modules};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// As `runner new --help` lists them.
const LANGUAGES: [&str; 7] = ["rust", "js", "js-full", "ts", "python", "c", "go"];

fn projects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/languages")
}

fn module(language: &str) -> PathBuf {
    let module = projects().join(format!("modules/in-{language}.wasm"));
    assert!(
        module.exists(),
        "{} is missing; run `./just languages`",
        module.display()
    );
    module
}

#[test]
fn the_languages_should_be_those_of_runner_new() {
    let output = Command::new(RUNNER).args(["new", "--help"]).output();
    let help = String::from_utf8(output.expect("the runner").stdout).expect("UTF-8");
    let listed = help
        .lines()
        .skip_while(|line| *line != "Languages:")
        .skip(1);
    let listed: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, LANGUAGES);
}

#[test]
fn every_language_should_pass_the_same_cases() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/cases.yaml");
    let cases = std::fs::read_to_string(cases).expect("the cases");
    let count = cases.matches("- name: ").count();
    for language in LANGUAGES {
        let project = projects().join(language);
        let own = std::fs::read_to_string(project.join("cases.yaml")).expect("cases");
        assert_eq!(
            own,
            cases.replace("my-filter", &format!("in-{language}")),
            "{language}: run `./just languages`"
        );
        module(language);
        let report = project.join("report.xml");
        let output = Command::new(RUNNER)
            .arg("test")
            .arg(&project)
            .arg("--junit")
            .arg(&report)
            .output()
            .expect("the runner");
        let (printed, said) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{language}\n{printed}\n{said}");
        let verdict = format!("{count} passed, 0 failed");
        assert!(printed.contains(&verdict), "{language}\n{printed}");
        let report = std::fs::read_to_string(report).expect("a report");
        assert_eq!(report.matches("<testcase ").count(), count, "{language}");
    }
}

/// All of them in one runner, with fresh instances and with warm ones: what a
/// call leaves behind is the author's business then, and nothing shows here.
#[test]
fn every_language_should_serve_a_gateway() {
    let first = module(LANGUAGES[0]);
    let folder = first.parent().expect("a folder");
    let runner = modules::patient_runner(RUNNER, folder);
    let loading = std::time::Duration::from_secs(300);
    let all = format!("{} plugins can be used", LANGUAGES.len());
    assert!(runner.prints(&all, loading), "{}", runner.log());
    let gateway = TestGateway::new(runner.socket());
    for language in LANGUAGES {
        let configuration = r#"{"header":"x-team","value":"blue","deny":"/admin"}"#;
        let route = RouteConf::new(language).plugin(&format!("in-{language}"), configuration);
        for turn in 0..3 {
            let request = HttpRequest::new("GET", "/hello?lang=EN");
            let seen = gateway.request_phase(&route, &request).faultless();
            let HttpOutcome::Upstream(sent) = seen.expect(language) else {
                panic!("{language}, {turn}: stopped\n{}", runner.log());
            };
            assert_eq!(sent.header("x-team"), [b"blue"], "{language}");
            assert_eq!(sent.path_and_query, b"/hello?lang=en", "{language}");
            let denied = HttpRequest::new("POST", "/admin/x").body("b");
            let seen = gateway.request_phase(&route, &denied).faultless();
            let HttpOutcome::Client(stopped) = seen.expect(language) else {
                panic!("{language}, {turn}: passed");
            };
            assert_eq!(stopped.status, 403, "{language}");
            assert_eq!(stopped.body, b"/admin/x is not for you\n", "{language}");
            let seen = gateway
                .response_phase(&route, &request, &mut || UpstreamResponse::new(200, "hi"))
                .faultless();
            let response = seen.expect(language).response;
            assert_eq!(response.header("x-filtered"), [b"blue"], "{language}");
            assert_eq!(response.body, b"hi", "{language}");
        }
    }
}
