//! The runner under a gateway that starts, replaces and stops it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::FrameBuilder;
use protocol::gateway_side::{HttpReqCall, HttpRespCall, Reply};

use harness::wire_client::NoReply;
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

/// Without a reply the gateway would send the response as the upstream made it.
#[test]
fn a_call_in_flight_should_be_answered_before_the_end() {
    let mut runner = runner();
    let connect = || WireClient::connect(runner.socket()).expect("connection");
    let (mut request, mut response) = (connect(), connect());
    let conf = r#"{"vars":["x"],"response":{"body":true,"set_body":"masked"}}"#;
    let conf_token = request.prepare(&[("probe", conf)]).expect("token");
    let mut builder = FrameBuilder::new();
    let call = HttpReqCall {
        path: b"/",
        conf_token,
        ..HttpReqCall::default()
    };
    let asked = request.exchange(call.encode(&mut builder).expect("frame"));
    assert!(matches!(asked, Ok(Reply::ExtraInfo(_))), "{asked:?}");
    let call = HttpRespCall {
        status: 200,
        conf_token,
        ..HttpRespCall::default()
    };
    let asked = response.exchange(call.encode(&mut builder).expect("frame"));
    assert!(matches!(asked, Ok(Reply::ExtraInfo(_))), "{asked:?}");

    let started = Instant::now();
    runner.signal(Signal::TERM).expect("sent");
    assert_eq!(request.receive(), Ok(Reply::Error(1)));
    let withheld = response.receive();
    assert!(
        matches!(withheld, Ok(Reply::HttpRespCall { status: 503, .. })),
        "{withheld:?}"
    );
    assert!(runner.wait(SOON).expect("it ends").success());
    assert!(
        started.elapsed() < Duration::from_millis(800),
        "{:?}",
        started.elapsed()
    );
}

/// A gateway that uses a kept connection at the moment of a reload would take a
/// closed one for a failure.
#[test]
fn a_call_on_an_idle_connection_should_be_served_after_the_signal() {
    let mut runner = runner();
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let conf_token = client.prepare(&[("stop", "")]).expect("token");
    runner.signal(Signal::TERM).expect("sent");
    assert!(runner.prints("SIGTERM", SOON));
    let mut builder = FrameBuilder::new();
    let call = HttpReqCall {
        path: b"/",
        conf_token,
        ..HttpReqCall::default()
    };
    let reply = client.exchange(call.encode(&mut builder).expect("frame"));
    assert!(matches!(reply, Ok(Reply::HttpReqCall { .. })), "{reply:?}");
    assert_eq!(
        client.receive(),
        Err(NoReply::Closed),
        "and is closed behind its reply"
    );
    assert!(runner.wait(SOON).expect("it ends").success());
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
    let new = std::process::Command::new(RUNNER)
        .env_clear()
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
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let request = HttpRequest::new("GET", "/");
                    let outcome = gateway.request_phase(&route, &request).faultless();
                    assert!(matches!(outcome, Ok(HttpOutcome::Client(_))), "{outcome:?}");
                }
            });
        }
    });
    assert!(runner.prints("address space", SOON), "{}", runner.log());
}

#[test]
fn a_runner_of_root_should_give_its_socket_to_the_gateways_workers() {
    // Only root can give files away.
    if !we_are_root() {
        return;
    }
    // A master that is a shell, with a worker of the title that nginx gives it,
    // another child with another title and user, and the runner, which ends with
    // the shell.
    let folder = modules::examples();
    let child = |user: u32, title: &str| {
        format!(
            "setpriv --reuid {user} --regid {user} --clear-groups \
             bash -c 'exec -a \"{title}\" sleep 60' & "
        )
    };
    let master = format!(
        "{}{} sleep 0.3; setpriv --pdeathsig KILL {RUNNER} serve --modules {}; true",
        child(65533, "bash"),
        child(65534, "nginx: worker process"),
        folder.to_str().expect("UTF-8")
    );
    let runner = RunnerProcess::start(Path::new("/bin/sh"), ["-c", &master], &[]).expect("starts");
    let owner = std::fs::metadata(runner.socket()).expect("socket").uid();
    assert_eq!(owner, 65534, "{}", runner.log());
    let expected = "may connect: user nobody, group root (mode 0660)";
    assert!(runner.prints(expected, SOON), "{}", runner.log());
}

#[test]
fn a_runner_that_nobody_reads_should_serve_and_end_in_time() {
    // The reader of its output goes away at once; the pipe stays open and full.
    let folder = modules::examples();
    let (_unread, output) = std::io::pipe().expect("pipe");
    let socket_folder = tempfile::tempdir().expect("temporary folder");
    let socket = socket_folder.path().join("runner.sock");
    let mut runner = KillOnDrop(
        std::process::Command::new(RUNNER)
            .env_clear()
            .args([
                "serve",
                "--modules",
                folder.to_str().expect("UTF-8"),
                "--listen",
            ])
            .arg(&socket)
            .stdout(output.try_clone().expect("pipe"))
            .stderr(output)
            .spawn()
            .expect("runner"),
    );
    let deadline = Instant::now() + SOON;
    while !socket.exists() {
        assert!(Instant::now() < deadline, "the runner does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut client = WireClient::connect(&socket).expect("connection");
    for n in 0..2000 {
        // Each is worth a line in the log, and the pipe holds 64 KiB.
        client
            .prepare(&[("no such plugin", &n.to_string())])
            .expect("token");
    }
    let started = Instant::now();
    harness::send_signal(runner.0.id(), Signal::TERM).expect("sent");
    let ended = loop {
        if let Some(status) = runner.0.try_wait().expect("status") {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_millis(800),
            "{:?}",
            started.elapsed()
        );
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(ended.success(), "{ended}");
}

fn we_are_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The second wall is up when a tenant starts.
#[test]
fn keys_that_are_named_should_be_read_wherever_they_lie() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let key = folder.path().join("filters.pub.pem");
    // RFC 8410, 10.1.
    let text = "-----BEGIN PUBLIC KEY-----\n\
                MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                -----END PUBLIC KEY-----\n";
    std::fs::write(&key, text).expect("file");
    let config = folder.path().join("config.yaml");
    let keys = format!("integrity: {{trusted_keys: [{}]}}", key.display());
    std::fs::write(&config, keys).expect("file");
    let args = ["serve".into(), "--modules".into(), modules::examples()];
    let args = args.into_iter().chain(["--config".into(), config]);
    let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("it starts");
    assert!(runner.prints("second wall: no_new_privs", SOON));
}
