//! RPC type 1: the gateway hands over a list of plugins with their
//! configuration and gets a token to name it by.
//!
//! Must not know what a plugin is, nor how long a token lives.

use bytes::Bytes;

use crate::frame_builder::Floor;
use crate::payload::{Payload, Root};
use crate::wire::a6::prepare_conf as wire;
use crate::{DecodeError, EncodeError, Entries, FrameBuilder, RpcType};

pub(crate) struct ReqRoot;

impl Root for ReqRoot {
    type View<'a> = wire::Req<'a>;
    const NAME: &'static str = "PrepareConf.Req";
}

/// A verified `PrepareConf.Req`.
#[derive(Debug, Clone)]
pub struct Req(Payload<ReqRoot>);

impl Req {
    /// Checks the payload of a frame of type 1.
    ///
    /// # Errors
    /// [`DecodeError`] if it is anything else.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        Payload::verify(payload).map(Self)
    }

    /// The gateway's name for this list, such as `route#1#ext-plugin-pre-req#7`.
    /// Absent before APISIX 2.9. Not an identity: after a restart the gateway
    /// may use the same key for another list.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.0.root().key().map(|key| key.bytes())
    }

    /// Plugin names and their configuration in the order in which they run.
    /// None at all is normal: the gateway does not require `conf`.
    #[must_use]
    pub fn conf(&self) -> Entries<'_> {
        Entries::new(self.0.root().conf())
    }
}

/// The reply: by this token later calls name the list. 0 is as good as any.
///
/// # Errors
/// None in practice: the message has a fixed size.
pub fn encode_reply(frame: &mut FrameBuilder, conf_token: u32) -> Result<&[u8], EncodeError> {
    frame.begin(Floor::default())?;
    let reply = wire::Resp::create(frame.tables(), &wire::RespArgs { conf_token });
    frame.finish(RpcType::PrepareConf, reply)
}
