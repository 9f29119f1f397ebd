//! The admin listener: where it listens, what it answers, and that it says what
//! is not ready.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use harness::Signal;

use crate::stage::*;

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
    stage.reaches(
        r#"wasm_runner_plugins{state="failed",tenant="default"}"#,
        1.0,
    );
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
