//! Asks another server whether a request may pass: it gets the client's token,
//! and the filter's own key in `x-key` where the operator grants the secret
//! `AUTH_KEY`. 200 lets the request pass, with the user that the answer names;
//! anything else keeps it out.
//!
//! The configuration is the URL that is asked.

use guest_sdk::http::Outgoing;
use guest_sdk::{Failure, Filter, Request, RequestFilter, StopResponse, Verdict, log, secrets};

/// How long a client is kept waiting for the answer, in milliseconds.
const PATIENCE: u32 = 1000;

struct AuthCallout {
    url: String,
    key: String,
}

impl Filter for AuthCallout {
    fn configure(text: &str) -> Result<Self, Failure> {
        match text.trim() {
            url if url.starts_with("https://") || url.starts_with("http://") => Ok(AuthCallout {
                url: url.to_owned(),
                key: secrets::get("AUTH_KEY")?,
            }),
            _ => Err("write the URL that is to be asked".into()),
        }
    }
}

impl RequestFilter for AuthCallout {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        // Nobody but the server says who it is.
        request.remove_header("x-user")?;
        let Some(token) = request.header("authorization")? else {
            return Ok(refused(401));
        };
        let question = Outgoing::new("GET", &self.url)
            .header("authorization", &token)
            .header("x-key", &self.key)
            .timeout_ms(PATIENCE);
        let answer = match question.send() {
            Ok(answer) => answer,
            Err(error) => {
                log::write(log::Level::Error, error.text());
                return Ok(refused(503));
            }
        };
        match answer.status {
            200 => {
                let user = String::from_utf8_lossy(&answer.body);
                request.set_header("x-user", user.trim())?;
                Ok(Verdict::Next)
            }
            401 => Ok(refused(401)),
            _ => Ok(refused(403)),
        }
    }
}

fn refused(status: u16) -> Verdict {
    StopResponse::new(status).body("not for you\n").into()
}

guest_sdk::export_request_filter!(AuthCallout);

#[cfg(test)]
mod tests {
    use super::AuthCallout;
    use guest_sdk::http::Error;
    use guest_sdk::testing::{FakeRequest, RequestOutcome, run_request};

    const URL: &str = "https://auth.test/check";

    fn outcome(request: FakeRequest) -> RequestOutcome {
        let request = request.secret("AUTH_KEY", "sesame");
        run_request::<AuthCallout>(URL, request.header("x-user", "root"))
    }

    fn with_token() -> FakeRequest {
        FakeRequest::new("GET", "/").header("authorization", "Bearer 7")
    }

    #[test]
    fn the_server_should_say_who_it_is() {
        let outcome = outcome(with_token().http(URL, 200, "ada\n"));
        assert_eq!(outcome.passed().header_values("x-user"), ["ada"]);
        let sent = &outcome.sent[0];
        let header = |name| sent.headers.iter().find(|header| header.name == name);
        let value = |name| header(name).map(|header| header.value.as_str());
        assert_eq!(value("authorization"), Some("Bearer 7"));
        assert_eq!(value("x-key"), Some("sesame"));
    }

    #[test]
    fn whoever_is_not_known_should_stay_out() {
        let late = Error::Timeout(String::new());
        for (request, status) in [
            (FakeRequest::new("GET", "/"), 401),
            (with_token().http(URL, 401, ""), 401),
            (with_token().http(URL, 302, ""), 403),
            (with_token().http_error(URL, late), 503),
            (with_token(), 503),
        ] {
            assert_eq!(outcome(request).stopped().status, status);
        }
    }

    #[test]
    fn a_configuration_without_its_secret_should_be_refused() {
        let outcome = run_request::<AuthCallout>(URL, with_token());
        assert!(outcome.failed().contains("AUTH_KEY"));
    }
}
