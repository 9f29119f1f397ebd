//! What one store carries: the call it serves, its meters, and nothing that
//! outlives the instance. Every host function works on this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::account::Account;
use crate::bindings::apisix::filter::types::Error;
use crate::chain_values::ChainValues;
use crate::conversation::{Allowance, AskError, Conversation};
use crate::guest_clock::GuestClock;
use crate::limits::{EditLimits, MemoryMeter};
use crate::request_call::RequestSubject;
use crate::response_call::ResponseSubject;
use crate::surroundings::Surroundings;
use crate::{
    Answer, GatewayError, Limits, Question, RequestCall, RequestEdits, ResponseCall, ResponseEdits,
};

/// Who the guest is.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) account: Arc<Account>,
    pub(crate) configuration: Arc<[u8]>,
    /// What the log calls where the configuration came from.
    pub(crate) route: Arc<str>,
}

/// The call that an instance serves.
pub(crate) enum OpenCall {
    /// None: the guest starts, configures itself or waits for its next call.
    None,
    Request(Box<RequestCall>),
    Response(Box<ResponseCall>),
}

/// What filters changed in a call so far, as it was at some moment.
pub(crate) enum Edits {
    /// Not known.
    None,
    Request(RequestEdits, ChainValues),
    Response(ResponseEdits, ChainValues),
}

impl OpenCall {
    /// The number that the gateway gave it.
    pub(crate) fn id(&self) -> Option<u32> {
        match self {
            OpenCall::None => None,
            OpenCall::Request(call) => Some(call.source().id()),
            OpenCall::Response(call) => Some(call.source().id()),
        }
    }

    /// A copy of what was changed so far.
    pub(crate) fn edits(&self) -> Edits {
        match self {
            OpenCall::None => Edits::None,
            OpenCall::Request(call) => {
                Edits::Request(call.subject.edits.clone(), call.chain.clone())
            }
            OpenCall::Response(call) => {
                Edits::Response(call.subject.edits.clone(), call.chain.clone())
            }
        }
    }

    /// The call as it was at that moment; what the gateway has answered since
    /// stays known. `None` where nobody can tell how it was.
    pub(crate) fn back_to(mut self, before: Edits) -> Self {
        match (&mut self, before) {
            (OpenCall::Request(call), Edits::Request(edits, chain)) => {
                call.subject.edits = edits;
                call.chain = chain;
                call.conversation.forgive();
            }
            (OpenCall::Response(call), Edits::Response(edits, chain)) => {
                call.subject.edits = edits;
                call.chain = chain;
                call.conversation.forgive();
            }
            _ => return OpenCall::None,
        }
        self
    }
}

pub(crate) struct CallState {
    pub(crate) identity: Arc<Identity>,
    pub(crate) call: OpenCall,
    /// False while the guest starts and configures itself: the call is not its
    /// business yet.
    in_handler: bool,
    pub(crate) memory: MemoryMeter,
    pub(crate) clock: Arc<GuestClock>,
    /// Bytes that the guest has logged in this call; made when it first logs, so
    /// that one which does not has no need of it.
    logged: Option<Arc<AtomicUsize>>,
    /// What the guest looked at that may be another each time.
    pub(crate) outside: Option<&'static str>,
    /// A rehearsal: what the guest logs was logged before.
    pub(crate) quiet: bool,
    /// Built at the first use of a WASI function, so that a filter without
    /// WASI does not pay for it.
    wasi: Option<Box<Surroundings>>,
}

impl CallState {
    /// The state of an instance that is about to start.
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        let (limits, pulse) = (&identity.account.limits, &identity.account.pulse);
        CallState {
            call: OpenCall::None,
            in_handler: false,
            memory: MemoryMeter::new(limits, Arc::clone(&identity.account.memory)),
            clock: GuestClock::start(pulse, limits.configure_time, limits.configure_wall_time),
            logged: None,
            outside: None,
            quiet: false,
            wasi: None,
            identity,
        }
    }

    /// What the guest may use.
    pub(crate) fn limits(&self) -> &Limits {
        &self.identity.account.limits
    }

    /// The guest is configured; from here on it may see this call. Returns how
    /// long the stage before took.
    pub(crate) fn enter_handler(&mut self, call: OpenCall) -> Duration {
        self.in_handler = true;
        self.call = call;
        let limits = EditLimits::from(self.limits());
        match &mut self.call {
            OpenCall::None => {}
            OpenCall::Request(call) => call.subject.limits = limits,
            OpenCall::Response(call) => call.subject.limits = limits,
        }
        self.memory.refused = false;
        self.memory.all_taken = false;
        if let Some(logged) = &self.logged {
            logged.store(0, Ordering::Relaxed);
        }
        if let Some(wasi) = &self.wasi {
            wasi.begin_call(self.call.id());
        }
        self.begin_handler()
    }

    fn begin_handler(&self) -> Duration {
        let limits = self.limits();
        self.clock
            .restart(limits.handler_time, limits.handler_wall_time)
    }

    /// The call is over; what becomes of it is no business of the guest any
    /// more.
    pub(crate) fn leave_handler(&mut self) -> OpenCall {
        self.in_handler = false;
        if let Some(wasi) = &self.wasi {
            wasi.end_call();
        }
        std::mem::replace(&mut self.call, OpenCall::None)
    }

    /// The guest is put back to how it began, and the host's memory of it with
    /// it. False where that knows more than could be forgotten.
    pub(crate) fn begin_anew(&mut self) -> bool {
        self.in_handler = false;
        self.memory.refused = false;
        self.memory.all_taken = false;
        self.outside = None;
        self.begin_handler();
        self.wasi.is_none()
    }

    /// Whether the guest holds something of the host that a later instance
    /// would not have: a stream, a timer.
    pub(crate) fn holds_resources(&self) -> bool {
        let wasi = self.wasi.as_ref();
        wasi.is_some_and(|wasi| !wasi.table.is_empty())
    }

    /// Counts what the call logs; made when it first does.
    pub(crate) fn logged(&mut self) -> Arc<AtomicUsize> {
        Arc::clone(self.logged.get_or_insert_default())
    }

    /// The request of the current call.
    pub(crate) fn request(&mut self, function: &str) -> Result<&mut RequestSubject, Error> {
        match (self.in_handler, &mut self.call) {
            (true, OpenCall::Request(call)) => Ok(&mut call.subject),
            _ => Err(wrong_phase(function, "on-request")),
        }
    }

    /// The response of the current call.
    pub(crate) fn response(&mut self, function: &str) -> Result<&mut ResponseSubject, Error> {
        match (self.in_handler, &mut self.call) {
            (true, OpenCall::Response(call)) => Ok(&mut call.subject),
            _ => Err(wrong_phase(function, "on-response")),
        }
    }

    /// The values that filters pass on in the current call.
    pub(crate) fn chain(&mut self, function: &str) -> Result<&mut ChainValues, Error> {
        self.in_a_call(function)?;
        match &mut self.call {
            OpenCall::Request(call) => Ok(&mut call.chain),
            OpenCall::Response(call) => Ok(&mut call.chain),
            OpenCall::None => Err(wrong_phase(function, "on-request and on-response")),
        }
    }

    /// Whether there is a call to speak of.
    pub(crate) fn in_a_call(&self, function: &str) -> Result<(), Error> {
        match (self.in_handler, &self.call) {
            (true, OpenCall::Request(_) | OpenCall::Response(_)) => Ok(()),
            _ => Err(wrong_phase(function, "on-request and on-response")),
        }
    }

    /// Asks the gateway within what the call may ask and wait, and keeps the
    /// wait off the guest's own time.
    pub(crate) async fn ask(&mut self, questions: &[Question<'_>]) -> Result<Vec<Answer>, Error> {
        let allowance = Allowance {
            questions: self.limits().questions,
            time: self.limits().gateway_time,
        };
        let clock = Arc::clone(&self.clock);
        let Some(conversation) = self.conversation() else {
            return Err(wrong_phase("a question", "on-request and on-response"));
        };
        clock.begin_wait();
        let answers = conversation.ask(questions, allowance).await;
        clock.end_wait();
        answers.map_err(|error| match error {
            AskError::TooMany(limit) => Error::Limit(format!(
                "the filters of one call may ask the gateway {limit} questions"
            )),
            AskError::Gateway(error) => Error::Gateway(error.to_string()),
        })
    }

    pub(crate) async fn ask_one(&mut self, question: Question<'_>) -> Result<Answer, Error> {
        Ok(self.ask(&[question]).await?.into_iter().next().flatten())
    }

    /// The first question of the call that failed: it cannot go on.
    pub(crate) fn gateway_error(&mut self) -> Option<GatewayError> {
        self.conversation()?.failed().cloned()
    }

    fn conversation(&mut self) -> Option<&mut Conversation> {
        match &mut self.call {
            OpenCall::Request(call) => Some(&mut call.conversation),
            OpenCall::Response(call) => Some(&mut call.conversation),
            OpenCall::None => None,
        }
    }
}

fn wrong_phase(function: &str, phases: &str) -> Error {
    Error::WrongPhase(format!("{function} works in {phases} only"))
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (identity, quiet, request) = (&self.identity, self.quiet, self.call.id());
        let logged = self.logged.get_or_insert_default();
        let wasi = self.wasi.get_or_insert_with(|| {
            let surroundings = Surroundings::new(identity, logged, quiet);
            surroundings.begin_call(request);
            Box::new(surroundings)
        });
        let Surroundings { context, table, .. } = &mut **wasi;
        WasiCtxView {
            ctx: context,
            table,
        }
    }
}
