//! The filter: sets a header on every request, writes the argument `lang` in
//! lower case, stops what is denied, and marks the response.

use guest_sdk::{
    Failure, Filter, Request, RequestFilter, Response, ResponseFilter, StopResponse, Verdict, log,
};
use serde::Deserialize;

/// What a route says about this filter.
#[derive(Deserialize)]
struct MyFilter {
    /// The name of the header to set.
    header: String,
    /// What to set it to.
    value: String,
    /// Requests whose path begins with this are stopped.
    #[serde(default)]
    deny: String,
}

impl Filter for MyFilter {
    /// Called once for each configuration. An error is the reason why it cannot
    /// be used: it is logged, and every call with it fails.
    fn configure(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            Failure::new(format!(
                "expected JSON with the texts header, value and, if you like, deny: {error}"
            ))
        })
    }
}

impl RequestFilter for MyFilter {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        let path = request.path()?;
        if !self.deny.is_empty() && path.starts_with(&self.deny) {
            return Ok(StopResponse::new(403)
                .header("content-type", "text/plain")
                .body([&path, " is not for you\n"].concat())
                .into());
        }
        request.set_header(&self.header, &self.value)?;
        if let Some(lang) = request.arg("lang")?.and_then(|arg| arg.value) {
            request.set_arg("lang", &lang.to_ascii_lowercase())?;
        }
        log::info!("passed {path}");
        Ok(Verdict::Next)
    }
}

impl ResponseFilter for MyFilter {
    fn on_response(&self, response: &mut Response) -> Result<(), Failure> {
        response.set_header("x-filtered", &self.value)?;
        Ok(())
    }
}

guest_sdk::export_filter!(MyFilter);

/// Tests that run natively, against a fake host. `runner test .` runs cases.yaml
/// against the component.
#[cfg(test)]
mod tests {
    use super::MyFilter;
    use guest_sdk::testing::{FakeRequest, run_request};

    const CONFIGURATION: &str = r#"{"header": "x-team", "value": "blue", "deny": "/admin"}"#;

    #[test]
    fn the_header_and_the_language_are_set() {
        let request = FakeRequest::new("GET", "/hello").arg("lang", "EN");
        let outcome = run_request::<MyFilter>(CONFIGURATION, request);
        let sent = outcome.passed();
        assert_eq!(sent.header("x-team").as_deref(), Some("blue"));
        assert_eq!(sent.query(), "lang=en");
    }

    #[test]
    fn what_is_denied_is_stopped() {
        let request = FakeRequest::new("GET", "/admin/users");
        let outcome = run_request::<MyFilter>(CONFIGURATION, request);
        assert_eq!(outcome.stopped().status, 403);
    }
}
