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
