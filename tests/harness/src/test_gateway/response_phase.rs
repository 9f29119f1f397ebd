//! The response phase: a call, how often the upstream is called for it, and
//! what the gateway does after it fails. What it does with a reply is
//! `gateway_model`'s.

use gateway_model::request_phase::error_page;
use gateway_model::response_phase::{
    self, Answers, Filtered, bare, edited, has_no_body, lower_cased,
};
use protocol::gateway_side::Reply;

use super::{Fault, Observed, RouteConf, TestGateway};
use crate::{ClientResponse, HttpRequest, UpstreamResponse};

/// What the client got, and at what price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseOutcome {
    /// What the client sees.
    pub response: ClientResponse,
    /// 1, or 2 where the gateway falls through to an ordinary proxied request
    /// because it has printed nothing.
    pub upstream_calls: usize,
}

impl TestGateway {
    /// Calls the upstream and runs the response phase.
    #[must_use]
    pub fn response_phase(
        &self,
        route: &RouteConf,
        request: &HttpRequest,
        upstream: &mut dyn FnMut() -> UpstreamResponse,
    ) -> Observed<ResponseOutcome> {
        let mut faults = vec![];
        let first = upstream();
        let response = self.filter_response(route, request, &first, &mut faults);
        let falls_through = response.falls_through(request, &first);
        let mut outcome = ResponseOutcome {
            response: response.sent(request),
            upstream_calls: 1,
        };
        if falls_through {
            outcome.upstream_calls = 2;
            outcome
                .response
                .headers
                .extend(lower_cased(&upstream().headers));
        }
        faults.extend(broken_length(request, &outcome.response));
        Observed { outcome, faults }
    }

    fn filter_response(
        &self,
        route: &RouteConf,
        request: &HttpRequest,
        upstream: &UpstreamResponse,
        faults: &mut Vec<Fault>,
    ) -> Filtered {
        let encode = |frame: &mut protocol::FrameBuilder, id, conf_token| {
            response_phase::encode(frame, upstream, id, conf_token)
        };
        let mut answers = Answers::new(request, upstream);
        match self.call(route, &encode, &mut |asked| answers.answer(asked), faults) {
            Ok(Reply::HttpRespCall {
                status,
                headers,
                body,
                ..
            }) => edited(upstream, status, &headers, body.unwrap_or_default()),
            Ok(_) => edited(upstream, 0, &[], vec![]),
            Err(fault) if fault.passes_unfiltered() => edited(upstream, 0, &[], vec![]),
            Err(fault) if fault.breaks_the_gateway() => error_page(500).into(),
            Err(_) if route.allow_degradation => bare(upstream.status, upstream),
            // The gateway has the upstream's body in its hands and prints it.
            Err(_) => bare(503, upstream),
        }
    }
}

/// An echoed `content-length` that is not the body's.
fn broken_length(request: &HttpRequest, response: &ClientResponse) -> Option<Fault> {
    if has_no_body(request, response.status) {
        return None;
    }
    let announced = response.header("content-length").pop()?;
    let announced = std::str::from_utf8(announced).ok()?.parse().ok()?;
    let sent = response.body.len();
    (announced != sent).then_some(Fault::BrokenLength { announced, sent })
}
