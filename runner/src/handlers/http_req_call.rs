//! `HTTPReqCall`: a request on its way to the upstream.

use std::sync::Arc;

use protocol::http_req_call::Req;
use sandbox::{Gateway, RequestCall};

use super::{CallContext, Outcome};
use crate::after_chain;
use crate::error_reply::CallError;
use crate::filter_chain::Passage;
use crate::translate::from_wire::ReceivedRequest;

/// Serves one request.
///
/// # Errors
/// [`CallError`]; the request does not go on.
pub async fn handle(context: &CallContext<'_>, request: Req) -> Result<Outcome, CallError> {
    let id = request.id();
    let chain = context.chain(request.conf_token())?;
    let request = ReceivedRequest::new(request).map_err(CallError::Senseless)?;
    let gateway = Arc::clone(context.link) as Arc<dyn Gateway>;
    let call = Box::new(RequestCall::new(Arc::new(request), gateway));
    match chain.on_request(call).await? {
        Passage::Through(mut call) => {
            after_chain::request::complete(&mut call, context.gateway_time).await?;
            Ok(Outcome::Pass {
                id,
                edits: std::mem::take(call.edits_mut()),
            })
        }
        Passage::Stopped(response) => Ok(Outcome::Stop { id, response }),
    }
}
