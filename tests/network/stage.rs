//! A runner with its second wall up, and filters that try what they are told to.
//! Must not know what may be reached.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harness::guest::componentised;
use harness::runner_process::StartError;
use harness::{
    ClientResponse, HttpOutcome, HttpRequest, RouteConf, RunnerProcess, TestGateway, modules,
};
use tempfile::TempDir;

use crate::town::Town;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// For what happens in the background, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The ways to send a request, and the filter that goes it.
pub(crate) const WAYS: [&str; 2] = ["fetch", "fetch-wasi"];

/// Waits that nothing reaches on any machine.
pub(crate) const PATIENT: &str = "timeout_ms: 40000, connect_ms: 40000";

/// A folder with filters, a configuration and what else a runner keeps.
pub(crate) struct Place(Arc<TempDir>);

impl Place {
    pub(crate) fn with(filters: &[&str]) -> Self {
        let place = Place(Arc::new(tempfile::tempdir().expect("temporary folder")));
        std::fs::create_dir(place.path("modules")).expect("folder");
        for name in filters {
            let built = modules::examples().join(format!("{name}.wasm"));
            let mut wasm = std::fs::read(built).expect(name);
            // Its own description of `wasi:http` is what a component is made with.
            if *name == "fetch-wasi" {
                wasm = componentised(&wasm);
            }
            let file = format!("modules/{name}.wasm");
            std::fs::write(place.path(&file), wasm).expect(name);
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A runner that serves it. HERE in the configuration is the folder.
    pub(crate) fn serve(&self, config: &str) -> Stage {
        self.serve_with(config, &[]).expect("it starts")
    }

    /// The same with more in its environment.
    pub(crate) fn serve_with(
        &self,
        config: &str,
        env: &[(&str, &str)],
    ) -> Result<Stage, StartError> {
        let here = self.0.path().display().to_string();
        let file = self.path("config.yaml");
        // What one runner compiled another need not.
        let config = format!("cache: {{dir: HERE/cache}}\n{config}");
        std::fs::write(&file, config.replace("HERE", &here)).expect("file");
        let mut args: Vec<PathBuf> = vec!["serve".into(), "--config".into(), file];
        if !config.contains("tenants:") {
            args.extend(["--modules".into(), self.path("modules")]);
        }
        let runner = RunnerProcess::start(Path::new(RUNNER), args, env)?;
        let stage = Stage {
            gateway: TestGateway::new(runner.socket()),
            runner,
            _place: Arc::clone(&self.0),
        };
        stage.has_its_wall();
        Ok(stage)
    }
}

pub(crate) struct Stage {
    pub(crate) runner: RunnerProcess,
    pub(crate) gateway: TestGateway,
    /// It is there for as long as the runner.
    _place: Arc<TempDir>,
}

impl Stage {
    /// Both halves are up, as far as this kernel has them, before a call is served.
    fn has_its_wall(&self) {
        for half in ["second wall: no_new_privs", "seccomp ("] {
            let log = || self.runner.log();
            assert!(self.runner.prints(half, SOON), "no {half}:\n{}", log());
        }
    }

    /// What a filter answers that is configured like this.
    pub(crate) fn ask(&self, filter: &str, configuration: &str) -> ClientResponse {
        let answer = ask(&self.gateway, filter, configuration);
        answer.unwrap_or_else(|error| panic!("{error}\n{}", self.runner.log()))
    }

    /// What a filter says of the requests that it is told to send.
    pub(crate) fn tried(&self, filter: &str, attempts: &str) -> String {
        text(&self.ask(filter, attempts))
    }

    pub(crate) fn logs(&self, text: &str) {
        let said = self.runner.prints(text, SOON);
        assert!(said, "no {text:?} in\n{}", self.runner.log());
    }
}

/// What a filter of the runner behind a gateway answers.
pub(crate) fn ask(
    gateway: &TestGateway,
    filter: &str,
    configuration: &str,
) -> Result<ClientResponse, String> {
    let route = RouteConf::new(&format!("{filter} {configuration}")).plugin(filter, configuration);
    let observed = gateway.request_phase(&route, &HttpRequest::new("GET", "/"));
    match observed.faultless() {
        Ok(HttpOutcome::Client(response)) => Ok(response),
        other => Err(format!("{filter} {configuration}: {other:?}")),
    }
}

/// Of an answer that a filter gives itself.
pub(crate) fn text(response: &ClientResponse) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    String::from_utf8_lossy(&response.body).into_owned()
}

/// An error of `apisix:filter/http`, in the words of the way that the filter
/// went.
pub(crate) fn in_words_of<'a>(filter: &str, kind: &'a str) -> &'a str {
    match (filter, kind) {
        ("fetch", _) => kind,
        (_, "denied") => "ErrorCode::HttpRequestDenied",
        (_, "invalid") => "ErrorCode::HttpRequestUriInvalid",
        (_, "limit") => "ErrorCode::HttpResponseBodySize",
        (_, "unresolvable") => "ErrorCode::DnsError",
        (_, "unreachable") => "ErrorCode::DestinationUnavailable",
        (_, "timeout") => "ErrorCode::ConnectionReadTimeout",
        _ => kind,
    }
}

/// `grants.http` for all filters, with these rules and the town's names.
pub(crate) fn granting(town: &Town, settings: &str, rules: &[&str]) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("{{{rule}}}")).collect();
    format!(
        "{{http: {{allow: [{}], nameservers: [\"{}\"], {settings}}}}}",
        rules.join(", "),
        town.name_server
    )
}

/// A rule that is nothing but a URL.
pub(crate) fn to(url: &str) -> String {
    format!("url: \"{url}\"")
}
