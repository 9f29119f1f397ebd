//! From a frame to the handler of its type, and from the handler's outcome to
//! exactly one reply. A panic below ends the call, not the connection.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use protocol::err_resp::Code;
use protocol::{Frame, FrameBuilder, RpcType, http_req_call, http_resp_call};

use crate::conf_cache::ConfCache;
use crate::error_reply::{self, CallError};
use crate::gateway_link::GatewayLink;
use crate::handlers::{self, CallContext, Outcome};
use crate::metrics::{FrameKind, Metrics, ReplyKind};
use crate::tenant::Tenant;
use crate::translate::to_wire;

/// What replies are written into, one per connection. Two, because the reply
/// to a failed encoding is written while the failed one is still borrowed.
#[derive(Debug, Default)]
pub struct ReplyBuilders {
    result: FrameBuilder,
    error: FrameBuilder,
}

impl ReplyBuilders {
    /// Gives back the memory of a large reply that was sent.
    pub fn trim(&mut self) {
        self.result.trim();
    }
}

/// Serves the frames of all connections of a tenant.
pub struct Dispatcher {
    tenant: Tenant,
    confs: Arc<ConfCache>,
    gateway_time: Duration,
    metrics: Arc<Metrics>,
}

impl Dispatcher {
    /// A dispatcher over these configurations. `gateway_time` is how long a
    /// call may wait for the gateway.
    #[must_use]
    pub fn new(
        tenant: Tenant,
        confs: Arc<ConfCache>,
        gateway_time: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Dispatcher {
            tenant,
            confs,
            gateway_time,
            metrics,
        }
    }

    /// The configurations.
    pub fn confs(&self) -> &ConfCache {
        &self.confs
    }

    /// What came is no frame.
    pub fn refuse<'b>(&self, builders: &'b mut ReplyBuilders) -> &'b [u8] {
        self.metrics
            .replied(FrameKind::Other, ReplyKind::BadRequest);
        error_reply::bad_request(&mut builders.error)
    }

    /// Serves one frame and returns the one reply to it. When `cut` is done
    /// first, the call ends with that error: a reply in time is worth more than
    /// the right one too late, since without any the gateway may send what a
    /// filter was there to keep back.
    pub async fn dispatch<'b>(
        &self,
        frame: Frame,
        link: &Arc<GatewayLink>,
        builders: &'b mut ReplyBuilders,
        cut: impl Future<Output = CallError>,
    ) -> &'b [u8] {
        let phase = frame.known_type();
        let mut id = None;
        let context = CallContext {
            confs: &self.confs,
            tenant: &self.tenant,
            link,
            gateway_time: self.gateway_time,
        };
        let handling = AssertUnwindSafe(handle(&context, frame, &mut id)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            handled = handling => {
                handled.unwrap_or_else(|panic| Err(CallError::Panic(panic_text(&*panic))))
            }
            error = cut => Err(error),
        };
        let encoded = outcome.and_then(|outcome| encode(&mut builders.result, &outcome));
        let kind = encoded.as_ref().map_or_else(reply_kind, |_| ReplyKind::Ok);
        self.metrics.replied(frame_kind(phase), kind);
        match encoded {
            Ok(frame) => frame,
            Err(error) => error_reply::reply(&mut builders.error, &error, phase, id),
        }
    }
}

/// Serves one frame; puts the call's number, once known, where the log finds
/// it.
async fn handle(
    context: &CallContext<'_>,
    frame: Frame,
    id: &mut Option<u32>,
) -> Result<Outcome, CallError> {
    match frame.known_type() {
        Some(RpcType::PrepareConf) => handlers::prepare_conf::handle(context, frame.payload),
        Some(RpcType::HttpReqCall) => {
            let request = http_req_call::Req::decode(frame.payload)?;
            *id = Some(request.id());
            handlers::http_req_call::handle(context, request).await
        }
        Some(RpcType::HttpRespCall) => {
            let response = http_resp_call::Req::decode(frame.payload)?;
            *id = Some(response.id());
            handlers::http_resp_call::handle(context, response).await
        }
        Some(RpcType::Error | RpcType::ExtraInfo) | None => {
            Err(CallError::UnexpectedType(frame.rpc_type))
        }
    }
}

fn encode<'b>(builder: &'b mut FrameBuilder, outcome: &Outcome) -> Result<&'b [u8], CallError> {
    let encoding = AssertUnwindSafe(move || {
        // Moved in, so that what it borrows can come out.
        let builder = builder;
        to_wire::encode(builder, outcome)
    });
    match catch_unwind(encoding) {
        Ok(encoded) => encoded.map_err(CallError::Unsendable),
        Err(panic) => Err(CallError::Panic(panic_text(&*panic))),
    }
}

fn frame_kind(phase: Option<RpcType>) -> FrameKind {
    match phase {
        Some(RpcType::PrepareConf) => FrameKind::PrepareConf,
        Some(RpcType::HttpReqCall) => FrameKind::HttpReqCall,
        Some(RpcType::HttpRespCall) => FrameKind::HttpRespCall,
        Some(RpcType::Error | RpcType::ExtraInfo) | None => FrameKind::Other,
    }
}

fn reply_kind(error: &CallError) -> ReplyKind {
    match error.code() {
        Code::BadRequest => ReplyKind::BadRequest,
        Code::ServiceUnavailable => ReplyKind::Unavailable,
        Code::ConfTokenNotFound => ReplyKind::UnknownToken,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}
