//! RPC type 4: a response on its way to the client.
//!
//! Must not know which headers a good reply keeps.

use std::fmt;

use bytes::Bytes;

use crate::entry::check_names;
use crate::frame_builder::Floor;
use crate::reader::{Budget, Fault, List, Table};
use crate::wire::a6::httpresp_call as wire;
use crate::{DecodeError, EncodeError, Entries, Entry, FrameBuilder, RpcType};

/// A decoded `HTTPRespCall.Req`: the upstream's response without its body,
/// which must be asked for. Method, path and request headers are not in it. It
/// owns its bytes and is read in place.
#[derive(Clone)]
pub struct Req {
    payload: Bytes,
    id: u32,
    conf_token: u32,
    status: u16,
    headers: List,
}

impl Req {
    /// Checks the payload of a frame of type 4.
    ///
    /// # Errors
    /// [`DecodeError`] if it is anything else.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let invalid = |fault| DecodeError::new("HTTPRespCall.Req", fault);
        Self::read(payload).map_err(invalid)
    }

    /// The slots of `schema/ext-plugin.fbs`.
    fn read(payload: Bytes) -> Result<Self, Fault> {
        let (table, mut budget) = (Table::root(&payload)?, Budget::of(&payload));
        Ok(Self {
            id: table.u32(0)?,
            status: table.u16(1)?,
            headers: table.list(2, &mut budget)?,
            conf_token: table.u32(3)?,
            payload,
        })
    }

    /// The number the gateway gave this call. Any, also 0.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The upstream's status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The upstream's headers, names in the case in which it sent them.
    #[must_use]
    pub fn headers(&self) -> Entries<'_> {
        Entries::new(&self.payload, self.headers)
    }

    /// What `PrepareConf` answered for this route.
    #[must_use]
    pub fn conf_token(&self) -> u32 {
        self.conf_token
    }
}

/// Only the size: the content is the upstream's.
impl fmt::Debug for Req {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTPRespCall.Req in {} bytes", self.payload.len())
    }
}

/// What to change of a response. The default changes nothing that can be
/// helped: see `headers`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edits<'a> {
    /// `None` keeps the upstream's status.
    pub status: Option<u16>,
    /// A complete replacement. An empty list makes the gateway copy the
    /// upstream's headers without `Content-Type`, `Location` and eight others.
    pub headers: &'a [Entry<'a>],
    /// `None` keeps the upstream's body. An empty one cannot be said.
    pub body: Option<&'a [u8]>,
}

/// The reply to call `id`.
///
/// # Errors
/// [`EncodeError`] for a header without a name, an empty body, or more than a
/// frame can carry.
pub fn encode_reply<'b>(
    frame: &'b mut FrameBuilder,
    id: u32,
    edits: &Edits<'_>,
) -> Result<&'b [u8], EncodeError> {
    check_names("headers", edits.headers)?;
    if edits.body.is_some_and(<[u8]>::is_empty) {
        return Err(EncodeError::EmptyBody);
    }
    frame.begin(Floor::default().entries(edits.headers).bytes(edits.body))?;
    let reply = wire::RespArgs {
        id,
        status: edits.status.unwrap_or_default(),
        headers: frame.entries(edits.headers),
        body: frame.bytes(edits.body),
    };
    let reply = wire::Resp::create(frame.tables(), &reply);
    frame.finish(RpcType::HttpRespCall, reply)
}
