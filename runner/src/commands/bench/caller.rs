//! Calls one after the other over one connection, and is as strict with each
//! reply as it can be for the price of a comparison.
//!
//! Must not know how many others do the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::Frame;
use protocol::err_resp::Code;
use protocol::gateway_side::{HttpAction, RepeatedCall, RepeatedReply, Reply, decode_reply};
use protocol::{RpcType, frame};

use super::connection::{Connection, Received};
use super::failure::Failure;
use super::stage::{FirstReply, Stage};

/// The gateway gives up then.
const TRIES: u32 = 3;

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(10);

/// One call that does not count: a runner may still be loading its plugins, and
/// no measurement should begin before that is over.
pub(super) async fn call_once(stage: &Stage) {
    // What is wrong with it will be wrong with those that count.
    let _ = Caller::new(stage, 0).call().await;
}

/// Calls until there is nothing left to call. `number` tells connections
/// apart, as the gateway's workers are told apart by the upper bits of an id.
pub(super) async fn call_until_over(stage: Arc<Stage>, number: u32) {
    let mut caller = Caller::new(&stage, number);
    let mut began = Instant::now();
    while let Some(counts) = stage.next_call() {
        let outcome = caller.call().await;
        let ended = Instant::now();
        match outcome {
            Ok(questions) if counts => stage.tally().served(ended - began, questions),
            Err(failure) if counts => stage.tally().failed(failure, 1),
            _ => {}
        }
        // One look at the clock for a call: it begins where the last one ends.
        began = ended;
        if outcome == Err(Failure::Refused) {
            tokio::time::sleep(PAUSE).await;
            began = Instant::now();
        }
    }
}

struct Caller<'a> {
    stage: &'a Stage,
    connection: Option<Connection>,
    call: RepeatedCall,
    id: u32,
    conf_token: u32,
}

/// What one exchange came to.
enum Exchanged {
    Served { questions: u64 },
    TokenUnknown,
}

impl<'a> Caller<'a> {
    fn new(stage: &'a Stage, number: u32) -> Self {
        let conf_token = stage.conf_token();
        let mut call = stage.traffic.call.clone();
        call.set_conf_token(conf_token);
        Self {
            stage,
            connection: None,
            call,
            id: number << 22,
            conf_token,
        }
    }

    /// One call; returns how many questions were answered in it.
    async fn call(&mut self) -> Result<u64, Failure> {
        let outcome = self.try_call().await;
        if let Err(failure) = outcome
            && !failure.leaves_connection()
        {
            self.connection = None;
        }
        outcome
    }

    async fn try_call(&mut self) -> Result<u64, Failure> {
        for _ in 0..TRIES {
            match self.exchange().await? {
                Exchanged::Served { questions } => return Ok(questions),
                Exchanged::TokenUnknown => self.renew_token().await?,
            }
        }
        Err(Failure::ConfTokenNotFound)
    }

    async fn renew_token(&mut self) -> Result<(), Failure> {
        let renewed = self.stage.prepare_anew(self.conf_token).await;
        renewed.map_err(|_| Failure::ConfTokenNotFound)?;
        self.conf_token = self.stage.conf_token();
        self.call.set_conf_token(self.conf_token);
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Exchanged, Failure> {
        self.id = self.id.wrapping_add(1);
        self.call.set_id(self.id);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let opened = Connection::open(&self.stage.socket).await;
                none.insert(opened.map_err(|_| Failure::Refused)?)
            }
        };
        connection.send(self.call.frame()).await?;
        let mut questions = 0;
        loop {
            let received = connection.receive().await?;
            if received.rpc_type == RpcType::ExtraInfo.byte() {
                let Reply::ExtraInfo(asked) = decode(&received)? else {
                    return Err(Failure::Malformed);
                };
                connection
                    .send(self.stage.traffic.answers.to(&asked))
                    .await?;
                questions += 1;
                continue;
            }
            let outcome = judge(self.stage, &received, self.id);
            return match connection.has_surplus() {
                true => Err(Failure::Surplus),
                false => outcome.map(|known| match known {
                    true => Exchanged::Served { questions },
                    false => Exchanged::TokenUnknown,
                }),
            };
        }
    }
}

/// Whether the runner served the call, or did not know the token.
fn judge(stage: &Stage, received: &Received<'_>, id: u32) -> Result<bool, Failure> {
    if received.rpc_type == RpcType::Error.byte() {
        return refusal(received);
    }
    if received.rpc_type != RpcType::HttpReqCall.byte() {
        return Err(Failure::UnexpectedType);
    }
    if let Some(first) = stage.first_reply()
        && first.payload.is_repeated_by(received.payload, id)
    {
        return Ok(true);
    }
    judge_closely(stage, received, id)
}

/// A reply may say the same in other words: the order of its headers is free.
fn judge_closely(stage: &Stage, received: &Received<'_>, id: u32) -> Result<bool, Failure> {
    let Reply::HttpReqCall { id: echo, action } = decode(received)? else {
        return Err(Failure::UnexpectedType);
    };
    if echo != id {
        return Err(Failure::WrongId);
    }
    let action = match action {
        HttpAction::None => "none",
        HttpAction::Stop { .. } => "stop",
        HttpAction::Rewrite { .. } => "rewrite",
    };
    let first = match stage.first_reply() {
        Some(first) => first,
        None => stage.first_reply_or(FirstReply {
            payload: RepeatedReply::new(received.payload).map_err(|_| Failure::Malformed)?,
            action,
            length: frame::HEADER_LEN + received.payload.len(),
        }),
    };
    match first.action == action {
        true => Ok(true),
        false => Err(Failure::OtherAction),
    }
}

fn refusal(received: &Received<'_>) -> Result<bool, Failure> {
    let Reply::Error(code) = decode(received)? else {
        return Err(Failure::Malformed);
    };
    match Code::from_byte(code) {
        Some(Code::ConfTokenNotFound) => Ok(false),
        Some(Code::ServiceUnavailable) => Err(Failure::ServiceUnavailable),
        Some(Code::BadRequest) => Err(Failure::BadRequest),
        None => Err(Failure::UnknownCode),
    }
}

fn decode(received: &Received<'_>) -> Result<Reply, Failure> {
    let frame = Frame {
        rpc_type: received.rpc_type,
        payload: received.payload.to_vec().into(),
    };
    if frame.known_type().is_none() {
        return Err(Failure::UnexpectedType);
    }
    decode_reply(frame).map_err(|_| Failure::Malformed)
}
