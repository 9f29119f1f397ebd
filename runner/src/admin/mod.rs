//! The listener for operators: HTTP on a unix socket or a loopback address, on
//! a thread of its own that gives way to those that serve calls. Whoever can
//! reach it can make it busy, and nothing else.
//!
//! Must not know what is on the pages, or how a call is served.

pub mod pages;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::pages::Content;
use crate::config::AdminAddress;
use crate::listener::Listener;
use crate::socket_owner::Ownership;

/// How much less of a busy processor it gets (`setpriority(2)`).
const NICENESS: i32 = 5;

/// Who may connect to a unix socket: our user and our group.
const MODE: u32 = 0o660;

/// Connections at the same time; further ones wait in the kernel.
const CONNECTIONS: usize = 16;

/// For the whole of a connection, which brings one request.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// For its header.
const HEADER_TIME: Duration = Duration::from_secs(3);

/// Bytes and lines of a request's header. Its body is not read.
const HEADER_SIZE: usize = 16 << 10;
const HEADER_LINES: usize = 64;

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a port that is taken is waited for: on a reload the gateway starts
/// this runner before it stops the one that has it.
const PORT_WAIT: Duration = Duration::from_secs(5);
const PORT_PAUSE: Duration = Duration::from_millis(50);

/// The running listener. Dropped, it ends.
pub struct Admin {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

enum Socket {
    Unix(Listener),
    Port(TcpListener),
    /// Somebody else has it.
    Taken(SocketAddr),
}

impl Admin {
    /// Listens and serves the pages.
    ///
    /// # Errors
    /// Where the address cannot be had; only a port that is taken is waited
    /// for, while calls are served.
    pub fn start(address: &AdminAddress, pages: Arc<dyn Content>) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (bound, outcome) = mpsc::channel();
        let own = address.clone();
        let thread = std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                run(&runtime, &own, pages, &bound, stopped);
                // A page that is being made is not waited for.
                runtime.shutdown_background();
            })?;
        let admin = Admin {
            stop: Some(stop),
            thread: Some(thread),
        };
        outcome.recv()?.with_context(|| {
            format!(
                "cannot listen on {address}, which is admin.listen; give another address, or null \
                 for no pages"
            )
        })?;
        Ok(admin)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A page takes a moment; a panic has been logged where it happened.
            let _ = thread.join();
        }
    }
}

async fn bind(address: &AdminAddress) -> io::Result<Socket> {
    match address {
        AdminAddress::Unix(path) => {
            let listener = Listener::bind(path, MODE, &Ownership::OURS)?;
            tracing::info!("metrics and health on {address} (mode {MODE:04o})");
            Ok(Socket::Unix(listener))
        }
        AdminAddress::Loopback(address) => match TcpListener::bind(address).await {
            Ok(listener) => {
                say_port(&listener);
                Ok(Socket::Port(listener))
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(Socket::Taken(*address)),
            Err(error) => Err(error),
        },
    }
}

fn say_port(listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!("metrics and health on http://{address}");
    }
}

fn run(
    runtime: &Runtime,
    address: &AdminAddress,
    pages: Arc<dyn Content>,
    bound: &mpsc::Sender<io::Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    // Without it, it competes with the calls; nothing fails.
    let _ = rustix::process::nice(NICENESS);
    runtime.block_on(async {
        let (socket, outcome) = match bind(address).await {
            Ok(socket) => (Some(socket), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // It is waited for.
        let _ = bound.send(outcome);
        let Some(socket) = socket else { return };
        tokio::select! {
            () = serve(socket, pages) => {}
            // An error is the sender's end, which means the same.
            _ = stopped => {}
        }
    });
}

async fn serve(socket: Socket, pages: Arc<dyn Content>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    match socket {
        Socket::Unix(listener) => {
            let accept = async || listener.socket().accept().await.map(|(stream, _)| stream);
            accept_all(accept, &places, &pages).await;
        }
        Socket::Port(listener) => serve_port(&listener, &places, &pages).await,
        Socket::Taken(address) => {
            if let Some(listener) = wait_for_port(address).await {
                serve_port(&listener, &places, &pages).await;
            }
        }
    }
}

async fn serve_port(listener: &TcpListener, places: &Arc<Semaphore>, pages: &Arc<dyn Content>) {
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    accept_all(accept, places, pages).await;
}

async fn wait_for_port(address: SocketAddr) -> Option<TcpListener> {
    tracing::info!("{address}, which is admin.listen, is taken; waiting for it");
    let end = Instant::now() + PORT_WAIT;
    loop {
        tokio::time::sleep(PORT_PAUSE).await;
        match TcpListener::bind(address).await {
            Ok(listener) => {
                say_port(&listener);
                return Some(listener);
            }
            Err(_) if Instant::now() < end => {}
            Err(error) => {
                tracing::error!(
                    "there are no metrics and no health: cannot listen on {address}, which is \
                     admin.listen: {error}; stop what has it, or give another address"
                );
                return None;
            }
        }
    }
}

async fn accept_all<S>(
    accept: impl AsyncFn() -> io::Result<S>,
    places: &Arc<Semaphore>,
    pages: &Arc<dyn Content>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return;
        };
        match accept().await {
            Ok(stream) => {
                tokio::spawn(answer(stream, Arc::clone(pages), place));
            }
            // The other listener's log line is enough.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer<S>(stream: S, pages: Arc<dyn Content>, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let pages = Arc::clone(&pages);
        // Other processes may have to be asked, and others wait for other pages.
        tokio::task::spawn_blocking(move || pages::answer(&*pages, &method, &path))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .keep_alive(false)
        .max_headers(HEADER_LINES)
        .max_buf_size(HEADER_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a reader of metrics or health failed: {error}"),
        Err(_) => tracing::debug!("a reader of metrics or health took too long"),
    }
}
