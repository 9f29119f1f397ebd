//! Sends every request to one path, with a header and a query argument added:
//! what the sample of the same name does in the Python runner.

use guest_sdk::{Failure, Filter, Request, RequestFilter, Verdict};

struct Rewrite;

impl Filter for Rewrite {
    fn configure(_text: &str) -> Result<Self, Failure> {
        Ok(Rewrite)
    }
}

impl RequestFilter for Rewrite {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        request.set_path("/a6/python/runner")?;
        request.set_header("X-Resp-A6-Runner", "Python")?;
        request.set_arg("a6_runner", "Python")?;
        Ok(Verdict::Next)
    }
}

guest_sdk::export_request_filter!(Rewrite);

#[cfg(test)]
mod tests {
    use super::Rewrite;
    use guest_sdk::testing::{FakeRequest, run_request};

    #[test]
    fn path_header_and_argument_are_set_and_the_rest_is_kept() {
        let request = FakeRequest::new("GET", "/get")
            .header("accept", "*/*")
            .header("x-resp-a6-runner", "Go")
            .arg("a", "1");
        let outcome = run_request::<Rewrite>("any text", request);
        let sent = outcome.passed();
        assert_eq!(sent.path(), "/a6/python/runner");
        assert_eq!(sent.header_values("X-Resp-A6-Runner"), ["Python"]);
        assert_eq!(sent.header_values("Accept"), ["*/*"]);
        assert_eq!(sent.query(), "a=1&a6_runner=Python");
    }
}
