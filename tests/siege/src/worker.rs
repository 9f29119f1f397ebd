//! A worker of the gateway: its connections, its tokens, its retries. The
//! rules are those of `apisix/plugins/ext-plugin/init.lua`.
//!
//! Must not know what is called, nor what a reply is worth.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::err_resp::Code;
use protocol::gateway_side::{PrepareConf, Reply, encode_answer};
use protocol::{Entry, FrameBuilder};

use crate::calls::Call;
use crate::connection::{Connection, Lost};

/// How often the gateway tries while the runner does not know the token.
const TRIES: u32 = 3;

/// Connections that a worker keeps for later calls: few, so that as many are
/// kept after a minute as after an hour.
const KEPT: usize = 4;

/// More questions than any call of a runner's filters may ask.
const QUESTIONS: u32 = 65;

pub(crate) struct Worker {
    socket: PathBuf,
    /// Held while a token is fetched: one route waits for another.
    preparing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<String, u32>,
    idle: Vec<Connection>,
    next_id: u32,
}

impl Worker {
    pub(crate) fn new(socket: impl Into<PathBuf>) -> Self {
        Worker {
            socket: socket.into(),
            preparing: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Makes a call: the number it had and the reply to it.
    pub(crate) async fn call(&self, call: &Call) -> Result<(u32, Reply), Lost> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (id, reply) = self.try_call(call).await?;
            let unknown = Reply::Error(Code::ConfTokenNotFound as u8);
            if reply != unknown || tries == TRIES {
                return Ok((id, reply));
            }
            self.state().tokens.clear();
        }
    }

    async fn try_call(&self, call: &Call) -> Result<(u32, Reply), Lost> {
        // Opened first and silent until the token is there.
        let mut connection = self.connect().await?;
        let token = self.token(call).await?;
        let id = {
            let mut state = self.state();
            state.next_id = state.next_id.wrapping_add(1);
            state.next_id
        };
        connection.send(&call.frame(token, id)).await?;
        let mut asked = 0;
        loop {
            let reply = connection.receive().await?;
            let Reply::ExtraInfo(question) = &reply else {
                self.keep(connection);
                return Ok((id, reply));
            };
            asked += 1;
            if asked > QUESTIONS {
                return Err(Lost::Nonsense(format!("{asked} questions in one call")));
            }
            let mut builder = FrameBuilder::new();
            let answer = call.answer(question);
            let answer = encode_answer(&mut builder, answer.as_deref());
            let answer = answer.map_err(|error| Lost::Nonsense(error.to_string()))?;
            connection.send(answer).await?;
        }
    }

    /// The token of the call's route, from the cache or over a second
    /// connection.
    async fn token(&self, call: &Call) -> Result<u32, Lost> {
        let key = call.route();
        let cached = || self.state().tokens.get(&key).copied();
        if let Some(token) = cached() {
            return Ok(token);
        }
        let _one_at_a_time = self.preparing.lock().await;
        if let Some(token) = cached() {
            return Ok(token);
        }
        let plugins = call.plugins();
        let conf: Vec<_> = plugins
            .iter()
            .map(|(name, text)| Entry::new(name, text))
            .collect();
        let mut builder = FrameBuilder::new();
        let prepare = PrepareConf {
            key: Some(key.as_bytes()),
            conf: &conf,
        };
        let frame = prepare.encode(&mut builder);
        let frame = frame.map_err(|error| Lost::Nonsense(error.to_string()))?;
        let mut connection = self.connect().await?;
        connection.send(frame).await?;
        match connection.receive().await? {
            Reply::PrepareConf { conf_token } => {
                self.keep(connection);
                self.state().tokens.insert(key, conf_token);
                Ok(conf_token)
            }
            other => Err(Lost::Nonsense(format!("{other:?} instead of a token"))),
        }
    }

    async fn connect(&self) -> Result<Connection, Lost> {
        loop {
            // On its own, so that the pool is free while the runner accepts.
            let pooled = self.state().idle.pop();
            let Some(mut connection) = pooled else {
                return Connection::open(&self.socket).await;
            };
            if connection.is_quiet() {
                return Ok(connection);
            }
        }
    }

    fn keep(&self, mut connection: Connection) {
        let mut state = self.state();
        if state.idle.len() < KEPT && connection.is_quiet() {
            state.idle.push(connection);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
