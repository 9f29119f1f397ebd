//! `HTTPReqCall`: a request on its way to the upstream.

use std::sync::Arc;

use bytes::Bytes;
use protocol::http_req_call::Req;
use sandbox::RequestCall;

use super::Outcome;
use crate::conf_cache::ConfCache;
use crate::error_reply::CallError;
use crate::gateway_link::GatewayLink;
use crate::tenant::Tenant;
use crate::translate::from_wire::ReceivedRequest;

/// Serves one payload; the call's number comes back for the log, as far as it
/// could be read.
pub async fn handle(
    confs: &ConfCache,
    tenant: &Tenant,
    payload: Bytes,
    link: Arc<GatewayLink>,
) -> (Option<u32>, Result<Outcome, CallError>) {
    let request = match Req::decode(payload) {
        Ok(request) => request,
        Err(error) => return (None, Err(error.into())),
    };
    let id = request.id();
    (Some(id), run(confs, tenant, request, link).await)
}

async fn run(
    confs: &ConfCache,
    tenant: &Tenant,
    request: Req,
    link: Arc<GatewayLink>,
) -> Result<Outcome, CallError> {
    let (id, conf_token) = (request.id(), request.conf_token());
    let chain = confs
        .chain(tenant, conf_token)
        .ok_or(CallError::UnknownToken(conf_token))?;
    let request = ReceivedRequest::new(request).map_err(CallError::Senseless)?;
    let call = RequestCall::new(Arc::new(request), link);
    let outcome = chain.on_request(call).await?;
    Ok(Outcome::Request { id, outcome })
}
