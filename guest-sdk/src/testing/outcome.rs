//! What came of a call: the result, and everything the filter did on the way.

use std::collections::BTreeMap;

use super::call::Call;
use super::request::SentRequest;
use super::response::SentResponse;
use crate::http::Outgoing;
use crate::log::Level;
use crate::{Failure, StopResponse, Verdict};

/// A line that the filter logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The text as it is written: cut to 8 KiB, control characters escaped.
    pub message: String,
}

/// What came of [`run_request`](super::run_request).
#[derive(Debug)]
pub struct RequestOutcome {
    /// The verdict, or why `configure` or `on_request` failed.
    pub verdict: Result<Verdict, Failure>,
    /// The request as it would go on; as it came if it does not go on.
    pub request: SentRequest,
    /// The edits in their order, each as the function and its arguments with
    /// a space between: `set-header x-name value`. Those that the host refused
    /// are not here; a stop leaves them without effect.
    pub edits: Vec<String>,
    /// What the gateway was asked: `variable NAME` for each, and `body`.
    pub questions: Vec<String>,
    /// The values in the chain after the filter.
    pub chain: BTreeMap<String, String>,
    /// The filter's own requests to other servers, in order.
    pub sent: Vec<Outgoing>,
    /// The values in the store after the filter.
    pub key_value: BTreeMap<String, Vec<u8>>,
    /// The log.
    pub logs: Vec<LogLine>,
}

impl RequestOutcome {
    pub(super) fn new(
        verdict: Result<Verdict, Failure>,
        original: SentRequest,
        call: Call,
    ) -> Self {
        let request = match verdict {
            Ok(Verdict::Next) => call.request,
            _ => original,
        };
        RequestOutcome {
            verdict,
            request,
            edits: call.edits,
            questions: call.questions,
            chain: call.around.chain,
            sent: call.around.sent,
            key_value: call.around.key_value,
            logs: call.around.logs,
        }
    }

    /// The request as it goes on.
    ///
    /// # Panics
    ///
    /// When it does not: the filter stopped it or failed.
    #[track_caller]
    pub fn passed(&self) -> &SentRequest {
        match &self.verdict {
            Ok(Verdict::Next) => &self.request,
            other => panic!("the request did not go on: {other:?}"),
        }
    }

    /// The response that the filter gave itself.
    ///
    /// # Panics
    ///
    /// When the filter let the request pass or failed.
    #[track_caller]
    pub fn stopped(&self) -> &StopResponse {
        match &self.verdict {
            Ok(Verdict::Stop(response)) => response,
            other => panic!("the request was not stopped: {other:?}"),
        }
    }

    /// Why the filter failed, in `configure` or in `on_request`.
    ///
    /// # Panics
    ///
    /// When it did not fail.
    #[track_caller]
    pub fn failed(&self) -> &str {
        match &self.verdict {
            Err(failure) => failure.text(),
            other => panic!("the filter did not fail: {other:?}"),
        }
    }
}

/// What came of [`run_response`](super::run_response).
#[derive(Debug)]
pub struct ResponseOutcome {
    /// Nothing, or why `configure` or `on_response` failed.
    pub result: Result<(), Failure>,
    /// The response with the edits made so far.
    pub response: SentResponse,
    /// The edits in their order, as in [`RequestOutcome::edits`].
    pub edits: Vec<String>,
    /// What the gateway was asked, as in [`RequestOutcome::questions`].
    pub questions: Vec<String>,
    /// The values in the chain after the filter.
    pub chain: BTreeMap<String, String>,
    /// The filter's own requests to other servers, in order.
    pub sent: Vec<Outgoing>,
    /// The values in the store after the filter.
    pub key_value: BTreeMap<String, Vec<u8>>,
    /// The log.
    pub logs: Vec<LogLine>,
}

impl ResponseOutcome {
    pub(super) fn new(result: Result<(), Failure>, call: Call) -> Self {
        ResponseOutcome {
            result,
            response: call.response,
            edits: call.edits,
            questions: call.questions,
            chain: call.around.chain,
            sent: call.around.sent,
            key_value: call.around.key_value,
            logs: call.around.logs,
        }
    }

    /// The response as it reaches the client.
    ///
    /// # Panics
    ///
    /// When the filter failed, which withholds the response.
    #[track_caller]
    pub fn passed(&self) -> &SentResponse {
        match &self.result {
            Ok(()) => &self.response,
            Err(failure) => panic!("the filter failed: {failure}"),
        }
    }

    /// Why the filter failed, in `configure` or in `on_response`.
    ///
    /// # Panics
    ///
    /// When it did not fail.
    #[track_caller]
    pub fn failed(&self) -> &str {
        match &self.result {
            Err(failure) => failure.text(),
            Ok(()) => panic!("the filter did not fail"),
        }
    }
}
