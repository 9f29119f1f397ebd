//! Lets each client address send so many requests in a window of time, counted
//! over all calls in the store that the operator grants.
//!
//! The configuration is two numbers, `REQUESTS SECONDS`: `100 60`.

use guest_sdk::{Failure, Filter, Request, RequestFilter, StopResponse, Verdict, key_value, log};

struct RateLimit {
    requests: i64,
    window_ms: u64,
}

impl Filter for RateLimit {
    fn configure(text: &str) -> Result<Self, Failure> {
        let numbers: Option<(i64, u64)> = text.trim().split_once(' ').and_then(|(many, long)| {
            let many = many.parse().ok()?;
            let long = long.trim_start().parse().ok()?;
            Some((many, long))
        });
        match numbers {
            Some((requests, seconds)) if requests >= 0 && seconds > 0 => Ok(RateLimit {
                requests,
                window_ms: seconds.saturating_mul(1000),
            }),
            _ => Err("write REQUESTS SECONDS, such as 100 60".into()),
        }
    }
}

impl RequestFilter for RateLimit {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        let key = ["requests of ", &request.source_address()?].concat();
        // The first request of a client begins its window.
        let counted = match key_value::increment(&key, 1, Some(self.window_ms)) {
            Ok(counted) => counted,
            // Rather too many requests than none because the store is full.
            Err(error) => {
                log::write(log::Level::Warn, error.text());
                return Ok(Verdict::Next);
            }
        };
        if counted > self.requests {
            let response = StopResponse::new(429).body("too many requests\n");
            return Ok(response.header("content-type", "text/plain").into());
        }
        let left = self.requests - counted;
        request.set_response_header("x-requests-left", &left.to_string())?;
        Ok(Verdict::Next)
    }
}

guest_sdk::export_request_filter!(RateLimit);

#[cfg(test)]
mod tests {
    use super::RateLimit;
    use guest_sdk::testing::{FakeRequest, run_request};

    const KEY: &str = "requests of 127.0.0.1";

    #[test]
    fn requests_should_pass_until_the_window_is_full() {
        for (before, left) in [("0", Some("1")), ("1", Some("0")), ("2", None)] {
            let request = FakeRequest::new("GET", "/").key_value(KEY, before);
            let outcome = run_request::<RateLimit>("2 60", request);
            match left {
                Some(left) => assert_eq!(
                    outcome.passed().response_header_values("x-requests-left"),
                    [left]
                ),
                None => assert_eq!(outcome.stopped().status, 429),
            }
        }
        let outcome = run_request::<RateLimit>("2 60", FakeRequest::new("GET", "/"));
        assert_eq!(outcome.key_value[KEY], b"1");
    }

    #[test]
    fn a_store_that_does_not_answer_should_stop_nobody() {
        let request = FakeRequest::new("GET", "/").key_value(KEY, "no number");
        let outcome = run_request::<RateLimit>("2 60", request);
        outcome.passed();
        assert_eq!(outcome.logs.len(), 1);
    }

    #[test]
    fn a_configuration_should_be_two_numbers() {
        for text in ["", "2", "2 0", "-1 60", "a b", "{}"] {
            let outcome = run_request::<RateLimit>(text, FakeRequest::new("GET", "/"));
            assert!(outcome.failed().contains("REQUESTS SECONDS"), "{text}");
        }
    }
}
