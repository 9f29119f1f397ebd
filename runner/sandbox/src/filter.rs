//! A plugin with its configuration, run on one call in a fresh instance. The
//! instance, its store and all it wrote are gone when the call is over.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::Instance;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::bindings::apisix::filter::types::Error;
use crate::bindings::exports::apisix::filter::request_handler;
use crate::call_state::{CallState, Identity, OpenCall};
use crate::guest_clock::Stalled;
use crate::printable::printable;
use crate::{
    LoadError, Plugin, RequestCall, ResponseCall, SandboxError, StopResponse, Verdict, validate,
};

/// One plugin with one configuration.
pub struct Filter {
    plugin: Arc<Plugin>,
    identity: Arc<Identity>,
}

impl Filter {
    /// Joins a plugin and a configuration text as the gateway sent it. Nothing
    /// runs yet.
    pub fn new(plugin: Arc<Plugin>, configuration: Bytes) -> Self {
        let identity = Identity {
            name: Arc::clone(&plugin.name),
            configuration,
        };
        Filter {
            plugin,
            identity: Arc::new(identity),
        }
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.plugin.name
    }

    /// Runs the guest's `configure` once, to know whether it accepts its
    /// configuration.
    ///
    /// # Errors
    /// The guest's reason, or how it failed to give one.
    pub async fn check(&self) -> Result<(), SandboxError> {
        let _slot = self.plugin.engine.slots(self.plugin.slots).await?;
        let mut store = self.plugin.store(&self.identity, OpenCall::None);
        let instance = self.start(&mut store).await?;
        self.configure(&mut store, &instance).await
    }

    /// Lets the filter look at a request. The call comes back as the filter
    /// left it.
    ///
    /// # Errors
    /// How the filter failed; the call is gone with all edits.
    pub async fn on_request(
        &self,
        call: Box<RequestCall>,
    ) -> Result<(Box<RequestCall>, Verdict), SandboxError> {
        let _slot = self.plugin.engine.slots(self.plugin.slots).await?;
        let mut store = self.plugin.store(&self.identity, OpenCall::Request(call));
        let verdict = self.run_on_request(&mut store).await?;
        match store.into_data().call {
            OpenCall::Request(call) => Ok((call, verdict)),
            _ => unreachable!("nothing takes the call out of its store"),
        }
    }

    /// Lets the filter look at a response, in the same way.
    ///
    /// # Errors
    /// How the filter failed.
    pub async fn on_response(
        &self,
        call: Box<ResponseCall>,
    ) -> Result<Box<ResponseCall>, SandboxError> {
        let _slot = self.plugin.engine.slots(self.plugin.slots).await?;
        let mut store = self.plugin.store(&self.identity, OpenCall::Response(call));
        self.run_on_response(&mut store).await?;
        match store.into_data().call {
            OpenCall::Response(call) => Ok(call),
            _ => unreachable!("nothing takes the call out of its store"),
        }
    }

    /// Starts an instance and finds its exports with the right types, without
    /// calling any.
    pub(crate) async fn prove_start(&self) -> Result<(), LoadError> {
        let plugin = &self.plugin;
        let _slot = plugin.engine.slots(plugin.slots).await?;
        let mut store = plugin.store(&self.identity, OpenCall::None);
        let instance = self.start(&mut store).await?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        plugin
            .configuration
            .load(&mut store, &instance)
            .map_err(mismatch)?;
        if let Some(handler) = &plugin.request_handler {
            handler.load(&mut store, &instance).map_err(mismatch)?;
        }
        if let Some(handler) = &plugin.response_handler {
            handler.load(&mut store, &instance).map_err(mismatch)?;
        }
        Ok(())
    }

    async fn run_on_request(&self, store: &mut Store<CallState>) -> Result<Verdict, SandboxError> {
        let Some(handler) = &self.plugin.request_handler else {
            return Err(SandboxError::WrongPhase("request handler"));
        };
        let instance = self.ready(store).await?;
        let result = match handler.load(&mut *store, &instance) {
            Ok(handler) => in_time(store, |store| handler.call_on_request(store)).await?,
            Err(error) => Err(error),
        };
        checked(self.finish(store, result)?)
    }

    async fn run_on_response(&self, store: &mut Store<CallState>) -> Result<(), SandboxError> {
        let Some(handler) = &self.plugin.response_handler else {
            return Err(SandboxError::WrongPhase("response handler"));
        };
        let instance = self.ready(store).await?;
        let result = match handler.load(&mut *store, &instance) {
            Ok(handler) => in_time(store, |store| handler.call_on_response(store)).await?,
            Err(error) => Err(error),
        };
        self.finish(store, result)
    }

    /// An instance that is configured and may see its call.
    async fn ready(&self, store: &mut Store<CallState>) -> Result<Instance, SandboxError> {
        let instance = self.start(store).await?;
        self.configure(store, &instance).await?;
        store.data_mut().enter_handler();
        Ok(instance)
    }

    /// What a handler's answer is worth.
    fn finish<T>(
        &self,
        store: &mut Store<CallState>,
        result: wasmtime::Result<Result<T, String>>,
    ) -> Result<T, SandboxError> {
        if let Some(error) = store.data_mut().gateway_error() {
            return Err(error.into());
        }
        let answer = result.map_err(|error| self.failure(store, &error))?;
        answer.map_err(|reason| SandboxError::GuestError(printable(&reason)))
    }

    async fn start(&self, store: &mut Store<CallState>) -> Result<Instance, SandboxError> {
        let component = &self.plugin.component;
        let started = in_time(store, |store| component.instantiate_async(store)).await?;
        started.map_err(|error| self.failure(store, &error))
    }

    async fn configure(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> Result<(), SandboxError> {
        let text = String::from_utf8_lossy(&self.identity.configuration);
        let result = match self.plugin.configuration.load(&mut *store, instance) {
            Ok(guest) => in_time(store, |store| guest.call_configure(store, &text)).await?,
            Err(error) => Err(error),
        };
        let answer = result.map_err(|error| self.failure(store, &error))?;
        answer.map_err(|reason| SandboxError::ConfigurationRejected(printable(&reason)))
    }

    /// Names the cause of a failed call into the guest.
    fn failure(&self, store: &Store<CallState>, error: &wasmtime::Error) -> SandboxError {
        if error.is::<PoolConcurrencyLimitError>() {
            return SandboxError::Saturated(std::time::Duration::ZERO);
        }
        let state = store.data();
        let trap = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => return SandboxError::Deadline(state.clock.compute_limit()),
            Some(trap) => trap.to_string(),
            None => printable(&format!("{error:#}")),
        };
        match state.memory.refused {
            true => SandboxError::Memory {
                limit: self.plugin.limits.memory,
                trap,
            },
            false => SandboxError::Trap(trap),
        }
    }
}

/// Lets the guest run as long as its clock allows.
async fn in_time<'a, T, F>(
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

/// A stop that could not be sent as HTTP is a failure of the filter.
fn checked(verdict: request_handler::Verdict) -> Result<Verdict, SandboxError> {
    let request_handler::Verdict::Stop(stop) = verdict else {
        return Ok(Verdict::Next);
    };
    let mut valid = validate::final_status(stop.status);
    for header in &stop.headers {
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
        Err(Error::Invalid(reason)) => Err(SandboxError::InvalidStop(reason)),
        Err(other) => Err(SandboxError::InvalidStop(other.to_string())),
    }
}
