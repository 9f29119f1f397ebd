//! How many requests there may be, where they run, and which connections they
//! use.

use super::*;

/// A server that tells of each request and answers when it is told to, or ends
/// when the client has gone, and tells that too.
struct Held {
    server: Server,
    arrived: mpsc::Receiver<()>,
    left: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Held {
    fn start() -> Self {
        let (arriving, arrived) = mpsc::channel();
        let (leaving, left) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        let script: Script = Box::new(move |request, wire| {
            arriving.send(()).expect("test");
            if request.starts_with("GET /gone") {
                let mut byte = [0];
                let gone = matches!(wire.read(&mut byte), Ok(0) | Err(_));
                assert!(gone, "the client went on");
                leaving.send(()).expect("test");
                return false;
            }
            let _ = released.lock().expect("lock").recv();
            let _ = wire.write_all(b"HTTP/1.1 204 -\r\n\r\n");
            true
        });
        Held {
            server: Server::start(anywhere(), script),
            arrived,
            left,
            release,
        }
    }
}

#[test]
fn a_request_too_many_should_be_told_at_once_and_a_dropped_one_make_room() {
    let runtime = runtime();
    let held = Held::start();
    let url = format!("http://{}", held.server.address);
    let settings = Settings {
        concurrent: 1,
        waiting: 1,
        ..settings(vec![rule(&url)])
    };
    let client = client(settings, &Roots::empty(), runtime.handle());
    let send = |path: &str| client.send(request("GET", format!("{url}{path}")));

    let first = runtime.spawn(send("/gone"));
    held.arrived
        .recv_timeout(PATIENCE)
        .expect("the first request");
    // Those who wait and go leave room for others who wait.
    for _ in 0..3 {
        let result = runtime.block_on(async { timeout(A_MOMENT, send("/dropped")).await });
        assert!(result.is_err(), "{result:?}");
    }
    let mut second = Box::pin(send("/second"));
    let third = runtime.block_on(async {
        let polled = timeout(A_MOMENT, &mut second).await;
        assert!(polled.is_err(), "{polled:?}");
        send("/third").await
    });
    assert_eq!(outcome(&third), "limit", "{third:?}");

    first.abort();
    held.left
        .recv_timeout(PATIENCE)
        .expect("the first connection ends");
    held.release.send(()).expect("server");
    let second = runtime.block_on(second);
    assert_eq!(outcome(&second), "204", "{second:?}");
    let asked: Vec<_> = held.server.requests();
    let paths: Vec<_> = asked.iter().map(|text| &text[..8]).collect();
    assert_eq!(paths, ["GET /gon", "GET /sec"]);
}

#[test]
fn a_future_should_be_polled_from_any_runtime_and_outlive_its_own() {
    let own = runtime();
    let server = Server::answering(anywhere(), NOTHING.to_vec());
    let client = plain_client(&server, &own);
    // Without I/O, without time: nothing of the client may run here.
    let other = Builder::new_current_thread().build().expect("runtime");
    for _ in 0..2 {
        let result = other.block_on(client.send(get(&server)));
        assert_eq!(outcome(&result), "204", "{result:?}");
    }
    drop(own);
    let result = other.block_on(client.send(get(&server)));
    assert_eq!(outcome(&result), "unreachable", "{result:?}");
}

#[test]
fn a_connection_should_be_kept_only_for_the_same_client_and_while_it_is_good() {
    let kept = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
    let closed = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx";
    // What the server sends, whether it then goes on, the method, how many
    // connections three requests need, one of them of a second client, and how
    // many requests arrive.
    let rows: &[(&str, &str, bool, &str, usize, usize)] = &[
        ("kept", kept, true, "GET", 2, 3),
        ("kept after POST", kept, true, "POST", 2, 3),
        ("announced as closed", closed, false, "GET", 3, 3),
        ("closed unannounced", kept, false, "GET", 3, 3),
    ];
    let runtime = runtime();
    for (what, answer, goes_on, method, connections, requests) in rows {
        let (answer, goes_on) = (answer.as_bytes().to_vec(), *goes_on);
        let script: Script = Box::new(move |_, wire| wire.write_all(&answer).is_ok() && goes_on);
        let server = Server::start(anywhere(), script);
        let url = format!("http://{}/", server.address);
        let clients = [
            plain_client(&server, &runtime),
            plain_client(&server, &runtime),
        ];
        for client in [&clients[0], &clients[0], &clients[1]] {
            let result = runtime.block_on(client.send(request(method, url.clone())));
            assert_eq!(outcome(&result), "200", "{what}: {result:?}");
        }
        assert_eq!(server.connections(), *connections, "{what}");
        assert_eq!(server.requests().len(), *requests, "{what}");
    }
}

#[test]
fn a_request_should_be_repeated_only_where_that_changes_nothing() {
    let runtime = runtime();
    for (method, arrived) in [("GET", 3), ("POST", 2)] {
        // Each connection is closed at its second request, unanswered.
        let script: Script = Box::new(|request, wire| {
            !request.contains("/second ")
                && wire
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .is_ok()
        });
        let server = Server::start(anywhere(), script);
        let client = plain_client(&server, &runtime);
        let send = |path: &str| {
            let url = format!("http://{}{path}", server.address);
            runtime.block_on(client.send(request(method, url)))
        };
        assert_eq!(outcome(&send("/first")), "200");
        let second = send("/second");
        // A new connection is closed at this path as well: the repetition fails
        // without a third try.
        assert_eq!(outcome(&second), "protocol", "{method}: {second:?}");
        assert_eq!(server.requests().len(), arrived, "{method}");
        assert_eq!(server.connections(), arrived - 1, "{method}");
    }
}

#[test]
fn a_kept_connection_should_serve_no_request_that_may_not_reach_its_address() {
    let runtime = runtime();
    let script: Script = Box::new(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .is_ok()
    });
    let server = Server::start(anywhere(), script);
    let origin = format!("http://localhost:{}", server.address.port());
    let open = rule(&format!("{origin}/open"));
    let shut = AllowRule::parse(&format!("{origin}/shut"), &[], &[]).expect("rule");
    let client = client(
        settings(vec![open, shut]),
        &Roots::empty(),
        runtime.handle(),
    );
    for (path, expected) in [
        ("/open", "200"),
        ("/shut", "denied"),
        ("/open", "200"),
        ("/shut", "denied"),
    ] {
        let result = runtime.block_on(client.send(request("GET", format!("{origin}{path}"))));
        assert_eq!(outcome(&result), expected, "{path}: {result:?}");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests().len(), 2);
}
