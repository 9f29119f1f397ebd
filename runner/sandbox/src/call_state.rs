//! What one store carries: the call it serves, its meters, and nothing that
//! outlives them. Every host function works on this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::bindings::apisix::filter::types::Error;
use crate::limits::{GuestClock, MemoryMeter};
use crate::{Answer, Gateway, GatewayError, Limits, Question, RequestCall};

/// Who the guest is.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: Arc<str>,
    pub(crate) configuration: Bytes,
}

/// What the guest is being called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Starting up or in `configure`: there is nothing to act on yet.
    Configure,
    /// In `on-request`.
    Request,
}

pub(crate) struct CallState {
    pub(crate) identity: Arc<Identity>,
    pub(crate) phase: Phase,
    /// The call this instance was made for; none where a configuration is
    /// only being checked.
    pub(crate) call: Option<Box<RequestCall>>,
    pub(crate) memory: MemoryMeter,
    pub(crate) clock: GuestClock,
    gateway_time: Duration,
    /// The first question that failed. Whatever the guest makes of the error,
    /// the call cannot go on.
    pub(crate) gateway_error: Option<GatewayError>,
    /// Built at the first use of a WASI function, so that a filter without
    /// WASI does not pay for it.
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl CallState {
    pub(crate) fn new(identity: Arc<Identity>, limits: &Limits) -> Self {
        CallState {
            identity,
            phase: Phase::Configure,
            call: None,
            memory: MemoryMeter::new(limits.memory),
            clock: GuestClock::start(limits.configure_time),
            gateway_time: limits.gateway_time,
            gateway_error: None,
            wasi: None,
        }
    }

    /// The request of the current call.
    pub(crate) fn request(&mut self, function: &str) -> Result<&mut RequestCall, Error> {
        match (self.phase, &mut self.call) {
            (Phase::Request, Some(call)) => Ok(call),
            _ => Err(Error::WrongPhase(format!(
                "{function} works in on-request only"
            ))),
        }
    }

    /// Asks the gateway within what is left of the call's time for that, and
    /// keeps the wait off the guest's own time.
    pub(crate) async fn ask(
        &mut self,
        function: &str,
        question: Question<'_>,
    ) -> Result<Answer, Error> {
        let gateway = Arc::clone(self.request(function)?.gateway());
        let started = Instant::now();
        let answer = match self.gateway_error.clone() {
            Some(error) => Err(error),
            None => ask_in_time(&*gateway, question, self.gateway_time).await,
        };
        let waited = started.elapsed();
        self.clock.add_wait(waited);
        self.gateway_time = self.gateway_time.saturating_sub(waited);
        answer.map_err(|error| {
            let text = error.to_string();
            self.gateway_error.get_or_insert(error);
            Error::Gateway(text)
        })
    }
}

async fn ask_in_time(
    gateway: &dyn Gateway,
    question: Question<'_>,
    limit: Duration,
) -> Result<Answer, GatewayError> {
    match tokio::time::timeout(limit, gateway.ask(question)).await {
        Ok(answer) => answer,
        Err(_) => Err(GatewayError::TooLate(limit.as_millis())),
    }
}

impl WasiView for CallState {
    /// Everything that the standard interfaces can reach is empty: no files,
    /// no sockets, no environment, no arguments, output discarded.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self
            .wasi
            .get_or_insert_with(|| Box::new((WasiCtxBuilder::new().build(), ResourceTable::new())));
        WasiCtxView {
            ctx: &mut wasi.0,
            table: &mut wasi.1,
        }
    }
}
