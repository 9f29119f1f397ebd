//! A plugin with its configuration, run on one call after the other. Decides
//! what an instance is made from and how long it lives: by default a fresh one
//! for each call, gone with its store and all it wrote when the call is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use crate::account::Instructions;
use crate::call_state::{CallState, Edits, Identity, OpenCall};
use crate::image::Image;
use crate::instance::{Instance, failure};
use crate::snapshot::Snapshot;
use crate::spending::Spending;
use crate::warm::WarmInstances;
use crate::{
    Failed, Grants, InstancePolicy, Plugin, RequestCall, ResponseCall, SandboxError,
    SnapshotPolicy, Verdict,
};

/// One plugin with one configuration.
#[derive(Clone)]
pub struct Filter {
    pub(crate) shared: Arc<Shared>,
}

/// What the calls of a filter share, and the caretaker with them.
pub(crate) struct Shared {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) identity: Arc<Identity>,
    /// Where instances start from, once there is one.
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    spending: Spending,
    /// Boxed: most filters have none, and there can be thousands of them.
    pub(crate) warm: Option<Box<WarmInstances>>,
    /// The engine's tick of the last call.
    pub(crate) last_used: AtomicU64,
    /// For the caretaker, which must not keep it alive.
    itself: Weak<Shared>,
}

/// Slots of instances that are kept to be put back, over all filters. Each has
/// up to 256 KiB of memory.
const AS_NEW: u32 = 64;

impl Filter {
    /// Joins a plugin and a configuration text as the gateway sent it; `route`
    /// is what the log calls where it came from. Nothing runs yet.
    pub fn new(plugin: Arc<Plugin>, configuration: Arc<[u8]>, route: Arc<str>) -> Self {
        let grants = Arc::clone(&plugin.settings.grants);
        Filter::with_grants(plugin, configuration, route, grants)
    }

    /// The same with other grants than the plugin's settings have. What it may
    /// import was decided by those when it was loaded.
    pub fn with_grants(
        plugin: Arc<Plugin>,
        configuration: Arc<[u8]>,
        route: Arc<str>,
        grants: Arc<Grants>,
    ) -> Self {
        let identity = Identity {
            account: Arc::clone(&plugin.account),
            configuration,
            route,
            grants,
        };
        let warm = match plugin.settings.instances {
            InstancePolicy::Fresh => None,
            InstancePolicy::Warm { uses, idle } => Some(Box::new(WarmInstances::new(uses, idle))),
        };
        let shared = Arc::new_cyclic(|itself| Shared {
            identity: Arc::new(identity),
            snapshot: ArcSwapOption::empty(),
            spending: Spending::new(plugin.settings.snapshot),
            last_used: AtomicU64::new(plugin.engine.now()),
            warm,
            plugin,
            itself: Weak::clone(itself),
        });
        if shared.warm.is_some() {
            shared
                .plugin
                .engine
                .caretaker()
                .watch(Weak::clone(&shared.itself));
        }
        Filter { shared }
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.shared.plugin.name
    }

    /// Runs the guest's `configure` once, to know whether it accepts its
    /// configuration.
    ///
    /// # Errors
    /// The guest's reason, or how it failed to give one.
    pub async fn check(&self) -> Result<(), SandboxError> {
        let shared = &self.shared;
        let outcome = shared.try_check().await;
        let refused = matches!(outcome, Err(SandboxError::ConfigurationRejected(_)));
        if !refused && shared.plugin.settings.snapshot == SnapshotPolicy::Always {
            shared.ask_for_snapshot();
        }
        outcome
    }

    /// Lets the filter look at a request. The call comes back as the filter
    /// left it.
    ///
    /// # Errors
    /// How the filter failed, with the call as it was before where the plugin's
    /// settings ask for it.
    pub async fn on_request(
        &self,
        call: Box<RequestCall>,
    ) -> Result<(Box<RequestCall>, Verdict), Failed<RequestCall>> {
        if self.shared.plugin.image.request_handler.is_none() {
            let error = SandboxError::WrongPhase("request handler");
            return Err(Failed::before(error, call));
        }
        match self.serve(OpenCall::Request(call)).await {
            Ok((OpenCall::Request(call), verdict)) => Ok((call, verdict)),
            Err((error, OpenCall::Request(call))) => Err(Failed::before(error, call)),
            Err((error, _)) => Err(error.into()),
            Ok(_) => unreachable!("nothing takes the call out of its store"),
        }
    }

    /// Lets the filter look at a response, in the same way.
    ///
    /// # Errors
    /// How the filter failed.
    pub async fn on_response(
        &self,
        call: Box<ResponseCall>,
    ) -> Result<Box<ResponseCall>, Failed<ResponseCall>> {
        if self.shared.plugin.image.response_handler.is_none() {
            let error = SandboxError::WrongPhase("response handler");
            return Err(Failed::before(error, call));
        }
        match self.serve(OpenCall::Response(call)).await {
            Ok((OpenCall::Response(call), _)) => Ok(call),
            Err((error, OpenCall::Response(call))) => Err(Failed::before(error, call)),
            Err((error, _)) => Err(error.into()),
            Ok(_) => unreachable!("nothing takes the call out of its store"),
        }
    }

    /// Serves a call when it is the plugin's turn, where it may take long. One
    /// that fails comes back with the error, or `OpenCall::None` in its place.
    async fn serve(&self, call: OpenCall) -> Result<(OpenCall, Verdict), (SandboxError, OpenCall)> {
        let plugin = &self.shared.plugin;
        let _turn = match plugin.account.turn(plugin.image.slots).await {
            Ok(turn) => turn,
            Err(error) => return Err((error, call)),
        };
        let work = Arc::clone(&self.shared).run(call);
        plugin.engine.slow_lane().run(&plugin.account, work).await
    }
}

impl Shared {
    async fn try_check(&self) -> Result<(), SandboxError> {
        let image = &self.plugin.image;
        let mut instance = self.start(image).await?;
        instance.configure(image).await
    }

    async fn start(&self, image: &Image) -> Result<Instance, SandboxError> {
        let wait = self.plugin.settings.limits.wait;
        Instance::start(&self.plugin.engine, image, wait, || self.state()).await
    }

    fn image<'a>(&'a self, snapshot: Option<&'a Snapshot>) -> &'a Image {
        snapshot.map_or(&self.plugin.image, |snapshot| &snapshot.image)
    }

    pub(crate) fn state(&self) -> CallState {
        CallState::new(Arc::clone(&self.identity))
    }

    /// Lets an instance handle a call.
    async fn run(
        self: Arc<Self>,
        call: OpenCall,
    ) -> Result<(OpenCall, Verdict), (SandboxError, OpenCall)> {
        self.touch();
        let snapshot = self.snapshot.load();
        let image = self.image(snapshot.as_deref());
        let mut instance = match self.ready(image, snapshot.as_deref()).await {
            Ok(instance) => instance,
            Err(error) => return Err((error, call)),
        };
        let before = match self.plugin.settings.keep_failed_calls {
            true => call.edits(),
            false => Edits::None,
        };
        let engine = &self.plugin.engine;
        let configure = instance.instructions(engine);
        let is_request = matches!(call, OpenCall::Request(_));
        let configuring = instance.open(call);
        if instance.was_configured_now()
            && self.spending.add(configuring, &self.plugin.capture_cost)
        {
            self.ask_for_snapshot();
        }
        let outcome = match is_request {
            true => instance.on_request(image).await,
            false => {
                let done = instance.on_response(image).await;
                done.map(|()| Verdict::Next)
            }
        };
        self.plugin.account.note_memory(instance.memory());
        if let (Some(configure), Some(all)) = (configure, instance.instructions(engine)) {
            let handler = all - configure;
            let instructions = Instructions { configure, handler };
            self.plugin.account.note_instructions(instructions);
        }
        match outcome {
            Ok(verdict) => Ok((self.done(instance, snapshot.as_deref()).await, verdict)),
            // The instance ends here, whatever it was at.
            Err(error) => Err((error, instance.close().back_to(before))),
        }
    }

    /// An instance that is configured.
    async fn ready(
        &self,
        image: &Image,
        snapshot: Option<&Snapshot>,
    ) -> Result<Instance, SandboxError> {
        let waiting = match &self.warm {
            Some(warm) => warm.take(),
            None => snapshot.and_then(|snapshot| snapshot.as_new.take()),
        };
        if let Some(instance) = waiting {
            return Ok(instance);
        }
        let mut instance = self.start(image).await?;
        if std::ptr::eq(image, &self.plugin.image) {
            let configured = instance.configure(image).await;
            self.plugin.account.note_memory(instance.memory());
            configured?;
        }
        if self.warm.is_some() {
            let found = instance.keep_handlers(image);
            found.map_err(|error| failure(&instance.store, &error))?;
        }
        Ok(instance)
    }

    /// Takes the call back. The instance did well; it may serve again where
    /// the operator said so, or where it can be made as good as new.
    async fn done(&self, mut instance: Instance, snapshot: Option<&Snapshot>) -> OpenCall {
        let call = instance.close();
        let engine = &self.plugin.engine;
        if engine.is_crowded() || instance.left_requests() {
            return call;
        }
        match (&self.warm, snapshot) {
            (Some(warm), _) => {
                if instance.keep(engine, u32::MAX) {
                    warm.park(instance, engine.now());
                }
            }
            (None, Some(snapshot)) => {
                if instance.keep(engine, AS_NEW) && instance.put_back(&snapshot.image).await {
                    snapshot.as_new.park(instance, engine.now());
                }
            }
            (None, None) => {}
        }
        call
    }

    fn touch(&self) {
        let now = self.plugin.engine.now();
        // Written only when it changes: other threads read it.
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }

    fn ask_for_snapshot(&self) {
        let itself = Weak::clone(&self.itself);
        self.plugin.engine.caretaker().capture(itself);
    }

    /// From here on instances configure themselves again, and may come to cost
    /// enough for another snapshot.
    pub(crate) fn forget_snapshot(&self) {
        self.snapshot.store(None);
        self.spending.begin_anew();
    }

    /// There is no snapshot this time; the next one has to cost more in vain
    /// before it is asked for.
    pub(crate) fn put_off_snapshot(&self) {
        self.spending.put_off();
    }
}
