//! Servers that answer with given bytes and keep count of who came. Must not know
//! the client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server reads from and writes to.
pub(crate) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Answers one request, whose text it is given; whether the connection goes on.
pub(crate) type Script = Box<dyn Fn(&str, &mut dyn Wire) -> bool + Send + Sync>;

/// A server, for as long as the process lives.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(address: SocketAddr, script: Script) -> Self {
        Self::listen(address, None, script)
    }

    /// Answers every request with these bytes, one request a connection.
    pub(crate) fn answering(address: SocketAddr, answer: Vec<u8>) -> Self {
        Self::start(address, always(answer))
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What was asked, whole, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("requests").clone()
    }

    /// With TLS each connection begins with a handshake.
    pub(crate) fn listen(address: SocketAddr, tls: Option<ServerConfig>, script: Script) -> Self {
        let listener = TcpListener::bind(address)
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let server = Server {
            address: listener.local_addr().expect("address"),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let running = server.clone();
        let (tls, script) = (tls.map(Arc::new), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("connection");
                running.connections.fetch_add(1, Ordering::SeqCst);
                let (running, tls) = (running.clone(), tls.clone());
                let script = Arc::clone(&script);
                thread::spawn(move || running.serve(stream, tls, &script));
            }
        });
        server
    }

    fn serve(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>, script: &Script) {
        match tls {
            None => self.converse(stream, script),
            Some(tls) => {
                let session = ServerConnection::new(tls).expect("TLS");
                self.converse(StreamOwned::new(session, stream), script);
            }
        }
    }

    fn converse(&self, stream: impl Wire, script: &Script) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream) {
            self.requests
                .lock()
                .expect("requests")
                .push(request.clone());
            if !script(&request, stream.get_mut()) {
                return;
            }
        }
    }
}

/// A script that says the same to everyone and closes.
pub(crate) fn always(answer: Vec<u8>) -> Script {
    Box::new(move |_, wire| {
        let _ = wire.write_all(&answer);
        let _ = wire.flush();
        false
    })
}

/// Head and body as one text, or nothing where the client left.
fn read_request(stream: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if stream.read_line(&mut text).ok()? == 0 {
            return None;
        }
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().expect("length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    text.push_str(&String::from_utf8_lossy(&body));
    Some(text)
}
