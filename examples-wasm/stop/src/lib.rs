//! Answers every request itself: what the sample of the same name does in the
//! Python runner.

use guest_sdk::{Failure, Filter, Request, RequestFilter, StopResponse, Verdict};

struct Stop;

impl Filter for Stop {
    fn configure(_text: &str) -> Result<Self, Failure> {
        Ok(Stop)
    }
}

impl RequestFilter for Stop {
    fn on_request(&self, _request: &mut Request) -> Result<Verdict, Failure> {
        Ok(StopResponse::new(201)
            .header("X-Resp-A6-Runner", "Python")
            .body("Hello, Python Runner of APISIX")
            .into())
    }
}

guest_sdk::export_request_filter!(Stop);

#[cfg(test)]
mod tests {
    use super::Stop;
    use guest_sdk::StopResponse;
    use guest_sdk::testing::{FakeRequest, run_request};

    #[test]
    fn every_request_gets_the_same_answer() {
        let outcome = run_request::<Stop>("any text", FakeRequest::new("POST", "/"));
        let expected = StopResponse::new(201)
            .header("X-Resp-A6-Runner", "Python")
            .body("Hello, Python Runner of APISIX");
        assert_eq!(outcome.stopped(), &expected);
    }
}
