//! RPC type 4: a response on its way to the client.
//!
//! Must not know which headers a good reply keeps.

use bytes::Bytes;

use crate::entry::check_names;
use crate::frame_builder::Floor;
use crate::payload::{Payload, Root};
use crate::wire::a6::httpresp_call as wire;
use crate::{DecodeError, EncodeError, Entries, Entry, FrameBuilder, RpcType};

pub(crate) struct ReqRoot;

impl Root for ReqRoot {
    type View<'a> = wire::Req<'a>;
    const NAME: &'static str = "HTTPRespCall.Req";
}

/// A verified `HTTPRespCall.Req`: the upstream's response without its body,
/// which must be asked for. Method, path and request headers are not in it.
#[derive(Debug, Clone)]
pub struct Req(Payload<ReqRoot>);

impl Req {
    /// Checks the payload of a frame of type 4.
    ///
    /// # Errors
    /// [`DecodeError`] if it is anything else.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        Payload::verify(payload).map(Self)
    }

    /// The number the gateway gave this call. Any, also 0.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.root().id()
    }

    /// The upstream's status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.root().status()
    }

    /// The upstream's headers, names in the case in which it sent them.
    #[must_use]
    pub fn headers(&self) -> Entries<'_> {
        Entries::new(self.0.root().headers())
    }

    /// What `PrepareConf` answered for this route.
    #[must_use]
    pub fn conf_token(&self) -> u32 {
        self.0.root().conf_token()
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
