//! The one call that runs on this thread: what the fake host knows and what
//! the filter has done so far. The interfaces in `imports/` work on it.

use std::cell::RefCell;

use super::request::{FakeRequest, SentRequest};
use super::response::{FakeResponse, SentResponse};
use super::surroundings::Surroundings;
use crate::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Configure,
    Request,
    Response,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) phase: Phase,
    pub(super) configuration: Vec<u8>,
    pub(super) source_address: String,
    pub(super) request: SentRequest,
    pub(super) response: SentResponse,
    /// What asking for the body fails with, if it does.
    pub(super) body_error: Option<Error>,
    pub(super) around: Surroundings,
    pub(super) edits: Vec<String>,
    pub(super) questions: Vec<String>,
}

impl Call {
    pub(super) fn of_request(fake: FakeRequest) -> Self {
        Call {
            source_address: fake.source_address,
            request: fake.sent,
            body_error: fake.body_error,
            ..Call::around(fake.around)
        }
    }

    pub(super) fn of_response(fake: FakeResponse) -> Self {
        Call {
            response: fake.sent,
            body_error: fake.body_error,
            ..Call::around(fake.around)
        }
    }

    fn around(around: Surroundings) -> Self {
        Call {
            phase: Phase::Configure,
            configuration: Vec::new(),
            source_address: String::new(),
            request: SentRequest::default(),
            response: SentResponse::default(),
            body_error: None,
            around,
            edits: Vec::new(),
            questions: Vec::new(),
        }
    }

    /// Notes that the gateway was asked; a second time the answer is known.
    pub(super) fn ask(&mut self, question: String) {
        if !self.questions.contains(&question) {
            self.questions.push(question);
        }
    }

    /// Notes an edit that succeeded: the function and its arguments.
    pub(super) fn note(&mut self, function: &str, arguments: &[&[u8]]) {
        let mut edit = function.to_owned();
        for argument in arguments {
            edit.push(' ');
            edit.push_str(&String::from_utf8_lossy(argument));
        }
        self.edits.push(edit);
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Call>> = const { RefCell::new(None) };
}

pub(super) fn start(call: Call) {
    CURRENT.set(Some(call));
}

pub(super) fn finish() -> Call {
    CURRENT
        .take()
        .expect("a call that was started is finished once")
}

/// Gives access to the call; `None` when none runs, as when a test calls
/// `configure` directly.
pub(super) fn with<R>(access: impl FnOnce(&mut Call) -> R) -> Option<R> {
    CURRENT.with_borrow_mut(|call| call.as_mut().map(access))
}

/// Gives access to the call in one of these phases.
pub(super) fn within<R>(
    phases: &[Phase],
    function: &str,
    access: impl FnOnce(&mut Call) -> Result<R, Error>,
) -> Result<R, Error> {
    let wrong_phase = || Error::WrongPhase(format!("{function}: there is nothing to act on here"));
    with(|call| match phases.contains(&call.phase) {
        true => access(call),
        false => Err(wrong_phase()),
    })
    .unwrap_or_else(|| Err(wrong_phase()))
}
