//! The log: what a line carries in either format, and what becomes of lines
//! that nobody reads.

use std::io::{PipeReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use harness::{Signal, WireClient, send_signal};
use serde_json::Value;

use crate::stage::*;

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
