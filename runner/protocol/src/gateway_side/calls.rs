//! What the gateway sends: the three calls and the answer to a question.
//!
//! Must not know what comes back.

use crate::frame_builder::Floor;
use crate::wire::a6;
use crate::{EncodeError, Entry, FrameBuilder, RpcType};

/// A `PrepareConf.Req` to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct PrepareConf<'a> {
    /// Absent before APISIX 2.9.
    pub key: Option<&'a [u8]>,
    /// Plugins and their configuration. Empty: the field is left out, as the
    /// gateway does for a route without `conf`.
    pub conf: &'a [Entry<'a>],
}

impl PrepareConf<'_> {
    /// The whole frame.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`].
    pub fn encode<'b>(&self, frame: &'b mut FrameBuilder) -> Result<&'b [u8], EncodeError> {
        frame.begin(Floor::default().entries(self.conf).bytes(self.key))?;
        let conf = frame.entries(self.conf);
        let key = frame.bytes(self.key);
        let args = a6::prepare_conf::ReqArgs { conf, key };
        let call = a6::prepare_conf::Req::create(frame.tables(), &args);
        frame.finish(RpcType::PrepareConf, call)
    }
}

/// An `HTTPReqCall.Req` to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpReqCall<'a> {
    /// Counted by the gateway from 0.
    pub id: u32,
    /// 4 or 16 bytes in network order.
    pub src_ip: &'a [u8],
    /// An index into [`crate::http_req_call::METHODS`], or any other number.
    pub method: u8,
    /// Decoded, without the query.
    pub path: &'a [u8],
    /// Decoded, one entry per value.
    pub args: &'a [Entry<'a>],
    /// One entry per value.
    pub headers: &'a [Entry<'a>],
    /// What `PrepareConf` was answered.
    pub conf_token: u32,
}

impl HttpReqCall<'_> {
    /// The whole frame.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`].
    pub fn encode<'b>(&self, frame: &'b mut FrameBuilder) -> Result<&'b [u8], EncodeError> {
        let floor = Floor::default().entries(self.args).entries(self.headers);
        frame.begin(floor.bytes(Some(self.src_ip)).bytes(Some(self.path)))?;
        let args = a6::httpreq_call::ReqArgs {
            id: self.id,
            src_ip: frame.bytes(Some(self.src_ip)),
            method: a6::Method(self.method),
            path: frame.bytes(Some(self.path)),
            args: frame.entries(self.args),
            headers: frame.entries(self.headers),
            conf_token: self.conf_token,
        };
        let call = a6::httpreq_call::Req::create(frame.tables(), &args);
        frame.finish(RpcType::HttpReqCall, call)
    }
}

/// An `HTTPRespCall.Req` to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpRespCall<'a> {
    /// Counted by the gateway from 0.
    pub id: u32,
    /// The upstream's.
    pub status: u16,
    /// The upstream's, one entry per value.
    pub headers: &'a [Entry<'a>],
    /// What `PrepareConf` was answered.
    pub conf_token: u32,
}

impl HttpRespCall<'_> {
    /// The whole frame.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`].
    pub fn encode<'b>(&self, frame: &'b mut FrameBuilder) -> Result<&'b [u8], EncodeError> {
        frame.begin(Floor::default().entries(self.headers))?;
        let args = a6::httpresp_call::ReqArgs {
            id: self.id,
            status: self.status,
            headers: frame.entries(self.headers),
            conf_token: self.conf_token,
        };
        let call = a6::httpresp_call::Req::create(frame.tables(), &args);
        frame.finish(RpcType::HttpRespCall, call)
    }
}

/// The answer to a question of the runner. `None`: there is no such thing.
///
/// # Errors
/// [`EncodeError::TooLarge`]; the gateway closes the connection then.
pub fn encode_answer<'b>(
    frame: &'b mut FrameBuilder,
    result: Option<&[u8]>,
) -> Result<&'b [u8], EncodeError> {
    frame.begin(Floor::default().bytes(result))?;
    let result = frame.bytes(result);
    let answer = a6::extra_info::Resp::create(frame.tables(), &a6::extra_info::RespArgs { result });
    frame.finish(RpcType::ExtraInfo, answer)
}
