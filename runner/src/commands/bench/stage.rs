//! What the connections of a run share: what is sent, the token, whether the
//! calls count yet, and the counts.
//!
//! Must not know when a run begins and ends.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use protocol::err_resp::Code;
use protocol::frame::Frame;
use protocol::gateway_side::{RepeatedReply, Reply, decode_reply};

use super::connection::Connection;
use super::request::Traffic;
use super::tally::Tally;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// The stage of one run.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) socket: PathBuf,
    pub(super) traffic: Traffic,
    conf_token: AtomicU32,
    /// One connection at a time prepares anew.
    preparing: tokio::sync::Mutex<()>,
    phase: AtomicU8,
    /// Calls that may still begin.
    left: AtomicU64,
    first_reply: OnceLock<FirstReply>,
    tally: Mutex<Tally>,
}

/// What all other replies are compared with.
#[derive(Debug)]
pub(super) struct FirstReply {
    /// Its bytes.
    pub(super) payload: RepeatedReply,
    /// Its action in a word.
    pub(super) action: &'static str,
    /// Its length with the header.
    pub(super) length: usize,
}

impl Stage {
    /// Prepares the configuration; also returns the process that answered.
    pub(super) async fn set(
        socket: PathBuf,
        traffic: Traffic,
        requests: Option<u64>,
    ) -> Result<(Self, Option<u32>)> {
        let mut connection = Connection::open(&socket).await?;
        let conf_token = prepare(&mut connection, &traffic.prepare_conf).await?;
        let stage = Self {
            socket,
            traffic,
            conf_token: AtomicU32::new(conf_token),
            preparing: tokio::sync::Mutex::new(()),
            phase: AtomicU8::new(WARMING),
            left: AtomicU64::new(requests.unwrap_or(u64::MAX)),
            first_reply: OnceLock::new(),
            tally: Mutex::new(Tally::new()),
        };
        Ok((stage, connection.peer()))
    }

    /// From now on calls count.
    pub(super) fn begin(&self) {
        self.phase.store(MEASURING, Ordering::Relaxed);
    }

    /// From now on no call begins.
    pub(super) fn end(&self) {
        self.phase.store(OVER, Ordering::Relaxed);
    }

    /// Whether another call may begin, and whether it counts.
    pub(super) fn next_call(&self) -> Option<bool> {
        match self.phase.load(Ordering::Relaxed) {
            WARMING => Some(false),
            MEASURING => {
                let take = |left: u64| left.checked_sub(1);
                let taken = self
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
                taken.is_ok().then_some(true)
            }
            _ => None,
        }
    }

    /// The counts.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reply that came first, if any came.
    pub(super) fn first_reply(&self) -> Option<&FirstReply> {
        self.first_reply.get()
    }

    /// The one that is kept, in case of several.
    pub(super) fn first_reply_or(&self, reply: FirstReply) -> &FirstReply {
        self.first_reply.get_or_init(|| reply)
    }

    /// The token of the configuration.
    pub(super) fn conf_token(&self) -> u32 {
        self.conf_token.load(Ordering::Relaxed)
    }

    /// The runner does not know `refused` any more.
    pub(super) async fn prepare_anew(&self, refused: u32) -> Result<()> {
        let _turn = self.preparing.lock().await;
        if self.conf_token() == refused {
            let mut connection = Connection::open(&self.socket).await?;
            let conf_token = prepare(&mut connection, &self.traffic.prepare_conf).await?;
            self.conf_token.store(conf_token, Ordering::Relaxed);
            self.tally().prepared_anew += 1;
        }
        Ok(())
    }
}

/// As the gateway does, on a connection of its own.
async fn prepare(connection: &mut Connection, frame: &[u8]) -> Result<u32> {
    let exchange = async {
        connection.send(frame).await?;
        connection.receive().await
    };
    let received = tokio::time::timeout(PREPARE_PATIENCE, exchange)
        .await
        .context("the runner does not answer PrepareConf")?
        .context("the runner does not answer PrepareConf; instead:")?;
    let reply = Frame {
        rpc_type: received.rpc_type,
        payload: received.payload.to_vec().into(),
    };
    match decode_reply(reply).context("the answer to PrepareConf cannot be read")? {
        Reply::PrepareConf { conf_token } => Ok(conf_token),
        Reply::Error(code) => bail!(
            "the runner refuses the configuration with {}; its log may say why",
            code_name(code)
        ),
        _ => bail!("the runner answers PrepareConf with a reply of another type"),
    }
}

/// The gateway lets others wait so long for its lock.
const PREPARE_PATIENCE: Duration = Duration::from_secs(30);

fn code_name(code: u8) -> &'static str {
    match Code::from_byte(code) {
        Some(Code::BadRequest) => "BAD_REQUEST",
        Some(Code::ServiceUnavailable) => "SERVICE_UNAVAILABLE",
        Some(Code::ConfTokenNotFound) => "CONF_TOKEN_NOT_FOUND",
        None => "an unknown code",
    }
}
