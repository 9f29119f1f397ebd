//! A gateway worker without nginx: its connections, its tokens, its retries.
//! What it does with a reply is in `request_phase.rs` and `response_phase.rs`.
//!
//! The rules are those of `apisix/plugins/ext-plugin/init.lua`, APISIX 3.18.
//! Must not know what the runner is made of.

mod calls;
mod connection;
mod fault;
mod request_phase;
mod response_phase;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connection::{Connection, Spent};
pub use fault::Fault;
pub use gateway_model::request_phase::NGINX_PAGE;
pub use response_phase::ResponseOutcome;

/// What a route says about the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConf {
    /// The gateway's name for this list of plugins; a token is cached by it.
    pub key: String,
    /// Plugin names with their configuration, in order. May be empty.
    pub plugins: Vec<(String, String)>,
    /// If the runner fails, go on as if it had not been asked.
    pub allow_degradation: bool,
}

impl RouteConf {
    /// A route without plugins.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            plugins: vec![],
            allow_degradation: false,
        }
    }

    /// Adds a plugin behind those already there.
    #[must_use]
    pub fn plugin(mut self, name: &str, conf: &str) -> Self {
        self.plugins.push((name.to_owned(), conf.to_owned()));
        self
    }

    /// Sets `allow_degradation`.
    #[must_use]
    pub fn allow_degradation(mut self) -> Self {
        self.allow_degradation = true;
        self
    }
}

/// What came of a call, and what the gateway would have logged on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed<T> {
    /// What the upstream or the client sees, faults or not.
    pub outcome: T,
    /// In the order in which they were met.
    pub faults: Vec<Fault>,
}

impl<T> Observed<T> {
    /// The outcome of a call in which the runner did nothing wrong.
    ///
    /// # Errors
    /// The first [`Fault`], be it only a refusal.
    pub fn faultless(self) -> Result<T, Fault> {
        match self.faults.into_iter().next() {
            None => Ok(self.outcome),
            Some(fault) => Err(fault),
        }
    }
}

/// One gateway worker. Can be shared by threads: each call takes a connection
/// of its own, as the worker's coroutines do.
#[derive(Debug)]
pub struct TestGateway {
    socket: PathBuf,
    read_timeout: Duration,
    keeps_query: bool,
    /// Held while a token is fetched, so one route waits for another.
    preparing: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<String, u32>,
    idle: Vec<Connection>,
    next_id: u32,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} tokens, {} idle connections",
            self.tokens.len(),
            self.idle.len()
        )
    }
}

impl TestGateway {
    /// A worker that has not connected yet.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            read_timeout: Duration::from_secs(60),
            keeps_query: true,
            preparing: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Waits less than the gateway's 60 s for each read.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Behaves as APISIX did before 3.16: a rewritten path loses the query,
    /// unless the arguments are rewritten too.
    #[must_use]
    pub fn before_3_16(mut self) -> Self {
        self.keeps_query = false;
        self
    }

    /// The same worker, tokens included, in front of another runner.
    #[must_use]
    pub fn moved_to(self, socket: impl Into<PathBuf>) -> Self {
        self.state().idle.clear();
        Self {
            socket: socket.into(),
            ..self
        }
    }

    /// How many connections wait to be used again.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.state().idle.len()
    }

    /// Forgets every token, as all workers do when the runner exits.
    pub fn flush_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Gives the runner time to send what it must not, and closes the
    /// connections on which it did.
    #[must_use]
    pub fn watch_idle_connections(&self, time: Duration) -> Vec<Fault> {
        std::thread::sleep(time);
        let mut faults = vec![];
        let idle = std::mem::take(&mut self.state().idle);
        for connection in idle {
            self.keep(connection, &mut faults);
        }
        faults
    }

    /// A connection from the pool, or a new one.
    fn connect(&self, faults: &mut Vec<Fault>) -> Result<Connection, Fault> {
        loop {
            // On its own, so that the pool is free while the runner accepts.
            let pooled = self.state().idle.pop();
            let Some(mut connection) = pooled else {
                return Connection::open(&self.socket, self.read_timeout);
            };
            match connection.quiet() {
                Ok(()) => return Ok(connection),
                Err(Spent::Closed) => {}
                Err(Spent::Unread(bytes)) => faults.push(Fault::UnreadBytes(bytes)),
            }
        }
    }

    /// Puts a connection back, unless the runner has spoilt it.
    fn keep(&self, mut connection: Connection, faults: &mut Vec<Fault>) {
        match connection.quiet() {
            Ok(()) => self.state().idle.push(connection),
            Err(Spent::Closed) => {}
            Err(Spent::Unread(bytes)) => faults.push(Fault::UnreadBytes(bytes)),
        }
    }

    fn next_id(&self) -> u32 {
        let mut state = self.state();
        let id = state.next_id;
        // 22 bits count the calls, ten name the worker: this is worker 0.
        state.next_id = (id + 1) % (1 << 22);
        id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
