//! What one store carries: the call it serves, its meters, and nothing that
//! outlives the instance. Every host function works on this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::account::Account;
use crate::bindings::apisix::filter::types::Error;
use crate::chain_values::ChainValues;
use crate::conversation::{Allowance, AskError, Conversation};
use crate::fixed_numbers::FixedNumbers;
use crate::guest_clock::GuestClock;
use crate::host::wasi_http::WasiHttpState;
use crate::limits::{EditLimits, MemoryMeter};
use crate::request_call::RequestSubject;
use crate::response_call::ResponseSubject;
use crate::services::{Exhausted, ServiceAllowance, ServiceUse, UnderWay};
use crate::surroundings::Surroundings;
use crate::{
    Answer, GatewayError, Grants, Limits, Question, RequestCall, RequestEdits, ResponseCall,
    ResponseEdits, printable,
};

/// Who the guest is.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) account: Arc<Account>,
    pub(crate) configuration: Arc<[u8]>,
    /// What the log calls where the configuration came from.
    pub(crate) route: Arc<str>,
    pub(crate) grants: Arc<Grants>,
}

impl Identity {
    /// What the guest says of its failure, as it may stand in the log: on one
    /// line, cut, and without secrets.
    pub(crate) fn reason(&self, text: &str) -> String {
        match &self.grants.secrets {
            Some(secrets) => printable::reason(&secrets.redact(text)),
            None => printable::reason(text),
        }
    }

    /// The same for a line that it logs. `is_cut`: more was to come.
    pub(crate) fn line(&self, text: &str, is_cut: bool) -> String {
        match &self.grants.secrets {
            Some(secrets) if is_cut => printable::printable(&secrets.redact_cut(text)),
            Some(secrets) => printable::printable(&secrets.redact(text)),
            None => printable::printable(text),
        }
    }
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
    /// Where the guest's random numbers come from, if they are the same ones
    /// each time.
    pub(crate) fixed_numbers: FixedNumbers,
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
            fixed_numbers: FixedNumbers::default(),
            wasi: None,
            identity,
        }
    }

    /// What the guest may use.
    pub(crate) fn limits(&self) -> &Limits {
        &self.identity.account.limits
    }

    /// What it was granted.
    pub(crate) fn grants(&self) -> &Grants {
        &self.identity.grants
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
        self.fixed_numbers = FixedNumbers::default();
        self.begin_handler();
        self.wasi.is_none()
    }

    /// Whether requests of the guest are still under way after its call, which
    /// would come to an end in another.
    pub(crate) fn left_requests(&self) -> bool {
        let http = self.wasi.as_ref().and_then(|wasi| wasi.http.as_ref());
        http.is_some_and(|http| http.left_requests())
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

    /// Asks a service once more, within what the call may ask and wait.
    pub(crate) fn ask_service(&mut self, function: &str) -> Result<UnderWay, NotAsked> {
        let (allowed, clock) = (self.service_allowance(), Arc::clone(&self.clock));
        let Some(services) = self.services() else {
            return Err(NotAsked::WrongPhase(only_in_calls(function)));
        };
        Ok(services.begin(allowed, &clock)?)
    }

    pub(crate) fn service_allowance(&self) -> ServiceAllowance {
        ServiceAllowance {
            calls: self.limits().service_calls,
            time: self.limits().services_time,
        }
    }

    /// What services were asked in the current call.
    fn services(&mut self) -> Option<&Arc<ServiceUse>> {
        let services = match (self.in_handler, &mut self.call) {
            (true, OpenCall::Request(call)) => &mut call.services,
            (true, OpenCall::Response(call)) => &mut call.services,
            _ => return None,
        };
        Some(services.get_or_insert_default())
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

/// Why a service was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAsked {
    /// There is no call.
    #[error("{0}")]
    WrongPhase(String),
    /// The call asked too much.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

fn wrong_phase(function: &str, phases: &str) -> Error {
    Error::WrongPhase(format!("{function} works in {phases} only"))
}

fn only_in_calls(function: &str) -> String {
    format!("{function} works in on-request and on-response only")
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Surroundings { context, table, .. } = self.surroundings();
        WasiCtxView {
            ctx: context,
            table,
        }
    }
}

impl CallState {
    fn surroundings(&mut self) -> &mut Surroundings {
        let (identity, quiet, request) = (&self.identity, self.quiet, self.call.id());
        let logged = self.logged.get_or_insert_default();
        self.wasi.get_or_insert_with(|| {
            let surroundings = Surroundings::new(identity, logged, quiet);
            surroundings.begin_call(request);
            Box::new(surroundings)
        })
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (identity, clock) = (Arc::clone(&self.identity), Arc::clone(&self.clock));
        let services = self.services().cloned();
        let Surroundings { http, table, .. } = self.surroundings();
        let http = http.get_or_insert_with(|| Box::new(WasiHttpState::new(identity, clock)));
        http.view(services, table)
    }
}
