//! Real requests to servers on loopback that misbehave in one way each. Where
//! names lead, and what must never be reached, is in namespace.rs.

#[path = "../../../../tests/own_network/authority.rs"]
mod authority;
mod certificates;
mod connections;
mod patience;
#[path = "../../../../tests/own_network/servers.rs"]
mod servers;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use authority::Authority;
use outbound::{AllowRule, Client, Request, Resolver, Response, Roots, SendError, Settings};
use rcgen::CertificateParams;
use servers::{Script, Server};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;

const BODY_BOUND: usize = 1000;
/// An answer after which the connection ends.
const NOTHING: &[u8] = b"HTTP/1.1 204 -\r\nconnection: close\r\n\r\n";
const HEADER_BOUND: usize = 8 * 1024;
/// Long enough for a machine that does something else.
const PATIENCE: Duration = Duration::from_secs(20);
/// After which what only waits still waits.
const A_MOMENT: Duration = Duration::from_millis(50);

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("address")
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    builder.build().expect("runtime")
}

fn rule(url: &str) -> AllowRule {
    let methods = ["GET", "HEAD", "POST"].map(str::to_owned);
    AllowRule::parse(url, &methods, &["127.0.0.0/8".to_owned()]).expect(url)
}

fn settings(rules: Vec<AllowRule>) -> Settings {
    Settings {
        rules,
        time: PATIENCE,
        connect_time: PATIENCE,
        request_body: BODY_BOUND,
        response_body: BODY_BOUND,
        response_headers: HEADER_BOUND,
        concurrent: 4,
        waiting: 0,
    }
}

fn resolver() -> Resolver {
    // Only localhost is asked for, which no name server is.
    Resolver::with_name_servers(&[SocketAddr::from(([127, 0, 0, 1], 1))]).expect("resolver")
}

fn client(settings: Settings, roots: &Roots, runtime: &Handle) -> Client {
    Client::new(settings, resolver(), roots, runtime.clone()).expect("client")
}

fn plain_client(server: &Server, runtime: &Runtime) -> Client {
    let rules = vec![rule(&format!("http://{}", server.address))];
    client(settings(rules), &Roots::empty(), runtime.handle())
}

fn request(method: &str, url: String) -> Request {
    Request {
        method: method.to_owned(),
        url,
        ..Request::default()
    }
}

fn get(server: &Server) -> Request {
    request("GET", format!("http://{}/", server.address))
}

/// The kind of what came back, or the status.
fn outcome(result: &Result<Response, SendError>) -> String {
    match result {
        Ok(response) => response.status.to_string(),
        Err(error) => error.kind().to_owned(),
    }
}

#[test]
fn an_answer_should_be_returned_as_it_is_or_refused() {
    let fitting = "x".repeat(BODY_BOUND);
    let large = "x".repeat(BODY_BOUND + 1);
    let rows: &[(&str, &str, &str, &str)] = &[
        (
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "200",
            "hi",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi, and more",
            "200",
            "hi",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            "200",
            "to the end",
        ),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nold", "200", "old"),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            "200",
            "",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n",
            "200",
            "",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "204", ""),
        (
            "GET",
            "HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n",
            "599",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
            "302",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nx: y\r\n\r\n",
            "200",
            "abc",
        ),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
            "200",
            "x",
        ),
        (
            "GET",
            &format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_BOUND}\r\n\r\n{fitting}"),
            "200",
            &fitting,
        ),
        (
            "GET",
            &format!("HTTP/1.1 200 OK\r\n\r\n{fitting}"),
            "200",
            &fitting,
        ),
        (
            "GET",
            &format!("HTTP/1.1 200 OK\r\n\r\n{large}"),
            "limit",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nx",
            "limit",
            "",
        ),
        (
            "GET",
            &format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{large}"),
            "limit",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            "protocol",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
            "protocol",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nshort\r\n",
            "protocol",
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            "protocol",
            "",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "protocol", ""),
        ("GET", "HTTP/1.1 200 OK\r\na: \0\r\n\r\n", "protocol", ""),
        (
            "GET",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
            "protocol",
            "",
        ),
        ("GET", "HTTP/2.0 200 OK\r\n\r\n", "protocol", ""),
        ("GET", "SSH-2.0-OpenSSH\r\n\r\n", "protocol", ""),
        ("GET", "<html>no head</html>", "protocol", ""),
        ("GET", "", "protocol", ""),
    ];
    let runtime = runtime();
    for (method, answer, expected, body) in rows {
        let server = Server::answering(anywhere(), answer.as_bytes().to_vec());
        let client = plain_client(&server, &runtime);
        let url = format!("http://{}/", server.address);
        let result = runtime.block_on(client.send(request(method, url)));
        assert_eq!(outcome(&result), *expected, "{answer:.80}: {result:?}");
        if let Ok(response) = result {
            assert_eq!(response.body, body.as_bytes(), "{answer:.80}");
        }
        assert_eq!(server.connections(), 1, "{answer:.80}");
    }
}

#[test]
fn an_answers_headers_should_be_returned_without_those_of_the_connection() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nSet-Cookie: a\r\n\
        Set-Cookie: b\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
        Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let runtime = runtime();
    let server = Server::answering(anywhere(), answer.into());
    let sent = plain_client(&server, &runtime).send(get(&server));
    let response = runtime.block_on(sent).expect("answer");
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    let expected = [
        "location: http://169.254.169.254/",
        "set-cookie: a",
        "set-cookie: b",
    ];
    assert_eq!(headers, expected);
}

#[test]
fn what_never_ends_should_be_cut_at_its_bound() {
    let rows: &[(&str, &str, &str)] = &[
        ("HTTP/1.1 200 OK\r\n", "x-more: and more\r\n", "limit"),
        ("HTTP/1.1 200 OK\r\nx: ", "xxxxxxxx", "limit"),
        ("HTTP/1.1 200 ", "OK", "limit"),
        ("HTTP/1.1 200 OK\r\n\r\n", "body", "limit"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
            "limit",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
            "extension",
            "protocol",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            "x: y\r\n",
            "protocol",
        ),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n", "timeout"),
    ];
    let runtime = runtime();
    for (start, more, expected) in rows {
        let more = more.repeat(1 + 4096 / more.len());
        let script: Script = Box::new(move |_, wire| {
            let mut going = wire.write_all(start.as_bytes());
            while going.is_ok() {
                going = wire.write_all(more.as_bytes());
            }
            false
        });
        let server = Server::start(anywhere(), script);
        let rules = vec![rule(&format!("http://{}", server.address))];
        let mut settings = settings(rules);
        if *expected == "timeout" {
            settings.time = Duration::from_millis(200);
        }
        let client = client(settings, &Roots::empty(), runtime.handle());
        let result = runtime.block_on(client.send(get(&server)));
        assert_eq!(outcome(&result), *expected, "{start:?}: {result:?}");
    }
}

#[test]
fn a_request_should_arrive_as_the_filter_wrote_it() {
    let runtime = runtime();
    let server = Server::answering(anywhere(), NOTHING.to_vec());
    let address = server.address;
    let rules =
        ["127.0.0.1", "localhost"].map(|host| rule(&format!("http://{host}:{}", address.port())));
    let client = client(settings(rules.into()), &Roots::empty(), runtime.handle());
    let headers: &[(&str, &str)] = &[("X-B", "1"), ("x-a", "é"), ("X-B", "2")];
    let rows: &[(&str, &str, &str, &str)] = &[
        (
            "GET",
            "127.0.0.1",
            "",
            "GET /v1/x?y=%2F HTTP/1.1\r\nx-b: 1\r\nx-b: 2\r\nx-a: é\r\n",
        ),
        (
            "HEAD",
            "localhost",
            "",
            "HEAD /v1/x?y=%2F HTTP/1.1\r\nx-b: 1\r\nx-b: 2\r\nx-a: é\r\n",
        ),
        (
            "POST",
            "localhost",
            "body",
            "POST /v1/x?y=%2F HTTP/1.1\r\nx-b: 1\r\nx-b: 2\r\nx-a: é\r\n",
        ),
    ];
    for (method, host, body, start) in rows {
        let request = Request {
            method: (*method).into(),
            url: format!("http://{host}:{}/v1/./x?y=%2F#z", address.port()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: (*body).into(),
        };
        let result = runtime.block_on(client.send(request));
        assert_eq!(outcome(&result), "204", "{result:?}");
        let length = match body.len() {
            0 => String::new(),
            length => format!("content-length: {length}\r\n"),
        };
        let expected = format!(
            "{start}host: {host}:{}\r\n{length}\r\n{body}",
            address.port()
        );
        assert_eq!(server.requests().last(), Some(&expected));
    }
}

#[test]
fn what_is_not_allowed_should_reach_nobody() {
    let runtime = runtime();
    let server = Server::answering(anywhere(), NOTHING.to_vec());
    let port = server.address.port();
    let client = client(
        settings(vec![
            rule(&format!("http://127.0.0.1:{port}/v1")),
            AllowRule::parse(&format!("http://localhost:{port}"), &[], &[]).expect("rule"),
            AllowRule::parse("http://9.9.9.9", &[], &[]).expect("rule"),
        ]),
        &Roots::empty(),
        runtime.handle(),
    );
    let host = format!("127.0.0.1:{port}");
    for (method, url, name, value, body, expected) in [
        ("GET", format!("http://{host}/v2"), "a", "b", 0, "denied"),
        ("PUT", format!("http://{host}/v1"), "a", "b", 0, "denied"),
        ("GET", format!("https://{host}/v1"), "a", "b", 0, "denied"),
        (
            "GET",
            format!("http://127.0.0.2:{port}/v1"),
            "a",
            "b",
            0,
            "denied",
        ),
        (
            "GET",
            format!("http://localhost:{port}/"),
            "a",
            "b",
            0,
            "denied",
        ),
        ("GET", "gopher://x/".into(), "a", "b", 0, "invalid"),
        (
            "GET",
            format!("http://{host}/v1/%2e%2e/v2"),
            "a",
            "b",
            0,
            "invalid",
        ),
        ("G T", format!("http://{host}/v1"), "a", "b", 0, "invalid"),
        ("", format!("http://{host}/v1"), "a", "b", 0, "invalid"),
        (
            "CONNECT",
            format!("http://{host}/v1"),
            "a",
            "b",
            0,
            "invalid",
        ),
        (
            "GET",
            format!("http://{host}/v1"),
            "Host",
            "b",
            0,
            "invalid",
        ),
        (
            "GET",
            format!("http://{host}/v1"),
            "a",
            "b\r\nc: d",
            0,
            "invalid",
        ),
        (
            "POST",
            format!("http://{host}/v1"),
            "a",
            "b",
            BODY_BOUND + 1,
            "limit",
        ),
    ] {
        let request = Request {
            method: method.into(),
            url: url.clone(),
            headers: vec![(name.into(), value.into())],
            body: vec![b'x'; body],
        };
        let result = runtime.block_on(client.send(request));
        assert_eq!(outcome(&result), expected, "{method} {url}: {result:?}");
    }
    let url = format!("http://{host}/v1");
    let body = vec![b'x'; BODY_BOUND];
    let request = Request {
        body,
        ..request("POST", url)
    };
    let result = runtime.block_on(client.send(request));
    assert_eq!(outcome(&result), "204", "{result:?}");
    // Who came before would have been counted before.
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_filter_should_not_learn_the_address_behind_a_name() {
    let runtime = runtime();
    let closed = {
        let listener = std::net::TcpListener::bind(anywhere()).expect("port");
        listener.local_addr().expect("address").port()
    };
    let url = format!("http://localhost:{closed}/");
    let without = AllowRule::parse(&url, &[], &[]).expect("rule");
    let networks = ["127.0.0.0/8".to_owned(), "::1".to_owned()];
    let with = AllowRule::parse(&url, &[], &networks).expect("rule");
    for (rule, kind) in [(without, "denied"), (with, "unreachable")] {
        let client = client(settings(vec![rule]), &Roots::empty(), runtime.handle());
        let sent = client.send(request("GET", url.clone()));
        let error = runtime.block_on(sent).expect_err(kind);
        assert_eq!(error.kind(), kind, "{error}");
        for text in [error.to_string(), error.reason().for_guest().to_owned()] {
            assert!(!text.contains("127.") && !text.contains("::1"), "{text}");
            assert!(text.contains("localhost"), "{text}");
        }
        let operator = error.reason().for_operator();
        let told = operator.contains("127.0.0.1") || operator.contains("::1");
        assert!(told, "{operator}");
    }
}
