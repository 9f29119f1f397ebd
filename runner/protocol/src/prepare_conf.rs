//! RPC type 1: the gateway hands over a list of plugins with their
//! configuration and gets a token to name it by.
//!
//! Must not know what a plugin is, nor how long a token lives.

use std::fmt;

use bytes::Bytes;

use crate::frame_builder::Floor;
use crate::reader::{Budget, Fault, List, Place, Table, at_place};
use crate::wire::a6::prepare_conf as wire;
use crate::{DecodeError, EncodeError, Entries, FrameBuilder, RpcType};

/// A decoded `PrepareConf.Req`. It owns its bytes and is read in place.
#[derive(Clone)]
pub struct Req {
    payload: Bytes,
    conf: List,
    key: Place,
}

impl Req {
    /// Checks the payload of a frame of type 1.
    ///
    /// # Errors
    /// [`DecodeError`] if it is anything else.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let invalid = |fault| DecodeError::new("PrepareConf.Req", fault);
        Self::read(payload).map_err(invalid)
    }

    /// The slots of `schema/ext-plugin.fbs`.
    fn read(payload: Bytes) -> Result<Self, Fault> {
        let (table, mut budget) = (Table::root(&payload)?, Budget::of(&payload));
        Ok(Self {
            conf: table.list(0, &mut budget)?,
            key: table.place(1)?,
            payload,
        })
    }

    /// The gateway's name for this list, such as `route#1#ext-plugin-pre-req#7`.
    /// Absent before APISIX 2.9. Not an identity: after a restart the gateway
    /// may use the same key for another list.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        at_place(&self.payload, self.key)
    }

    /// Plugin names and their configuration in the order in which they run.
    /// None at all is normal: the gateway does not require `conf`.
    #[must_use]
    pub fn conf(&self) -> Entries<'_> {
        Entries::new(&self.payload, self.conf)
    }
}

/// Only the size: configurations hold secrets.
impl fmt::Debug for Req {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrepareConf.Req in {} bytes", self.payload.len())
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
