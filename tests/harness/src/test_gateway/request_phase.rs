//! The request phase: a call, and what the gateway does after it fails.
//! What the gateway does with a reply is `gateway_model`'s.

use gateway_model::request_phase::{self, NotSent, answer, apply, error_page};
use protocol::gateway_side::HttpAction;

use super::calls::action_of;
use super::{Fault, Observed, RouteConf, TestGateway};
use crate::{HttpOutcome, HttpRequest};

impl TestGateway {
    /// Runs the request phase of one plugin of the gateway.
    #[must_use]
    pub fn request_phase(&self, route: &RouteConf, request: &HttpRequest) -> Observed<HttpOutcome> {
        let mut faults = vec![];
        let outcome = self.filter_request(route, request, &mut faults);
        Observed { outcome, faults }
    }

    fn filter_request(
        &self,
        route: &RouteConf,
        request: &HttpRequest,
        faults: &mut Vec<Fault>,
    ) -> HttpOutcome {
        if request_phase::method(&request.method).is_err() {
            // The gateway's encoder fails; nothing is sent.
            return HttpOutcome::Client(error_page(500));
        }
        let encode = |frame: &mut protocol::FrameBuilder, id, conf_token| {
            request_phase::encode(frame, request, id, conf_token).map_err(|error| match error {
                NotSent::TooLarge(error) => error,
                NotSent::Method(_) => unreachable!("it was looked at before"),
            })
        };
        let apply = |action| apply(action, request, self.keeps_query);
        match self.call(route, &encode, &mut |asked| answer(request, asked), faults) {
            Ok(reply) => apply(action_of(reply)),
            Err(fault) if fault.passes_unfiltered() => apply(HttpAction::None),
            Err(fault) if fault.breaks_the_gateway() => HttpOutcome::Client(error_page(500)),
            Err(_) if route.allow_degradation => apply(HttpAction::None),
            Err(_) => HttpOutcome::Client(error_page(503)),
        }
    }
}
