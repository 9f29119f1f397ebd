//! Sends the requests that its configuration names, one after the other, and
//! answers with what came of each, a line for each: `200 TEXT`, `302 LOCATION` or
//! `denied: WHY`. For tests.

mod attempts;

use attempts::{Attempt, told};
use guest_sdk::http::{Error, Outgoing};
use guest_sdk::{Failure, Filter, Request, RequestFilter, StopResponse, Verdict};

struct Fetch(Vec<Attempt>);

impl Filter for Fetch {
    fn configure(text: &str) -> Result<Self, Failure> {
        Ok(Fetch(Attempt::all(text)?))
    }
}

impl RequestFilter for Fetch {
    fn on_request(&self, _: &mut Request) -> Result<Verdict, Failure> {
        let line = |attempt| send(attempt).unwrap_or_else(|error| error.to_string());
        let lines: Vec<String> = self.0.iter().map(line).collect();
        Ok(StopResponse::new(200).body(lines.join("\n")).into())
    }
}

fn send(attempt: &Attempt) -> Result<String, Error> {
    let mut request = Outgoing::new(&attempt.method, &attempt.url);
    for (name, value) in &attempt.headers {
        request = request.header(name, value);
    }
    request.body = attempt.body.clone().map(String::into_bytes);
    request.timeout_ms = attempt.timeout_ms;
    let answer = request.send()?;
    Ok(told(answer.status, answer.header("location"), &answer.body))
}

guest_sdk::export_request_filter!(Fetch);

#[cfg(test)]
mod tests {
    use super::Fetch;
    use guest_sdk::http::Error;
    use guest_sdk::testing::{FakeRequest, run_request};

    #[test]
    fn each_request_should_get_its_line() {
        let request = FakeRequest::new("GET", "/")
            .http("http://a.test/", 200, "a")
            .http_error("http://b.test/", Error::Denied("not b".into()));
        let first = "GET\thttp://a.test/\theader x-of me\tbody of it\ttimeout 7";
        let text = [first, "GET\thttp://b.test/"].join("\n");
        let outcome = run_request::<Fetch>(&text, request);
        assert_eq!(outcome.stopped().body, b"200 a\ndenied: not b");
        let sent = &outcome.sent[0];
        assert_eq!(
            (sent.headers[0].name.as_str(), sent.timeout_ms),
            ("x-of", Some(7))
        );
        assert_eq!(sent.body.as_deref(), Some(&b"of it"[..]));
    }

    #[test]
    fn a_configuration_that_is_no_request_should_be_refused() {
        for text in [
            "GET",
            "GET\thttp://a.test/\tcookie a",
            "GET\tx\ttimeout soon",
        ] {
            run_request::<Fetch>(text, FakeRequest::new("GET", "/")).failed();
        }
    }
}
