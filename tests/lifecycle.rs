//! The runner under a gateway that starts, replaces and stops it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{
    HttpOutcome, HttpRequest, RouteConf, RunnerProcess, Signal, TestGateway, WireClient, modules,
};

/// The log is written by a thread of its own.
const SOON: Duration = Duration::from_secs(5);

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

fn runner() -> RunnerProcess {
    modules::runner(RUNNER, &modules::examples())
}

#[test]
fn a_second_connection_should_be_served_while_the_first_is_silent() {
    let runner = runner();
    let _silent = WireClient::connect(runner.socket()).expect("first");
    let mut second = WireClient::connect(runner.socket()).expect("second");
    second.prepare(&[("stop", "")]).expect("token");
}

#[test]
fn a_signal_should_end_it_in_time_and_remove_the_socket() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut runner = runner();
        let mut client = WireClient::connect(runner.socket()).expect("connection");
        client.prepare(&[("stop", "")]).expect("token");
        let started = Instant::now();
        runner.signal(signal).expect("sent");
        let status = runner.wait(Duration::from_secs(5)).expect("it ends");
        assert!(status.success(), "{status}");
        assert!(
            started.elapsed() < Duration::from_millis(800),
            "{:?}",
            started.elapsed()
        );
        assert!(!runner.socket().exists());
    }
}

#[test]
fn a_reload_should_never_be_without_a_socket() {
    let mut old = runner();
    let socket = old.socket().to_owned();
    let address = format!("unix:{}", socket.display());
    let folder = modules::examples();
    let args = [
        "serve",
        "--modules",
        folder.to_str().expect("UTF-8"),
        "--listen",
        &address,
    ];
    // The new one says that it listens on a socket of its own, which
    // --listen overrules.
    let new = std::process::Command::new(RUNNER)
        .args(args)
        .spawn()
        .expect("second runner");
    let mut new = KillOnDrop(new);
    wait_for_another_socket(&socket);
    old.signal(Signal::TERM).expect("sent");
    old.wait(Duration::from_secs(5)).expect("the old one ends");
    let gateway = TestGateway::new(&socket);
    let route = RouteConf::new("r").plugin("stop", "");
    let outcome = gateway
        .request_phase(&route, &HttpRequest::new("GET", "/"))
        .faultless();
    assert!(matches!(outcome, Ok(HttpOutcome::Client(_))), "{outcome:?}");
    assert!(
        new.0.try_wait().expect("status").is_none(),
        "the new one still runs"
    );
}

struct KillOnDrop(std::process::Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for_another_socket(socket: &Path) {
    use std::os::unix::fs::MetadataExt;
    let before = std::fs::metadata(socket).expect("socket").ino();
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::fs::metadata(socket).expect("never missing").ino() == before {
        assert!(
            Instant::now() < deadline,
            "the second runner does not listen"
        );
    }
}

#[test]
fn the_gateways_workers_should_be_able_to_connect() {
    let runner = runner();
    let mode = std::fs::metadata(runner.socket())
        .expect("socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn it_should_run_where_address_space_is_short() {
    let folder = modules::examples();
    let command = format!(
        "ulimit -v 8000000; exec {RUNNER} serve --modules {}",
        folder.to_str().expect("UTF-8")
    );
    let runner = RunnerProcess::start(Path::new("/bin/sh"), ["-c", &command], &[]).expect("starts");
    let gateway = TestGateway::new(runner.socket());
    let route = RouteConf::new("r").plugin("stop", "");
    let outcome = gateway
        .request_phase(&route, &HttpRequest::new("GET", "/"))
        .faultless();
    assert!(
        matches!(outcome, Ok(HttpOutcome::Client(_))),
        "{outcome:?}\n{}",
        runner.log()
    );
    assert!(runner.prints("address space", SOON), "{}", runner.log());
}
