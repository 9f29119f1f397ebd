//! A call from its token to its reply: prepare, ask, answer questions, retry.
//!
//! Must not know what a reply does to a request or a response.

use std::sync::PoisonError;

use protocol::gateway_side::{
    Asked, HttpAction, PrepareConf, Reply, ReplyError, decode_error_code, decode_reply,
    encode_answer,
};
use protocol::{EncodeError, Entry, Frame, FrameBuilder, RpcType};

use super::connection::Connection;
use super::{Fault, RouteConf, TestGateway};

/// How often the gateway tries while the runner does not know the token.
const TRIES: usize = 3;

/// The gateway's answer to a question; `None` for "there is no such thing".
pub(super) type Answer<'a> = dyn FnMut(&Asked) -> Option<Vec<u8>> + 'a;

/// Writes a call with the id and the token it is given.
pub(super) type Encode<'a> =
    dyn Fn(&mut FrameBuilder, u32, u32) -> Result<Vec<u8>, EncodeError> + 'a;

impl TestGateway {
    /// The runner's reply to a call, or the fault that ended the last try.
    /// Every fault on the way is added to `faults`.
    pub(super) fn call(
        &self,
        route: &RouteConf,
        encode: &Encode<'_>,
        answer: &mut Answer<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<Reply, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let result = self.try_call(route, encode, answer, faults);
            let Err(fault) = result else { return result };
            faults.push(fault.clone());
            if !fault.asks_for_retry() {
                return Err(fault);
            }
            self.flush_tokens();
            if tries == TRIES {
                return Err(fault);
            }
        }
    }

    fn try_call(
        &self,
        route: &RouteConf,
        encode: &Encode<'_>,
        answer: &mut Answer<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<Reply, Fault> {
        // Opened first and silent until the token is there.
        let mut connection = self.connect(faults)?;
        let token = self.token(route, faults)?;
        let call = encode(&mut FrameBuilder::new(), self.next_id(), token);
        let call = call.map_err(|_| Fault::TooLarge)?;
        let reply = converse(&mut connection, &call, answer)?;
        self.keep(connection, faults);
        Ok(reply)
    }

    /// The route's token, from the cache or over a second connection.
    fn token(&self, route: &RouteConf, faults: &mut Vec<Fault>) -> Result<u32, Fault> {
        let cached = || self.state().tokens.get(&route.key).copied();
        if let Some(token) = cached() {
            return Ok(token);
        }
        let _one_at_a_time = self
            .preparing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = cached() {
            return Ok(token);
        }
        let mut connection = self.connect(faults)?;
        let token = prepare(&mut connection, route)?;
        self.keep(connection, faults);
        self.state().tokens.insert(route.key.clone(), token);
        Ok(token)
    }
}

fn prepare(connection: &mut Connection, route: &RouteConf) -> Result<u32, Fault> {
    let conf: Vec<_> = route
        .plugins
        .iter()
        .map(|(name, conf)| Entry::new(name, conf))
        .collect();
    let call = PrepareConf {
        key: Some(route.key.as_bytes()),
        conf: &conf,
    };
    let mut frame = FrameBuilder::new();
    connection.send(call.encode(&mut frame).map_err(|_| Fault::TooLarge)?)?;
    match reply_to(RpcType::PrepareConf, connection.receive()?)? {
        Reply::PrepareConf { conf_token } => Ok(conf_token),
        other => Err(unexpected(RpcType::PrepareConf, &other)),
    }
}

/// Sends a call and answers questions until its reply comes.
fn converse(
    connection: &mut Connection,
    call: &[u8],
    answer: &mut Answer<'_>,
) -> Result<Reply, Fault> {
    let rpc_type = RpcType::from_byte(call[0]).unwrap_or(RpcType::Error);
    connection.send(call)?;
    loop {
        match reply_to(rpc_type, connection.receive()?)? {
            Reply::ExtraInfo(asked) => {
                let mut frame = FrameBuilder::new();
                let bytes = answer(&asked);
                let sent = encode_answer(&mut frame, bytes.as_deref());
                connection.send(sent.map_err(|_| Fault::TooLarge)?)?;
            }
            reply => return Ok(reply),
        }
    }
}

/// Reads a frame as the gateway reads it inside a call of `rpc_type`.
fn reply_to(rpc_type: RpcType, frame: Frame) -> Result<Reply, Fault> {
    let (reply_type, payload) = (frame.rpc_type, frame.payload.clone());
    match decode_reply(frame) {
        Ok(Reply::Error(code)) => Err(Fault::Refused(code)),
        Ok(Reply::ExtraInfo(asked)) if rpc_type != RpcType::PrepareConf => {
            Ok(Reply::ExtraInfo(asked))
        }
        Ok(reply) if reply_type == rpc_type.byte() => Ok(reply),
        Ok(other) => Err(unexpected(rpc_type, &other)),
        Err(ReplyError::Payload(_)) if reply_type == rpc_type.byte() && carries_edits(rpc_type) => {
            // Is it an error in disguise? To the gateway it has no action.
            Err(match decode_error_code(payload) {
                Ok(code) => Fault::ErrorInsideReply(code),
                Err(error) => Fault::Reply(error.into()),
            })
        }
        Err(ReplyError::UnknownType(reply)) => Err(Fault::UnexpectedType {
            call: rpc_type.byte(),
            reply,
        }),
        Err(error) => Err(Fault::Reply(error)),
    }
}

fn carries_edits(rpc_type: RpcType) -> bool {
    matches!(rpc_type, RpcType::HttpReqCall | RpcType::HttpRespCall)
}

fn unexpected(call: RpcType, reply: &Reply) -> Fault {
    let reply = match reply {
        Reply::Error(_) => RpcType::Error,
        Reply::PrepareConf { .. } => RpcType::PrepareConf,
        Reply::HttpReqCall { .. } => RpcType::HttpReqCall,
        Reply::ExtraInfo(_) => RpcType::ExtraInfo,
        Reply::HttpRespCall { .. } => RpcType::HttpRespCall,
    };
    Fault::UnexpectedType {
        call: call.byte(),
        reply: reply.byte(),
    }
}

/// The action of a reply to a call of type 2.
pub(super) fn action_of(reply: Reply) -> HttpAction {
    match reply {
        Reply::HttpReqCall { action, .. } => action,
        _ => HttpAction::None,
    }
}
