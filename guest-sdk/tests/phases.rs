//! A value on its way from the request phase to the response phase, as
//! docs/phases.md shows it.

use guest_sdk::testing::{FakeRequest, FakeResponse, run_request, run_response};
use guest_sdk::{
    Failure, Filter, Request, RequestFilter, Response, ResponseFilter, Verdict, variables,
};

struct Plan {
    plan: String,
}

impl Filter for Plan {
    fn configure(text: &str) -> Result<Self, Failure> {
        Ok(Plan {
            plan: text.to_owned(),
        })
    }
}

impl RequestFilter for Plan {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        // The upstream sees the header as well.
        request.set_header("X-Plan", &self.plan)?;
        Ok(Verdict::Next)
    }
}

impl ResponseFilter for Plan {
    fn on_response(&self, response: &mut Response) -> Result<(), Failure> {
        if let Some(plan) = variables::get("http_x_plan")? {
            response.set_header("X-Plan", &plan)?;
        }
        Ok(())
    }
}

#[test]
fn a_value_should_survive_in_the_request() {
    let outcome = run_request::<Plan>("gold", FakeRequest::new("GET", "/"));
    let plan = outcome.passed().header("x-plan").expect("set");
    let response = FakeResponse::new(200).variable("http_x_plan", &plan);
    let outcome = run_response::<Plan>("gold", response);
    assert_eq!(outcome.passed().header("x-plan").as_deref(), Some("gold"));
}
