//! From a frame to the handler of its type, and from the handler's outcome to
//! exactly one reply. A panic below ends the call, not the connection.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use protocol::{Frame, FrameBuilder, RpcType};

use crate::conf_cache::ConfCache;
use crate::error_reply::{self, CallError};
use crate::gateway_link::GatewayLink;
use crate::handlers::{self, Outcome};
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
    /// The reply to something that is no frame.
    pub fn bad_request(&mut self) -> &[u8] {
        error_reply::bad_request(&mut self.error)
    }
}

/// Serves the frames of all connections.
pub struct Dispatcher {
    confs: ConfCache,
}

impl Dispatcher {
    /// A dispatcher over these configurations.
    #[must_use]
    pub fn new(confs: ConfCache) -> Self {
        Dispatcher { confs }
    }

    /// Serves one frame and returns the one reply to it.
    pub async fn dispatch<'b>(
        &self,
        tenant: &Tenant,
        frame: Frame,
        link: &Arc<GatewayLink>,
        builders: &'b mut ReplyBuilders,
    ) -> &'b [u8] {
        let handling = AssertUnwindSafe(self.handle(tenant, frame, link)).catch_unwind();
        let (id, outcome) = match handling.await {
            Ok((id, outcome)) => (id, outcome),
            Err(panic) => (None, Err(CallError::Panic(panic_text(&*panic)))),
        };
        let encoded = outcome.and_then(|outcome| {
            to_wire::encode(&mut builders.result, &outcome).map_err(CallError::Unsendable)
        });
        match encoded {
            Ok(frame) => frame,
            Err(error) => error_reply::reply(&mut builders.error, &error, id),
        }
    }

    async fn handle(
        &self,
        tenant: &Tenant,
        frame: Frame,
        link: &Arc<GatewayLink>,
    ) -> (Option<u32>, Result<Outcome, CallError>) {
        match frame.known_type() {
            Some(RpcType::PrepareConf) => (
                None,
                handlers::prepare_conf::handle(&self.confs, tenant, frame.payload),
            ),
            Some(RpcType::HttpReqCall) => {
                let link = Arc::clone(link);
                handlers::http_req_call::handle(&self.confs, tenant, frame.payload, link).await
            }
            Some(RpcType::HttpRespCall) => (None, Err(CallError::NotServed("the response phase"))),
            Some(RpcType::Error | RpcType::ExtraInfo) | None => {
                (None, Err(CallError::UnexpectedType(frame.rpc_type)))
            }
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}
