//! Accepts connections and serves each in a task of its own until the gateway
//! closes it or the runner is told to stop.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::FrameBuilder;
use tokio::sync::watch;

use crate::dispatcher::{Dispatcher, ReplyBuilders};
use crate::error_reply::{self, CallError};
use crate::gateway_link::{GatewayLink, ReadError};
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::serving_threads::ServingThreads;

/// An idle connection is kept open for so long after the runner was told to
/// stop: the gateway may be about to use it, and would take a closed one for a
/// failure. It gets a reply first, and then sees the end.
const LINGER: Duration = Duration::from_millis(300);

/// Calls in flight may take this long to end after the runner was told to
/// stop; then they are cut short with a reply. The gateway kills the runner 1 s
/// after it asked it to end.
const GRACE: Duration = Duration::from_millis(450);

/// And this long until their replies are written.
const DRAIN: Duration = Duration::from_millis(600);

/// A call that has not exchanged a frame with the gateway for so long is cut
/// short, before the gateway gives up on it after 60 s (`init.lua`). A filter's
/// own wait has ended by then (`ceilings.gateway_ms`).
const SILENCE: Duration = Duration::from_secs(58);

/// Pause after a failed accept, most likely for want of file descriptors: time
/// for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Between two lines of the log about the same trouble with connections.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// What one tenant's connections are served with.
pub struct Service<'a> {
    /// Answers frames.
    pub dispatcher: &'a Arc<Dispatcher>,
    /// Serve the connections.
    pub threads: &'a ServingThreads,
    /// Connections at the same time, over all sockets of the tenant.
    pub limit: u32,
    /// What is counted.
    pub metrics: &'a Metrics,
}

/// A socket, and who may connect to it.
pub struct Door {
    /// The socket.
    pub listener: Listener,
    /// Numbers of users; empty is whoever may open it.
    pub peers: Vec<u32>,
}

/// Serves until `stop` is done, then lets the calls in flight end. Connections
/// beyond the limit are told so and closed, and those of users who may not
/// connect.
pub async fn serve(door: Door, service: &Service<'_>, stop: impl Future<Output = ()>) {
    let Service {
        dispatcher,
        threads,
        limit,
        metrics,
    } = *service;
    let Door { listener, peers } = door;
    let (closing, closed) = watch::channel(false);
    let mut stop = std::pin::pin!(stop);
    let connections = threads.connections();
    let (mut failures, mut refusals) = (Seldom::default(), Seldom::default());
    let mut strangers = Seldom::default();
    let mut refusal = FrameBuilder::new();
    let refusal = error_reply::unavailable(&mut refusal);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener) => match accepted {
                Ok(stream) if !may_connect(&stream, &peers) => {
                    metrics.connections_accepted.inc();
                    metrics.connections_refused.inc();
                    if let Some(times) = strangers.due() {
                        tracing::error!(
                            "{times} connections to {} were refused, the last of {}; only those \
                             whom sockets' `peers` names may connect",
                            listener.path().display(),
                            shown_peer(&stream)
                        );
                    }
                    refuse(stream, refusal);
                }
                Ok(stream) if connections.get() >= limit as usize => {
                    metrics.connections_accepted.inc();
                    metrics.connections_refused.inc();
                    refuse(stream, refusal);
                    if let Some(times) = refusals.due() {
                        tracing::error!(
                            "{times} connections were refused, the gateway gets 503s meanwhile: \
                             there are {limit} already; raise limits.connections"
                        );
                    }
                }
                Ok(stream) => {
                    metrics.connections_accepted.inc();
                    let (dispatcher, closed) = (Arc::clone(dispatcher), closed.clone());
                    threads.serve(stream, |stream| {
                        let link = Arc::new(GatewayLink::new(stream));
                        Connection { link, dispatcher, closed }.serve()
                    });
                }
                Err(error) => {
                    metrics.accept_failures.inc();
                    if failures.due().is_some() {
                        tracing::error!(
                            "cannot accept connections, the gateway gets 503s meanwhile: {error}"
                        );
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drop(closed);
    closing.send_replace(true);
    let drained = tokio::time::timeout(DRAIN, closing.closed()).await;
    if drained.is_err() {
        tracing::warn!(
            "calls were still in flight after {} ms and are given up",
            DRAIN.as_millis()
        );
    }
}

/// The next connection, not yet registered with any runtime.
async fn accept(listener: &Listener) -> io::Result<UnixStream> {
    let (stream, _) = listener.socket().accept().await?;
    stream.into_std()
}

/// Whether the user at the other end is among these (`SO_PEERCRED`, as of when it
/// connected).
fn may_connect(stream: &UnixStream, peers: &[u32]) -> bool {
    if peers.is_empty() {
        return true;
    }
    let peer = rustix::net::sockopt::socket_peercred(stream);
    peer.is_ok_and(|peer| peers.contains(&peer.uid.as_raw()))
}

fn shown_peer(stream: &UnixStream) -> String {
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) => format!(
            "user {}, process {}",
            peer.uid.as_raw(),
            peer.pid.as_raw_nonzero()
        ),
        Err(error) => format!("somebody unknown ({error})"),
    }
}

/// Writes the answer to a question that has not come yet, since nobody waits
/// for it here: a new connection has room for it. For a response phase it is
/// not the right answer, but the end of the connection would be no other.
fn refuse(mut stream: UnixStream, refusal: &[u8]) {
    // Who is gone already needs no answer.
    let _ = stream.write(refusal);
}

/// Trouble that is told at most once a second, and then how often there was.
#[derive(Default)]
struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// How often since it was told last, where it is time.
    fn due(&mut self) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// One connection and what serves it.
struct Connection {
    link: Arc<GatewayLink>,
    dispatcher: Arc<Dispatcher>,
    closed: watch::Receiver<bool>,
}

impl Connection {
    /// Answers one frame after the other. A client that stops reading or
    /// writing holds up nobody but itself.
    async fn serve(self) {
        let mut builders = ReplyBuilders::default();
        let mut stopping = self.closed.clone();
        let mut lingered = std::pin::pin!(lingered(self.closed.clone()));
        loop {
            let frame = tokio::select! {
                frame = self.link.read_frame() => frame,
                () = &mut lingered => return,
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return self.refuse(&error, &mut builders).await,
            };
            // A call that was there before keeps the connection for the one that
            // the gateway may be about to send.
            let last = *self.closed.borrow();
            // Only looked at where the call does not end at once.
            let cut = cut_short(&self.link, &mut stopping);
            let reply = self
                .dispatcher
                .dispatch(frame, &self.link, &mut builders, cut)
                .await;
            if let Err(error) = self.link.write(reply).await {
                return log_lost(&error);
            }
            builders.trim();
            if last {
                return;
            }
            if self.link.is_confused() {
                tracing::warn!("a connection is closed: the gateway did not answer as it should");
                return;
            }
        }
    }

    /// The stream cannot be followed any further; where its other end can
    /// still read, it is told so.
    async fn refuse(&self, error: &ReadError, builders: &mut ReplyBuilders) {
        tracing::warn!("a connection is closed: {error}");
        if matches!(error, ReadError::Frame(_)) {
            let reply = self.dispatcher.refuse(builders);
            if let Err(error) = self.link.write(reply).await {
                log_lost(&error);
            }
        }
    }
}

/// Done when the gateway will hardly use an idle connection any more.
async fn lingered(mut closed: watch::Receiver<bool>) {
    // The other end lives as long as the server.
    let _ = closed.wait_for(|closed| *closed).await;
    tokio::time::sleep(LINGER).await;
}

/// Done when a call may not take any longer.
async fn cut_short(link: &GatewayLink, closed: &mut watch::Receiver<bool>) -> CallError {
    let stopping = async {
        let _ = closed.wait_for(|closed| *closed).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = stopping => CallError::Stopping,
        () = link.silence(SILENCE) => CallError::TooLong(SILENCE),
    }
}

fn log_lost(error: &io::Error) {
    tracing::warn!("a reply was lost: the gateway closed the connection ({error})");
}
