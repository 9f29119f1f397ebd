//! RPC type 3: what the runner asks the gateway while a call is open, and the
//! answer, which comes back on the same connection.
//!
//! Must not know who asks and why.

use bytes::Bytes;

use crate::frame_builder::Floor;
use crate::reader::Table;
use crate::wire::a6::extra_info as wire;
use crate::{DecodeError, EncodeError, FrameBuilder, RpcType};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question<'a> {
    /// A variable of the gateway by name, since APISIX 2.9. The answer is
    /// absent if there is no such variable.
    Var(&'a [u8]),
    /// The whole body of the request, since APISIX 2.12; absent if it has none.
    ReqBody,
    /// The whole body of the response, since APISIX 3.0 and only inside a call
    /// of type 4. The gateway hands it out once: the second answer is absent.
    RespBody,
}

/// The question's frame.
///
/// # Errors
/// [`EncodeError::TooLarge`] for a variable name that no frame can carry.
pub fn encode_question<'b>(
    frame: &'b mut FrameBuilder,
    question: Question<'_>,
) -> Result<&'b [u8], EncodeError> {
    let name = if let Question::Var(name) = question {
        Some(name)
    } else {
        None
    };
    frame.begin(Floor::default().bytes(name))?;
    let name = frame.bytes(name);
    let tables = frame.tables();
    let (info_type, info) = match question {
        Question::Var(_) => {
            let var = wire::Var::create(tables, &wire::VarArgs { name });
            (wire::Info::Var, var.as_union_value())
        }
        Question::ReqBody => {
            let body = wire::ReqBody::create(tables, &wire::ReqBodyArgs {});
            (wire::Info::ReqBody, body.as_union_value())
        }
        Question::RespBody => {
            let body = wire::RespBody::create(tables, &wire::RespBodyArgs {});
            (wire::Info::RespBody, body.as_union_value())
        }
    };
    let request = wire::Req::create(
        tables,
        &wire::ReqArgs {
            info_type,
            info: Some(info),
        },
    );
    frame.finish(RpcType::ExtraInfo, request)
}

/// The answer in the payload of a frame of type 3. `None`: there is no such
/// thing. An empty answer is something else. The bytes are the payload's own.
///
/// # Errors
/// [`DecodeError`] if the payload is not an `ExtraInfo.Resp`.
pub fn decode_answer(payload: Bytes) -> Result<Option<Bytes>, DecodeError> {
    let invalid = |fault| DecodeError::new("ExtraInfo.Resp", fault);
    let place = Table::root(&payload)
        .and_then(|answer| answer.place(0))
        .map_err(invalid)?;
    Ok(place.map(|(start, end)| payload.slice(start..end)))
}
