//! A runner with pages, the filters that the tests need, and a reader of the
//! pages. Must not know what is on them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Guest, RunnerProcess, WireClient, modules};
use protocol::FrameBuilder;
use protocol::gateway_side::{HttpReqCall, HttpRespCall, Reply};
use tempfile::TempDir;

pub(crate) const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A reply that says "no" without a word.
pub(crate) const FAIL: &str = "(i32.store8 (i32.const 64) (i32.const 1)) i32.const 64";
pub(crate) const PASS: &str = "i32.const 0";
pub(crate) const LOOP: &str = "(loop br 0) unreachable";
pub(crate) const GROW: &str = "(drop (memory.grow (i32.const 2000))) unreachable";

pub(crate) const UNAVAILABLE: Reply = Reply::Error(1);

/// A runner over a folder of modules, with pages on a unix socket there.
pub(crate) struct Stage {
    pub(crate) runner: RunnerProcess,
    pub(crate) folder: TempDir,
}

impl Stage {
    /// The examples `probe` and `stop`, and these.
    pub(crate) fn new(modules: &[(&str, Vec<u8>)], config: &str) -> Self {
        let (folder, args) = prepare(modules, config);
        let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("it starts");
        Stage { runner, folder }
    }

    pub(crate) fn admin(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub(crate) fn connect(&self) -> WireClient {
        WireClient::connect(self.runner.socket()).expect("connection")
    }

    /// The page's status and text.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let answer = http(
            &self.admin(),
            &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        (answer.status, answer.body)
    }

    /// The value of one line of the figures; `None` where there is no such line.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        let (_, text) = self.page("/metrics");
        figure(&text, name)
    }

    pub(crate) fn reaches(&self, name: &str, expected: f64) {
        let reached = soon(|| self.figure(name) == Some(expected));
        assert!(reached, "{name} {expected}:\n{}", self.page("/metrics").1);
    }

    pub(crate) fn ready(&self) {
        let loaded = || !self.page("/readyz").1.contains("still loading");
        assert!(soon(loaded), "{}", self.runner.log());
    }
}

/// A folder with modules and a configuration, and the arguments for it.
pub(crate) fn prepare(modules: &[(&str, Vec<u8>)], config: &str) -> (TempDir, [PathBuf; 5]) {
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

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn http(socket: &Path, request: &str) -> Answer {
    converse(UnixStream::connect(socket).expect("admin"), request)
}

pub(crate) fn converse(mut stream: impl Read + Write, request: &str) -> Answer {
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

pub(crate) fn figure(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(|value| value.trim().parse().expect("a number"))
}

pub(crate) fn soon(mut happens: impl FnMut() -> bool) -> bool {
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

pub(crate) fn guest(configure: &str, on_request: &str) -> Vec<u8> {
    Guest::request_filter("", configure, on_request).build()
}

/// Logs the five bytes at 40 at the level `info`, that many times.
pub(crate) fn talker(times: u32) -> Vec<u8> {
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

pub(crate) fn response_filter() -> Vec<u8> {
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

pub(crate) const ASKS: &str = r#"{"vars":["x"]}"#;

/// Calls once and leaves every question without an answer.
pub(crate) fn call(client: &mut WireClient, plugin: &str, conf: &str, phase: &str) -> Reply {
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

pub(crate) const GET: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
