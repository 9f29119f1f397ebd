//! What an operator can see of a runner: the pages of its admin listener, its
//! log, and what it does when there are more connections than it may have.

use std::io::{PipeReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use harness::wire_client::NoReply;
use harness::{Guest, RunnerProcess, Signal, WireClient, modules, send_signal};
use protocol::FrameBuilder;
use protocol::gateway_side::{HttpReqCall, HttpRespCall, Reply};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

const SOON: Duration = Duration::from_secs(10);

/// A reply that says "no" without a word.
const FAIL: &str = "(i32.store8 (i32.const 64) (i32.const 1)) i32.const 64";
const PASS: &str = "i32.const 0";
const LOOP: &str = "(loop br 0) unreachable";
const GROW: &str = "(drop (memory.grow (i32.const 2000))) unreachable";

const UNAVAILABLE: Reply = Reply::Error(1);

/// A runner over a folder of modules, with pages on a unix socket there.
struct Stage {
    runner: RunnerProcess,
    folder: TempDir,
}

impl Stage {
    /// The examples `probe` and `stop`, and these.
    fn new(modules: &[(&str, Vec<u8>)], config: &str) -> Self {
        let (folder, args) = prepare(modules, config);
        let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("it starts");
        Stage { runner, folder }
    }

    fn admin(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn connect(&self) -> WireClient {
        WireClient::connect(self.runner.socket()).expect("connection")
    }

    /// The page's status and text.
    fn page(&self, path: &str) -> (u16, String) {
        let answer = http(
            &self.admin(),
            &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        (answer.status, answer.body)
    }

    /// The value of one line of the figures; `None` where there is no such line.
    fn figure(&self, name: &str) -> Option<f64> {
        let (_, text) = self.page("/metrics");
        figure(&text, name)
    }

    fn reaches(&self, name: &str, expected: f64) {
        let reached = soon(|| self.figure(name) == Some(expected));
        assert!(reached, "{name} {expected}:\n{}", self.page("/metrics").1);
    }

    fn ready(&self) {
        let loaded = || !self.page("/readyz").1.contains("still loading");
        assert!(soon(loaded), "{}", self.runner.log());
    }
}

/// A folder with modules and a configuration, and the arguments for it.
fn prepare(modules: &[(&str, Vec<u8>)], config: &str) -> (TempDir, [PathBuf; 5]) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let own = folder.path().join("modules");
    std::fs::create_dir(&own).expect("folder");
    for example in ["probe.wasm", "stop.wasm"] {
        std::fs::copy(modules::examples().join(example), own.join(example)).expect("copy");
    }
    for (name, bytes) in modules {
        std::fs::write(own.join(format!("{name}.wasm")), bytes).expect("file");
    }
    let file = folder.path().join("config.yaml");
    let admin = folder.path().join("admin.sock");
    let text = format!("admin: {{listen: \"unix:{}\"}}\n{config}", admin.display());
    // The configuration's own wins.
    let text = if config.contains("admin:") {
        config.into()
    } else {
        text
    };
    std::fs::write(&file, text).expect("file");
    let [serve, with_modules, with_config] = ["serve", "--modules", "--config"].map(PathBuf::from);
    (folder, [serve, with_modules, own, with_config, file])
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn http(socket: &Path, request: &str) -> Answer {
    converse(UnixStream::connect(socket).expect("admin"), request)
}

fn converse(mut stream: impl Read + Write, request: &str) -> Answer {
    // A server that has read enough may close before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    Answer {
        status: status.parse().expect("a number"),
        head: head.to_ascii_lowercase(),
        body: body.into(),
    }
}

fn figure(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(|value| value.trim().parse().expect("a number"))
}

fn soon(mut happens: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + SOON;
    loop {
        if happens() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn guest(configure: &str, on_request: &str) -> Vec<u8> {
    Guest::request_filter("", configure, on_request).build()
}

/// Logs the five bytes at 40 at the level `info`, that many times.
fn talker(times: u32) -> Vec<u8> {
    let items = r#"
        (import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
        (data (i32.const 40) "hello")"#;
    let on_request = format!(
        "(local $n i32)
        (loop $again
            (call $log (i32.const 2) (i32.const 40) (i32.const 5))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const {times}))))
        i32.const 0"
    );
    Guest::request_filter(items, PASS, &on_request).build()
}

fn response_filter() -> Vec<u8> {
    let wat = r#"(module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "apisix:filter/configuration@0.1.0#configure") (param i32 i32) (result i32)
            i32.const 0)
        (func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
            unreachable))"#;
    let guest = Guest {
        wat: wat.into(),
        world: "response-filter",
        wit_edits: vec![],
    };
    guest.build()
}

const ASKS: &str = r#"{"vars":["x"]}"#;

#[test]
fn every_way_a_filter_can_end_should_be_counted_by_plugin_and_cause() {
    let modules = [
        ("trap", guest(PASS, "unreachable")),
        ("loop", guest(PASS, LOOP)),
        ("grow", guest(PASS, GROW)),
        ("says-no", guest(PASS, FAIL)),
        ("refuses", guest(FAIL, PASS)),
        ("response-only", response_filter()),
        ("broken", b"no component".to_vec()),
    ];
    let stage = Stage::new(&modules, "limits: {gateway_ms: 200, prepare_ms: 9000}\n");
    // Plugin, configuration, phase, how it ends, and under which name.
    let rows = [
        ("probe", "{}", "request", "next", "probe"),
        ("probe", "{}", "response", "next", "probe"),
        ("probe", ASKS, "request", "deadline_gateway", "probe"),
        ("stop", "", "request", "stop", "stop"),
        ("trap", "", "request", "trap", "trap"),
        ("loop", "", "request", "deadline_cpu", "loop"),
        ("grow", "", "request", "memory", "grow"),
        ("says-no", "", "request", "guest_error", "says-no"),
        ("refuses", "", "request", "configuration", "refuses"),
        (
            "response-only",
            "",
            "request",
            "wrong_phase",
            "response-only",
        ),
        ("response-only", "", "response", "trap", "response-only"),
        ("broken", "", "request", "load", "broken"),
        ("not-there", "", "request", "missing", "(unknown)"),
        ("\"{}\n", "", "response", "missing", "(unknown)"),
    ];
    const TIMES: usize = 2;
    let mut client = stage.connect();
    for (plugin, conf, phase, ..) in rows {
        for _ in 0..TIMES {
            call(&mut client, plugin, conf, phase);
        }
    }
    let (status, text) = stage.page("/metrics");
    assert_eq!(status, 200, "{text}");
    for (plugin, conf, phase, outcome, name) in rows {
        let (total, seconds) = (
            "wasm_runner_filter_calls_total",
            "wasm_runner_filter_duration_seconds",
        );
        let line = format!("{total}{{outcome=\"{outcome}\",phase=\"{phase}\",plugin=\"{name}\"}}");
        assert_eq!(
            figure(&text, &line),
            Some(TIMES as f64),
            "{plugin} {conf}: {line}\n{text}"
        );
        let of_phase = rows
            .iter()
            .filter(|row| (row.2, row.4) == (phase, name))
            .count();
        let count = format!("{seconds}_count{{phase=\"{phase}\",plugin=\"{name}\"}}");
        assert_eq!(
            figure(&text, &count),
            Some((TIMES * of_phase) as f64),
            "{count}\n{text}"
        );
    }
    let counted: f64 = text
        .lines()
        .filter(|line| line.starts_with("wasm_runner_filter_calls_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!(
        counted,
        (TIMES * rows.len()) as f64,
        "and nothing else:\n{text}"
    );
    assert!(!text.contains("not-there"), "a name from the wire:\n{text}");
}

/// Calls once and leaves every question without an answer.
fn call(client: &mut WireClient, plugin: &str, conf: &str, phase: &str) -> Reply {
    let conf_token = client.prepare(&[(plugin, conf)]).expect("token");
    let mut builder = FrameBuilder::new();
    let request = HttpReqCall {
        path: b"/",
        conf_token,
        id: 77,
        ..HttpReqCall::default()
    };
    let response = HttpRespCall {
        status: 200,
        conf_token,
        id: 77,
        ..HttpRespCall::default()
    };
    let frame = match phase {
        "request" => request.encode(&mut builder),
        _ => response.encode(&mut builder),
    };
    match client.exchange(frame.expect("frame")).expect("reply") {
        Reply::ExtraInfo(_) => client.receive().expect("reply"),
        reply => reply,
    }
}

#[test]
fn frames_configurations_and_connections_should_be_counted() {
    let stage = Stage::new(&[("trap", guest(PASS, "unreachable"))], "");
    stage.ready();
    let mut client = stage.connect();
    for n in 0..3 {
        client
            .prepare(&[("probe", "{}"), ("not-there", &n.to_string())])
            .expect("token");
    }
    let token = client.prepare(&[("stop", "")]).expect("token");
    client.call(token).expect("reply");
    assert_eq!(call(&mut client, "trap", "", "request"), UNAVAILABLE);
    assert_eq!(client.call(token.wrapping_add(1000)), Ok(Reply::Error(2)));
    let unexpected = [3, 0, 0, 1, 0];
    assert_eq!(client.exchange(&unexpected), Ok(Reply::Error(0)));
    // After this one the connection is of no use.
    let no_frame = [3, 0, 0, 0];
    assert_eq!(stage.connect().exchange(&no_frame), Ok(Reply::Error(0)));
    for (name, value) in [
        (r#"calls_total{outcome="ok",type="prepare_conf"}"#, 5.0),
        (r#"calls_total{outcome="ok",type="http_req_call"}"#, 1.0),
        (
            r#"calls_total{outcome="unavailable",type="http_req_call"}"#,
            1.0,
        ),
        (
            r#"calls_total{outcome="unknown_token",type="http_req_call"}"#,
            1.0,
        ),
        (r#"calls_total{outcome="bad_request",type="other"}"#, 2.0),
        ("configurations", 5.0),
        ("configurations_dropped_total", 0.0),
        ("connections", 1.0),
        ("connections_limit", 4096.0),
        ("connections_refused_total", 0.0),
        (r#"plugins{state="ready"}"#, 3.0),
        (r#"plugins{state="loading"}"#, 0.0),
        (r#"plugins{state="failed"}"#, 0.0),
        (r#"slots{state="total"}"#, 1000.0),
        ("slot_waiters", 0.0),
        ("accept_failures_total", 0.0),
    ] {
        stage.reaches(&format!("wasm_runner_{name}"), value);
    }
    let (_, text) = stage.page("/metrics");
    for name in [
        "wasm_runner_configuration_bytes",
        "wasm_runner_connections_accepted_total",
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
    ] {
        assert!(
            figure(&text, name).is_some_and(|value| value >= 1.0),
            "{name}\n{text}"
        );
    }
}

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn the_pages_should_answer_as_http_servers_do() {
    let stage = Stage::new(&[], "");
    stage.ready();
    let long = format!("GET /healthz HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(40_000));
    let rows: [(&str, u16, &str, &str); 9] = [
        (GET, 200, "content-type: text/plain", "ok\n"),
        ("GET /healthz?x=1 HTTP/1.0\r\n\r\n", 200, "", "ok\n"),
        (
            "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n",
            200,
            "",
            "ready\n",
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            200,
            "text/plain; version=0.0.4",
            "# TYPE wasm_runner_slots gauge",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            404,
            "",
            "/metrics  figures",
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            405,
            "allow: get",
            "GET only",
        ),
        (
            "DELETE /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
            404,
            "",
            "/readyz",
        ),
        ("\x02\0\0\x01\0\r\n\r\n", 400, "", ""),
        (&long, 431, "", ""),
    ];
    for (request, status, head, body) in rows {
        let answer = http(&stage.admin(), request);
        let said = format!("{}\n{}", answer.head, answer.body);
        assert_eq!(answer.status, status, "{request:.60}: {said}");
        assert!(answer.head.contains(head), "{request:.60}: {said}");
        assert!(answer.body.contains(body), "{request:.60}: {said}");
    }
    // Neither silence nor a body without an end takes the pages from others.
    let mut silent: Vec<UnixStream> = Vec::new();
    for _ in 0..8 {
        let mut stream = UnixStream::connect(stage.admin()).expect("admin");
        stream
            .write_all(b"POST /metrics HTTP/1.1\r\nA")
            .expect("sent");
        silent.push(stream);
    }
    assert_eq!(stage.page("/healthz"), (200, "ok\n".into()));
    for mut stream in silent {
        stream.set_read_timeout(Some(SOON)).expect("timeout");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("closed in time");
    }
}

#[test]
fn the_unix_socket_should_be_for_its_group_and_go_with_the_runner() {
    let mut stage = Stage::new(&[], "");
    let mode = std::fs::metadata(stage.admin())
        .expect("socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    stage.runner.signal(Signal::TERM).expect("sent");
    assert!(stage.runner.wait(SOON).expect("it ends").success());
    assert!(!stage.admin().exists());
}

#[test]
fn a_port_should_do_and_be_taken_over_from_the_runner_before() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = taken.local_addr().expect("address");
    let stage = Stage::new(&[], &format!("admin: {{listen: \"{address}\"}}\n"));
    let waiting = format!("{address}, which is admin.listen, is taken");
    assert!(
        stage.runner.prints(&waiting, SOON),
        "{}",
        stage.runner.log()
    );
    // Calls are served meanwhile.
    call(&mut stage.connect(), "stop", "", "request");
    drop(taken);
    let said = format!("metrics and health on http://{address}");
    assert!(stage.runner.prints(&said, SOON), "{}", stage.runner.log());
    let stream = TcpStream::connect::<SocketAddr>(address).expect("admin");
    assert_eq!(converse(stream, GET).body, "ok\n");
}

#[test]
fn readiness_should_name_the_plugin_that_cannot_be_loaded_and_why() {
    let stage = Stage::new(&[("broken", b"no component".to_vec())], "");
    stage.ready();
    let (status, text) = stage.page("/readyz");
    assert_eq!(status, 503, "{text}");
    assert!(
        text.starts_with("plugin broken: expected a WebAssembly component"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(stage.page("/healthz"), (200, "ok\n".into()));
    stage.reaches(r#"wasm_runner_plugins{state="failed"}"#, 1.0);
}

#[test]
fn an_address_that_cannot_be_had_should_be_an_error_at_the_start() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let file = format!("unix:{}", file.path().display());
    let rows = [
        (
            "0.0.0.0:9095",
            "admin.listen: \"0.0.0.0:9095\" can be reached from other machines",
        ),
        ("192.0.2.1:9095", "give unix:PATH, 127.0.0.1:PORT"),
        ("localhost:9095", "is not an address"),
        (&file, "not a socket"),
        (
            &file,
            &*format!("cannot listen on {file}, which is admin.listen; give another"),
        ),
        (
            "127.0.0.1:1",
            "cannot listen on 127.0.0.1:1, which is admin.listen",
        ),
    ];
    for (address, expected) in rows {
        // Root may listen on every port.
        if address == "127.0.0.1:1" && rustix::process::geteuid().is_root() {
            continue;
        }
        let (folder, args) = prepare(&[], &format!("admin: {{listen: \"{address}\"}}\n"));
        let socket = folder.path().join("runner.sock");
        let output = Command::new(RUNNER)
            .env_clear()
            .args(args)
            .arg("--listen")
            .arg(&socket)
            .output()
            .expect("the runner runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{address}: {said}");
        assert!(said.contains(expected), "{address}: {said}");
        assert!(!socket.exists(), "it never listened");
    }
}

#[test]
fn json_lines_should_carry_plugin_route_and_request() {
    let modules = [
        ("trap", guest(PASS, "unreachable")),
        ("refuses", guest(FAIL, PASS)),
        ("talker", talker(1)),
    ];
    let mut stage = Stage::new(&modules, "logging: {format: json, level: info}\n");
    let mut client = stage.connect();
    for plugin in ["trap", "refuses", "no \"such\" plugin"] {
        assert_eq!(call(&mut client, plugin, "", "request"), UNAVAILABLE);
    }
    call(&mut client, "talker", "", "request");
    let _ = client.call(12345);
    stage.runner.signal(Signal::TERM).expect("sent");
    stage.runner.wait(SOON).expect("it ends");
    let log = stage.runner.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
    let route = "route#1#test#1";
    for (message, level, plugin, request) in [
        ("call failed: trapped: ", "WARN", Some("trap"), Some(77)),
        (
            "call failed: its configuration cannot be used",
            "WARN",
            Some("refuses"),
            Some(77),
        ),
        (
            "a filter cannot run: its configuration cannot be used",
            "WARN",
            Some("refuses"),
            None,
        ),
        (
            "call failed: there is no such plugin",
            "WARN",
            Some("no \\\"such\\\" plugin"),
            Some(77),
        ),
        (
            "a filter cannot run: there is no such plugin",
            "WARN",
            Some("no \\\"such\\\" plugin"),
            None,
        ),
        ("hello", "INFO", Some("talker"), Some(77)),
        ("conf token 12345 is unknown", "INFO", None, Some(0)),
        ("SIGTERM: stopping", "INFO", None, None),
    ] {
        let found = lines.iter().find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|said| said.starts_with(message))
        });
        let line = found.unwrap_or_else(|| panic!("{message}:\n{log}"));
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line["plugin"].as_str(), plugin, "{line}");
        assert_eq!(line["route"].as_str(), plugin.map(|_| route), "{line}");
        assert_eq!(line["request"].as_u64(), request, "{line}");
    }
}

#[test]
fn text_lines_should_carry_plugin_route_and_request() {
    let stage = Stage::new(&[("trap", guest(PASS, "unreachable"))], "");
    assert_eq!(
        call(&mut stage.connect(), "trap", "", "request"),
        UNAVAILABLE
    );
    let fields = "plugin=trap route=route#1#test#1 request=77 cause=trap";
    assert!(stage.runner.prints(fields, SOON), "{}", stage.runner.log());
}

#[test]
fn what_plugins_use_should_be_among_the_figures() {
    let stage = Stage::new(&[("talker", talker(20))], "limits: {log_kib: 1}\n");
    stage.ready();
    // 64 KiB of memory, and five bytes a line.
    call(&mut stage.connect(), "talker", "", "request");
    stage.reaches(
        r#"wasm_runner_filter_memory_peak_bytes{plugin="talker"}"#,
        65536.0,
    );
    stage.reaches(r#"wasm_runner_filter_calls_running{plugin="talker"}"#, 0.0);
    stage.reaches(r#"wasm_runner_filter_calls_waiting{plugin="talker"}"#, 0.0);
    stage.reaches(
        r#"wasm_runner_guest_log_dropped_total{plugin="talker"}"#,
        0.0,
    );
    let flood = Stage::new(&[("talker", talker(1000))], "limits: {log_kib: 1}\n");
    call(&mut flood.connect(), "talker", "", "request");
    let dropped = flood.figure(r#"wasm_runner_guest_log_dropped_total{plugin="talker"}"#);
    let logged = || flood.runner.log().matches("guest: hello").count() as f64;
    assert!(
        soon(|| dropped == Some(1000.0 - logged())),
        "{dropped:?} {}",
        logged()
    );
    assert!(dropped > Some(500.0), "{dropped:?}");
}

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A runner whose output goes into a pipe that nobody reads yet.
fn unread(args: &[PathBuf], socket: &Path) -> (KillOnDrop, PipeReader) {
    let (reader, output) = std::io::pipe().expect("pipe");
    let runner = Command::new(RUNNER)
        .env_clear()
        .args(args)
        .arg("--listen")
        .arg(socket)
        .stdout(output.try_clone().expect("pipe"))
        .stderr(output)
        .spawn()
        .expect("runner");
    (KillOnDrop(runner), reader)
}

#[test]
fn lines_that_nobody_reads_should_be_counted_and_told_of() {
    let (folder, args) = prepare(&[], "");
    let socket = folder.path().join("runner.sock");
    let (runner, mut output) = unread(&args, &socket);
    assert!(soon(|| UnixStream::connect(&socket).is_ok()), "it listens");
    let mut client = WireClient::connect(&socket).expect("connection");
    for n in 0..3000 {
        // Each is worth a line, and the pipe holds 64 KiB.
        client
            .prepare(&[("no such plugin", &n.to_string())])
            .expect("token");
    }
    let admin = folder.path().join("admin.sock");
    let text = http(&admin, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").body;
    let dropped = figure(&text, "wasm_runner_log_lines_dropped_total");
    assert!(dropped.is_some_and(|dropped| dropped > 100.0), "{text}");
    let (sender, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = output.read(&mut chunk) {
            all.extend_from_slice(&chunk[..read]);
            if String::from_utf8_lossy(&all).contains("lines of the log were dropped") {
                let _ = sender.send(());
            }
        }
    });
    said.recv_timeout(SOON).expect("a line about them");
    send_signal(runner.0.id(), Signal::TERM).expect("sent");
}

#[test]
fn connections_beyond_the_limit_should_be_told_and_closed() {
    const LIMIT: usize = 3;
    let stage = Stage::new(&[], &format!("limits: {{connections: {LIMIT}}}\n"));
    // The harness's own connection ends when it ends.
    stage.reaches("wasm_runner_connections", 0.0);
    let mut served: Vec<WireClient> = (0..LIMIT).map(|_| stage.connect()).collect();
    for client in &mut served {
        client.prepare(&[("stop", "")]).expect("token");
    }
    for _ in 0..5 {
        let mut refused = stage.connect();
        assert_eq!(refused.receive(), Ok(UNAVAILABLE));
        assert_eq!(refused.receive(), Err(NoReply::Closed));
    }
    for client in &mut served {
        client.prepare(&[("stop", "")]).expect("still served");
    }
    stage.reaches("wasm_runner_connections_refused_total", 5.0);
    stage.reaches("wasm_runner_connections", LIMIT as f64);
    let logged = "there are 3 already; raise limits.connections";
    assert!(stage.runner.prints(logged, SOON), "{}", stage.runner.log());
    let lines = stage.runner.log().matches(logged).count();
    assert!(lines <= 3, "once a second, and not {lines} times");
    served.pop();
    stage.reaches("wasm_runner_connections", (LIMIT - 1) as f64);
    stage
        .connect()
        .prepare(&[("stop", "")])
        .expect("the next is served");
}

#[test]
fn a_small_limit_of_descriptors_should_lower_that_of_connections() {
    const DESCRIPTORS: usize = 160;
    let (folder, args) = prepare(&[], "");
    let args: Vec<&str> = args
        .iter()
        .map(|arg| arg.to_str().expect("UTF-8"))
        .collect();
    let command = format!("ulimit -n {DESCRIPTORS}; exec {RUNNER} {}", args.join(" "));
    let runner = RunnerProcess::start(Path::new("/bin/sh"), ["-c", &command], &[]);
    let runner = runner.expect("it starts");
    let stage = Stage { runner, folder };
    let logged = "limits.connections is lowered from 4096 to";
    assert!(stage.runner.prints(logged, SOON), "{}", stage.runner.log());
    stage.reaches("process_max_fds", DESCRIPTORS as f64);
    stage.reaches("wasm_runner_connections", 0.0);
    let limit = stage
        .figure("wasm_runner_connections_limit")
        .expect("a limit") as usize;
    assert!((10..DESCRIPTORS).contains(&limit), "{limit}");
    let mut clients: Vec<WireClient> = (0..DESCRIPTORS + 20).map(|_| stage.connect()).collect();
    let (served, refused) = clients.split_at_mut(limit);
    for client in served {
        client.prepare(&[("stop", "")]).expect("served");
    }
    for client in refused {
        assert_eq!(client.receive(), Ok(UNAVAILABLE));
    }
    stage.reaches("wasm_runner_accept_failures_total", 0.0);
    drop(clients);
    stage.reaches("wasm_runner_connections", 0.0);
    call(&mut stage.connect(), "stop", "", "request");
}

#[test]
fn it_should_outlive_a_moment_without_descriptors() {
    let stage = Stage::new(&[], "");
    stage.ready();
    stage.reaches("wasm_runner_connections", 0.0);
    let id = Pid::from_raw(i32::try_from(stage.runner.id()).expect("an id")).expect("an id");
    let folder = format!("/proc/{}/fd", stage.runner.id());
    let open: Vec<u64> = std::fs::read_dir(folder)
        .expect("descriptors")
        .map(|found| {
            let name = found.expect("a descriptor").file_name();
            name.to_str().and_then(|name| name.parse().ok())
        })
        .map(|number| number.expect("a number"))
        .collect();
    // The third number that is free is the last it gets.
    let free = (0..).filter(|number| !open.contains(number)).nth(2);
    let few = Rlimit {
        current: free.map(|number| number + 1),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(Some(id), Resource::Nofile, few).expect("a limit of its own");
    let mut clients: Vec<WireClient> = (0..20).map(|_| stage.connect()).collect();
    clients[0]
        .prepare(&[("stop", "")])
        .expect("the first is served");
    let logged = "cannot accept connections, the gateway gets 503s meanwhile";
    assert!(stage.runner.prints(logged, SOON), "{}", stage.runner.log());
    clients[0].prepare(&[("stop", "")]).expect("and still is");
    drop(clients);
    stage
        .connect()
        .prepare(&[("stop", "")])
        .expect("the next is served");
    prlimit(Some(id), Resource::Nofile, before).expect("as it was");
    stage
        .connect()
        .prepare(&[("stop", "")])
        .expect("and the next");
    let failures = soon(|| {
        let failures = stage.figure("wasm_runner_accept_failures_total");
        failures.is_some_and(|failures| failures > 0.0)
    });
    assert!(failures, "{}", stage.page("/metrics").1);
    stage.reaches("wasm_runner_connections", 0.0);
}
