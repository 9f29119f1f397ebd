//! RPC type 2: a request on its way to the upstream.
//!
//! Must not know how several edits of one request are merged.

use std::fmt;

use bytes::Bytes;
use flatbuffers::{UnionWIPOffset, WIPOffset};

use crate::entry::check_names;
use crate::frame_builder::Floor;
use crate::reader::{Budget, Fault, List, Place, Table, at_place};
use crate::wire::a6::httpreq_call as wire;
use crate::{DecodeError, EncodeError, Entries, Entry, FrameBuilder, RpcType};

/// The methods of the schema by number. The gateway answers a request with any
/// other method with a 500 of its own and never sends it.
pub const METHODS: [&str; 15] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "MKCOL",
    "COPY",
    "MOVE",
    "OPTIONS",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
    "PATCH",
    "TRACE",
];

/// A decoded `HTTPReqCall.Req`: the request without its body, which must be
/// asked for. It owns its bytes and is read in place.
#[derive(Clone)]
pub struct Req {
    payload: Bytes,
    id: u32,
    conf_token: u32,
    method: u8,
    src_ip: Place,
    path: Place,
    args: List,
    headers: List,
}

impl Req {
    /// Checks the payload of a frame of type 2.
    ///
    /// # Errors
    /// [`DecodeError`] if it is anything else.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let invalid = |fault| DecodeError::new("HTTPReqCall.Req", fault);
        Self::read(payload).map_err(invalid)
    }

    /// The slots of `schema/ext-plugin.fbs`.
    fn read(payload: Bytes) -> Result<Self, Fault> {
        let (table, mut budget) = (Table::root(&payload)?, Budget::of(&payload));
        Ok(Self {
            id: table.u32(0)?,
            src_ip: table.place(1)?,
            method: table.u8(2)?,
            path: table.place(3)?,
            args: table.list(4, &mut budget)?,
            headers: table.list(5, &mut budget)?,
            conf_token: table.u32(6)?,
            payload,
        })
    }

    /// The number the gateway gave this call. Any: a worker's first call is 0.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The client's address in network order: 4 bytes, 16, or none if absent.
    #[must_use]
    pub fn src_ip(&self) -> &[u8] {
        at_place(&self.payload, self.src_ip).unwrap_or_default()
    }

    /// The method; `None` for a number that the schema does not name.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        METHODS.get(usize::from(self.method)).copied()
    }

    /// The path without the query: decoded, unless the gateway has rewritten
    /// it before this call (`proxy-rewrite`), when it is percent-encoded.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        at_place(&self.payload, self.path)
    }

    /// Decoded query arguments, one entry per value. Values of one name keep
    /// their order, the names do not.
    #[must_use]
    pub fn args(&self) -> Entries<'_> {
        Entries::new(&self.payload, self.args)
    }

    /// Request headers with lower-case names, one entry per value, a hundred
    /// at most.
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

/// Only the size: the content is a client's.
impl fmt::Debug for Req {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTPReqCall.Req in {} bytes", self.payload.len())
    }
}

/// What to do with the request.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// Let it pass as it is.
    None,
    /// Answer the client, do not call the upstream.
    Stop(&'a Stop<'a>),
    /// Change it and let it pass. With no change in it, the same as `None`.
    Rewrite(&'a Rewrite<'a>),
}

/// The answer to the client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stop<'a> {
    /// The gateway reads 0 as 200.
    pub status: u16,
    /// The first entry of a name sets it, more add to it, one without a value
    /// clears it.
    pub headers: &'a [Entry<'a>],
    /// Empty: no body, for which the gateway puts its own page from status 300.
    pub body: &'a [u8],
}

/// Changes of the request. What is absent or empty stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rewrite<'a> {
    /// Decoded and without a query: the gateway escapes `?` and `%` in it.
    pub path: Option<&'a [u8]>,
    /// An entry replaces the header (of several with one name the last one
    /// counts), one without a value removes it.
    pub headers: &'a [Entry<'a>],
    /// The first entry of a name replaces all its values, more add to them,
    /// one without a value removes the name.
    pub args: &'a [Entry<'a>],
    /// Response headers to set, since APISIX 2.13; ten names, `content-type`
    /// and `location` among them, are ignored.
    pub resp_headers: &'a [Entry<'a>],
    /// The new body, since APISIX 3.6. An empty one cannot be said.
    pub body: Option<&'a [u8]>,
}

impl Rewrite<'_> {
    fn changes_nothing(&self) -> bool {
        let lists = [self.headers, self.args, self.resp_headers];
        self.path.is_none() && self.body.is_none() && lists.iter().all(|list| list.is_empty())
    }

    fn check(&self) -> Result<(), EncodeError> {
        check_names("headers", self.headers)?;
        check_names("args", self.args)?;
        check_names("resp_headers", self.resp_headers)?;
        let removes_host =
            |e: &Entry<'_>| e.value.is_none() && e.name.eq_ignore_ascii_case(b"host");
        if self.headers.iter().any(removes_host) {
            return Err(EncodeError::HostRemoved);
        }
        if self.path.is_some_and(<[u8]>::is_empty) {
            return Err(EncodeError::EmptyPath);
        }
        if self.body.is_some_and(<[u8]>::is_empty) {
            return Err(EncodeError::EmptyBody);
        }
        Ok(())
    }
}

/// The reply to call `id`.
///
/// # Errors
/// [`EncodeError`] for what the gateway would misread or fail on, or for more
/// than a frame can carry.
pub fn encode_reply<'b>(
    frame: &'b mut FrameBuilder,
    id: u32,
    action: Action<'_>,
) -> Result<&'b [u8], EncodeError> {
    let (action_type, action) = match action {
        Action::Stop(stop) => (wire::Action::Stop, Some(write_stop(frame, stop)?)),
        Action::Rewrite(rewrite) if !rewrite.changes_nothing() => {
            (wire::Action::Rewrite, Some(write_rewrite(frame, rewrite)?))
        }
        Action::None | Action::Rewrite(_) => {
            frame.begin(Floor::default())?;
            (wire::Action::NONE, None)
        }
    };
    let reply = wire::RespArgs {
        id,
        action_type,
        action,
    };
    let reply = wire::Resp::create(frame.tables(), &reply);
    frame.finish(RpcType::HttpReqCall, reply)
}

type UnionOffset = WIPOffset<UnionWIPOffset>;

fn write_stop(frame: &mut FrameBuilder, stop: &Stop<'_>) -> Result<UnionOffset, EncodeError> {
    check_names("headers", stop.headers)?;
    let body = Some(stop.body).filter(|body| !body.is_empty());
    frame.begin(Floor::default().entries(stop.headers).bytes(body))?;
    let stop = wire::StopArgs {
        status: stop.status,
        headers: frame.entries(stop.headers),
        body: frame.bytes(body),
    };
    Ok(wire::Stop::create(frame.tables(), &stop).as_union_value())
}

fn write_rewrite(
    frame: &mut FrameBuilder,
    rewrite: &Rewrite<'_>,
) -> Result<UnionOffset, EncodeError> {
    rewrite.check()?;
    let floor = Floor::default().bytes(rewrite.path).bytes(rewrite.body);
    let floor = floor
        .entries(rewrite.headers)
        .entries(rewrite.args)
        .entries(rewrite.resp_headers);
    frame.begin(floor)?;
    let rewrite = wire::RewriteArgs {
        path: frame.bytes(rewrite.path),
        headers: frame.entries(rewrite.headers),
        args: frame.entries(rewrite.args),
        resp_headers: frame.entries(rewrite.resp_headers),
        body: frame.bytes(rewrite.body),
    };
    Ok(wire::Rewrite::create(frame.tables(), &rewrite).as_union_value())
}
