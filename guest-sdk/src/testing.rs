//! Runs a filter natively, in an ordinary `cargo test`, against a fake host.
//!
//! The fake host keeps the rules that `wit/` sets for the real one: what is
//! invalid there is invalid here, with the same kind of error. It knows no
//! gateway and no network; everything a filter can see comes from a
//! [`FakeRequest`] or a [`FakeResponse`].
//!
//! ```
//! use guest_sdk::testing::{self, FakeRequest};
//! use guest_sdk::{Failure, Filter, Request, RequestFilter, StopResponse, Verdict};
//!
//! struct Doorman {
//!     key: String,
//! }
//!
//! impl Filter for Doorman {
//!     fn configure(text: &str) -> Result<Self, Failure> {
//!         match text {
//!             "" => Err("a key is needed".into()),
//!             key => Ok(Doorman { key: key.to_owned() }),
//!         }
//!     }
//! }
//!
//! impl RequestFilter for Doorman {
//!     fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
//!         if request.header("x-key")?.as_deref() != Some(&self.key) {
//!             return Ok(StopResponse::new(403).body("wrong key").into());
//!         }
//!         request.remove_header("x-key")?;
//!         Ok(Verdict::Next)
//!     }
//! }
//!
//! let guest = FakeRequest::new("GET", "/").header("X-Key", "sesame");
//! let outcome = testing::run_request::<Doorman>("sesame", guest);
//! assert_eq!(outcome.passed().header("x-key"), None);
//!
//! let stranger = FakeRequest::new("GET", "/");
//! let outcome = testing::run_request::<Doorman>("sesame", stranger.clone());
//! assert_eq!(outcome.stopped().status, 403);
//!
//! let outcome = testing::run_request::<Doorman>("", stranger);
//! assert_eq!(outcome.failed(), "a key is needed");
//! ```

mod call;
mod headers;
pub(crate) mod imports;
mod outcome;
mod request;
mod response;
mod rules;
mod surroundings;
#[cfg(test)]
mod tests;

pub use outcome::{LogLine, RequestOutcome, ResponseOutcome};
pub use request::{FakeRequest, SentRequest};
pub use response::{FakeResponse, SentResponse};

use crate::{Failure, Filter, Request, RequestFilter, Response, ResponseFilter, Verdict};
use call::{Call, Phase};

/// Configures a filter and gives it a request, as the runner would.
///
/// The configuration is text or bytes, and no JSON unless the filter wants
/// some.
pub fn run_request<T: RequestFilter>(
    configuration: impl AsRef<[u8]>,
    request: FakeRequest,
) -> RequestOutcome {
    let original = request.sent.clone();
    let (verdict, call) = run::<T, _>(
        configuration.as_ref(),
        Call::of_request(request),
        Phase::Request,
        |filter| {
            let verdict = filter.on_request(&mut Request::current())?;
            match &verdict {
                Verdict::Next => {}
                Verdict::Stop(response) => rules::stop_response(response)?,
            }
            Ok(verdict)
        },
    );
    RequestOutcome::new(verdict, original, call)
}

/// Configures a filter and gives it a response, as the runner would.
///
/// The configuration is text or bytes, and no JSON unless the filter wants
/// some.
pub fn run_response<T: ResponseFilter>(
    configuration: impl AsRef<[u8]>,
    response: FakeResponse,
) -> ResponseOutcome {
    let (result, call) = run::<T, _>(
        configuration.as_ref(),
        Call::of_response(response),
        Phase::Response,
        |filter| filter.on_response(&mut Response::current()),
    );
    ResponseOutcome::new(result, call)
}

fn run<T: Filter, R>(
    configuration: &[u8],
    mut call: Call,
    phase: Phase,
    handler: impl FnOnce(&T) -> Result<R, Failure>,
) -> (Result<R, Failure>, Call) {
    call.configuration = configuration.to_vec();
    call::start(call);
    let result = T::configure(&String::from_utf8_lossy(configuration)).and_then(|filter| {
        call::with(|call| call.phase = phase);
        handler(&filter)
    });
    (result, call::finish())
}
