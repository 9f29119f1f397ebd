//! What takes too long is given up: a server, a handshake, a name server.

use super::*;

#[test]
fn a_server_that_takes_too_long_should_be_given_up() {
    let runtime = runtime();
    for start in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\nx"] {
        let (released, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let script: Script = Box::new(move |_, wire| {
            let _ = wire.write_all(start.as_bytes());
            let _ = held.lock().expect("lock").recv();
            false
        });
        let server = Server::start(anywhere(), script);
        let url = format!("http://{}/", server.address);
        let settings = Settings {
            time: Duration::from_millis(200),
            ..settings(vec![rule(&url)])
        };
        let client = client(settings, &Roots::empty(), runtime.handle());
        let result = runtime.block_on(client.send(request("GET", url)));
        assert_eq!(outcome(&result), "timeout", "{start:?}: {result:?}");
        let text = result.expect_err(start).to_string();
        assert!(text.contains("no whole response"), "{start:?}: {text}");
        drop(released);
    }
}

#[test]
fn a_handshake_that_never_ends_should_be_given_up() {
    let runtime = runtime();
    // The kernel takes the connection; nobody speaks on it.
    let listener = std::net::TcpListener::bind(anywhere()).expect("listener");
    let url = format!("https://{}/", listener.local_addr().expect("address"));
    let settings = Settings {
        connect_time: Duration::from_millis(200),
        ..settings(vec![rule(&url)])
    };
    let client = client(settings, &Roots::empty(), runtime.handle());
    let result = runtime.block_on(client.send(request("GET", url)));
    assert_eq!(outcome(&result), "timeout", "{result:?}");
    let text = result.expect_err("no server").to_string();
    assert!(text.contains("no connection to"), "{text}");
}

#[test]
fn a_name_server_that_says_nothing_should_not_be_waited_for_longer_than_allowed() {
    let runtime = runtime();
    let silent = std::net::UdpSocket::bind(anywhere()).expect("name server");
    let url = "http://a.example/";
    let settings = Settings {
        time: Duration::from_millis(200),
        ..settings(vec![rule(url)])
    };
    let silent_address = silent.local_addr().expect("address");
    let resolver = Resolver::with_name_servers(&[silent_address]).expect("resolver");
    let handle = runtime.handle().clone();
    let client = Client::new(settings, resolver, &Roots::empty(), handle).expect("client");
    for _ in 0..2 {
        let result = runtime.block_on(client.send(request("GET", url.to_owned())));
        assert_eq!(outcome(&result), "timeout", "{result:?}");
    }
}
