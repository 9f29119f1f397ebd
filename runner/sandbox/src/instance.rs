//! One instance of a component with its store: started, configured, called.
//! Here a guest's failures get their names. How long an instance lives and
//! what it is made from is decided in `filter`.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ResourceTableError, TypedFunc};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::bindings::apisix::filter::types::Error;
use crate::bindings::exports::apisix::filter::{request_handler, response_handler};
use crate::call_state::{CallState, Identity, OpenCall};
use crate::engine::Kept;
use crate::guest_clock::{Look, Stalled};
use crate::image::Image;
use crate::limits::EditLimits;
use crate::slots::Taken;
use crate::slow_lane::give_way;
use crate::{Engine, Limits, SandboxError, StopResponse, Verdict, validate};

/// An instance that was started.
pub(crate) struct Instance {
    pub(crate) store: Store<CallState>,
    pub(crate) instance: wasmtime::component::Instance,
    on_request: Option<request_handler::Guest>,
    on_response: Option<response_handler::Guest>,
    put_back: Option<TypedFunc<(), (u32,)>>,
    /// It has just configured itself, for its first call.
    configured_now: bool,
    /// Calls it has served.
    pub(crate) uses: u32,
    kept: Option<Kept>,
    /// Given back after the store, which is what takes them.
    slots: Taken,
}

impl Instance {
    /// Waits for a free place and starts an instance.
    pub(crate) async fn start(
        engine: &Engine,
        image: &Image,
        wait: Duration,
        state: impl FnOnce() -> CallState,
    ) -> Result<Self, SandboxError> {
        let slots = engine.slots(image.slots, wait).await?;
        // Made here, because its clock begins to run.
        let mut store = store(engine, state());
        if engine.counts_instructions() {
            // It never runs out; what is gone is what was executed.
            let filled = store.set_fuel(u64::MAX);
            filled.map_err(|error| failure(&store, &error))?;
        }
        let started = in_time(&mut store, |store| image.component.instantiate_async(store)).await?;
        match started {
            Ok(instance) => Ok(Instance {
                store,
                instance,
                on_request: None,
                on_response: None,
                put_back: None,
                configured_now: false,
                uses: 0,
                kept: None,
                slots,
            }),
            Err(error) => Err(failure(&store, &error)),
        }
    }

    /// Lets the guest read its configuration.
    pub(crate) async fn configure(&mut self, image: &Image) -> Result<(), SandboxError> {
        let identity = Arc::clone(&self.store.data().identity);
        let text = String::from_utf8_lossy(&identity.configuration);
        let result = match image.configuration.load(&mut self.store, &self.instance) {
            Ok(guest) => {
                in_time(&mut self.store, |store| guest.call_configure(store, &text)).await?
            }
            Err(error) => Err(error),
        };
        let answer = result.map_err(|error| failure(&self.store, &error))?;
        self.configured_now = true;
        answer.map_err(|reason| SandboxError::ConfigurationRejected(identity.reason(&reason)))
    }

    /// Whether it configured itself for the call that is open.
    pub(crate) fn was_configured_now(&mut self) -> bool {
        std::mem::take(&mut self.configured_now)
    }

    /// Whether requests of its last call are still under way.
    pub(crate) fn left_requests(&self) -> bool {
        self.store.data().left_requests()
    }

    /// Bytes of memory it has.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory.used()
    }

    /// Instructions that it has executed since it was started, where the engine
    /// counts them. Where it does not, wasmtime is not asked: it would make an
    /// error of that, in every call.
    pub(crate) fn instructions(&self, engine: &Engine) -> Option<u64> {
        if !engine.counts_instructions() {
            return None;
        }
        self.store.get_fuel().ok().map(|left| u64::MAX - left)
    }

    /// Opens a call for the guest. Returns how long it took to get here.
    pub(crate) fn open(&mut self, call: OpenCall) -> Duration {
        self.store.data_mut().enter_handler(call)
    }

    /// Takes the call away from the guest.
    pub(crate) fn close(&mut self) -> OpenCall {
        self.store.data_mut().leave_handler()
    }

    /// Finds the handlers once and for all: an instance that serves again may
    /// do so after its filter has changed to another image.
    pub(crate) fn keep_handlers(&mut self, image: &Image) -> wasmtime::Result<()> {
        let (store, instance) = (&mut self.store, &self.instance);
        if let Some(indices) = &image.request_handler {
            self.on_request = Some(indices.load(&mut *store, instance)?);
        }
        if let Some(indices) = &image.response_handler {
            self.on_response = Some(indices.load(&mut *store, instance)?);
        }
        Ok(())
    }

    /// Lets the guest handle the request that was opened.
    pub(crate) async fn on_request(&mut self, image: &Image) -> Result<Verdict, SandboxError> {
        let Some(indices) = &image.request_handler else {
            return Err(SandboxError::WrongPhase("request handler"));
        };
        if self.on_request.is_none() {
            let found = indices.load(&mut self.store, &self.instance);
            self.on_request = Some(found.map_err(|error| failure(&self.store, &error))?);
        }
        let Some(guest) = &self.on_request else {
            unreachable!("it was just found");
        };
        let result = in_time(&mut self.store, |store| guest.call_on_request(store)).await?;
        let verdict = finish(&mut self.store, result)?;
        let state = self.store.data();
        checked(verdict, state.limits().into(), &state.identity)
    }

    /// Lets the guest handle the response that was opened.
    pub(crate) async fn on_response(&mut self, image: &Image) -> Result<(), SandboxError> {
        let Some(indices) = &image.response_handler else {
            return Err(SandboxError::WrongPhase("response handler"));
        };
        if self.on_response.is_none() {
            let found = indices.load(&mut self.store, &self.instance);
            self.on_response = Some(found.map_err(|error| failure(&self.store, &error))?);
        }
        let Some(guest) = &self.on_response else {
            unreachable!("it was just found");
        };
        let result = in_time(&mut self.store, |store| guest.call_on_response(store)).await?;
        finish(&mut self.store, result)
    }

    /// Puts the instance back to how it began, in everything that a guest could
    /// tell: its memory, its globals, and what the host keeps for it. False
    /// where that cannot be done; it must not serve again then.
    pub(crate) async fn put_back(&mut self, image: &Image) -> bool {
        let Some(restore) = image.restore else {
            return false;
        };
        if !self.store.data_mut().begin_anew() {
            return false;
        }
        if self.put_back.is_none() {
            let found = self.instance.get_typed_func(&mut self.store, restore);
            self.put_back = found.ok();
        }
        let Some(function) = &self.put_back else {
            return false;
        };
        let done = in_time(&mut self.store, |store| function.call_async(store, ())).await;
        matches!(done, Ok(Ok((0,))))
    }

    /// Counts it among those that are kept for later calls; false where there
    /// are enough of them.
    pub(crate) fn keep(&mut self, engine: &Engine, most: u32) -> bool {
        if self.kept.is_none() {
            self.kept = engine.keep(self.slots.count(), most);
        }
        self.kept.is_some()
    }

    /// Finds every export that may be called, without calling it.
    pub(crate) fn find_exports(&mut self, image: &Image) -> wasmtime::Result<()> {
        image.configuration.load(&mut self.store, &self.instance)?;
        self.keep_handlers(image)
    }
}

/// A store limited in memory and interrupted at every tick.
fn store(engine: &Engine, state: CallState) -> Store<CallState> {
    let mut store = Store::new(engine.wasmtime(), state);
    let limits = store.data().limits();
    let (host_call, handles) = (limits.host_call, limits.handles);
    store.set_hostcall_fuel(host_call);
    store.set_max_component_handles(handles);
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        Ok(match context.data().clock.look() {
            None => UpdateDeadline::Interrupt,
            Some(Look::Short) => UpdateDeadline::Continue(1),
            Some(Look::Long(computed)) => UpdateDeadline::YieldCustom(1, give_way(computed)),
        })
    });
    store
}

/// Lets the guest run as long as its clock allows.
pub(crate) async fn in_time<'a, T, F>(
    store: &'a mut Store<CallState>,
    call: impl FnOnce(&'a mut Store<CallState>) -> F,
) -> Result<T, SandboxError>
where
    F: Future<Output = T> + 'a,
{
    let clock = Arc::clone(&store.data().clock);
    let outcome = clock.run(call(store)).await;
    outcome.map_err(|Stalled(limit)| SandboxError::Stalled(limit))
}

/// What a handler's answer is worth.
fn finish<T>(
    store: &mut Store<CallState>,
    result: wasmtime::Result<Result<T, String>>,
) -> Result<T, SandboxError> {
    if let Some(error) = store.data_mut().gateway_error() {
        return Err(error.into());
    }
    let answer = result.map_err(|error| failure(store, &error))?;
    let identity = &store.data().identity;
    answer.map_err(|reason| SandboxError::GuestError(identity.reason(&reason)))
}

/// Names the cause of a failed call into the guest.
pub(crate) fn failure(store: &Store<CallState>, error: &wasmtime::Error) -> SandboxError {
    if error.is::<PoolConcurrencyLimitError>() {
        return SandboxError::Saturated(Duration::ZERO);
    }
    let state = store.data();
    let trap = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return SandboxError::Deadline(state.clock.compute_limit()),
        Some(trap) => trap.to_string(),
        None => state.identity.reason(&format!("{error:#}")),
    };
    if let Some(limit) = host_call_limit(error, state.limits()) {
        return SandboxError::HostCallLimit(limit);
    }
    if state.memory.all_taken {
        let limit = state.identity.account.memory.most();
        return SandboxError::MemoryTaken { limit, trap };
    }
    match state.memory.refused {
        true => SandboxError::Memory {
            limit: state.memory.limit(),
            trap,
        },
        false => SandboxError::Trap(trap),
    }
}

/// Which limit of what a guest may ask of the host it is that it passed, if it
/// is one. wasmtime has no types for two of them.
fn host_call_limit(error: &wasmtime::Error, limits: &Limits) -> Option<String> {
    let text = error.root_cause().to_string();
    let is_full = |error: &ResourceTableError| matches!(error, ResourceTableError::Full);
    if text.contains("fuel allocated for hostcalls") {
        let kib = limits.host_call >> 10;
        return Some(format!("it handed over more than {kib} KiB in one call"));
    }
    let handles = text.contains("handle limit exceeded")
        || error
            .downcast_ref::<ResourceTableError>()
            .is_some_and(is_full);
    handles.then(|| format!("it holds more than {} handles", limits.handles))
}

/// A stop that could not be sent as HTTP is a failure of the filter.
fn checked(
    verdict: request_handler::Verdict,
    limits: EditLimits,
    identity: &Identity,
) -> Result<Verdict, SandboxError> {
    let request_handler::Verdict::Stop(stop) = verdict else {
        return Ok(Verdict::Next);
    };
    let mut valid =
        validate::final_status(stop.status).and_then(|()| limits.body(stop.body.len() as u64));
    for (others, header) in stop.headers.iter().enumerate() {
        let size = header.name.len() + header.value.len();
        valid = valid.and_then(|()| limits.entry("header", others, size));
        valid =
            valid.and_then(|()| validate::response_header(&header.name, header.value.as_bytes()));
    }
    match valid {
        Ok(()) => Ok(Verdict::Stop(StopResponse {
            status: stop.status,
            headers: stop
                .headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
            body: stop.body,
        })),
        Err(Error::Invalid(reason) | Error::Limit(reason)) => {
            Err(SandboxError::InvalidStop(identity.reason(&reason)))
        }
        Err(other) => Err(SandboxError::InvalidStop(
            identity.reason(&other.to_string()),
        )),
    }
}
