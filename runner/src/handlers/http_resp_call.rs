//! `HTTPRespCall`: a response on its way to the client.

use std::sync::Arc;

use protocol::http_resp_call::Req;
use sandbox::{Gateway, ResponseCall};

use super::{CallContext, Outcome};
use crate::after_chain;
use crate::error_reply::CallError;
use crate::translate::from_wire::ReceivedResponse;

/// Serves one response.
///
/// # Errors
/// [`CallError`]; the response does not reach the client.
pub async fn handle(context: &CallContext<'_>, response: Req) -> Result<Outcome, CallError> {
    let chain = context.chain(response.conf_token())?;
    let gateway = Arc::clone(context.link) as Arc<dyn Gateway>;
    let call = ResponseCall::new(Arc::new(ReceivedResponse::new(response)), gateway);
    let mut call = chain.on_response(Box::new(call)).await?;
    let filler = after_chain::response::complete(&mut call, context.gateway_time).await?;
    Ok(Outcome::Response { call, filler })
}
