//! What `fetch` does, through `wasi:http`, as filters do that were made with
//! other tools than ours. For tests.

#[path = "../../fetch/src/attempts.rs"]
mod attempts;
#[cfg(target_arch = "wasm32")]
mod sending;

use attempts::Attempt;
use guest_sdk::{Failure, Filter, Request, RequestFilter, StopResponse, Verdict};

/// There is nothing to send with outside of WebAssembly.
#[cfg(not(target_arch = "wasm32"))]
mod sending {
    use super::attempts::{Attempt, told};

    pub(crate) fn send(attempt: &Attempt) -> Result<String, String> {
        let headers = attempt.headers.len();
        let _ = (&attempt.method, &attempt.body, attempt.timeout_ms, headers);
        Ok(told(501, None, attempt.url.as_bytes()))
    }
}

struct Fetch(Vec<Attempt>);

impl Filter for Fetch {
    fn configure(text: &str) -> Result<Self, Failure> {
        Ok(Fetch(Attempt::all(text)?))
    }
}

impl RequestFilter for Fetch {
    fn on_request(&self, _: &mut Request) -> Result<Verdict, Failure> {
        let line = |attempt| sending::send(attempt).unwrap_or_else(|error| error);
        let lines: Vec<String> = self.0.iter().map(line).collect();
        Ok(StopResponse::new(200).body(lines.join("\n")).into())
    }
}

guest_sdk::export_request_filter!(Fetch);
