//! A plugin with its configuration, run on one call after the other. Decides
//! what an instance is made from and how long it lives: by default a fresh one
//! for each call, gone with its store and all it wrote when the call is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use crate::call_state::{CallState, Identity, OpenCall};
use crate::image::Image;
use crate::instance::{Instance, failure};
use crate::snapshot::Snapshot;
use crate::spending::Spending;
use crate::warm::WarmInstances;
use crate::{
    Failed, InstancePolicy, Plugin, RequestCall, ResponseCall, SandboxError, SnapshotPolicy,
    Verdict,
};

/// One plugin with one configuration.
#[derive(Clone)]
pub struct Filter {
    shared: Arc<Shared>,
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
    /// Joins a plugin and a configuration text as the gateway sent it. Nothing
    /// runs yet.
    pub fn new(plugin: Arc<Plugin>, configuration: Arc<[u8]>) -> Self {
        let identity = Identity {
            name: Arc::clone(&plugin.name),
            configuration,
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
    /// How the filter failed; the call is gone with all edits.
    pub async fn on_request(
        &self,
        call: Box<RequestCall>,
    ) -> Result<(Box<RequestCall>, Verdict), Failed<RequestCall>> {
        let shared = &*self.shared;
        if shared.plugin.image.request_handler.is_none() {
            return Err(SandboxError::WrongPhase("request handler").into());
        }
        let snapshot = shared.snapshot.load();
        let image = shared.image(snapshot.as_deref());
        let mut instance = shared
            .ready(image, snapshot.as_deref(), OpenCall::Request(call))
            .await?;
        let verdict = instance.on_request(image).await?;
        match shared.done(instance, snapshot.as_deref()).await {
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
    ) -> Result<Box<ResponseCall>, Failed<ResponseCall>> {
        let shared = &*self.shared;
        if shared.plugin.image.response_handler.is_none() {
            return Err(SandboxError::WrongPhase("response handler").into());
        }
        let snapshot = shared.snapshot.load();
        let image = shared.image(snapshot.as_deref());
        let mut instance = shared
            .ready(image, snapshot.as_deref(), OpenCall::Response(call))
            .await?;
        instance.on_response(image).await?;
        match shared.done(instance, snapshot.as_deref()).await {
            OpenCall::Response(call) => Ok(call),
            _ => unreachable!("nothing takes the call out of its store"),
        }
    }
}

impl Shared {
    async fn try_check(&self) -> Result<(), SandboxError> {
        let image = &self.plugin.image;
        let mut instance = Instance::start(&self.plugin.engine, image, || self.state()).await?;
        instance.configure(image).await
    }

    fn image<'a>(&'a self, snapshot: Option<&'a Snapshot>) -> &'a Image {
        snapshot.map_or(&self.plugin.image, |snapshot| &snapshot.image)
    }

    pub(crate) fn state(&self) -> CallState {
        CallState::new(Arc::clone(&self.identity), &self.plugin.settings.limits)
    }

    /// An instance that is configured and sees its call.
    async fn ready(
        &self,
        image: &Image,
        snapshot: Option<&Snapshot>,
        call: OpenCall,
    ) -> Result<Instance, SandboxError> {
        self.touch();
        let waiting = match &self.warm {
            Some(warm) => warm.take(),
            None => snapshot.and_then(|snapshot| snapshot.as_new.take()),
        };
        if let Some(mut instance) = waiting {
            instance.open(call);
            return Ok(instance);
        }
        let engine = &self.plugin.engine;
        let mut instance = Instance::start(engine, image, || self.state()).await?;
        if std::ptr::eq(image, &self.plugin.image) {
            instance.configure(image).await?;
            let took = instance.open(call);
            if self.spending.add(took, &self.plugin.capture_cost) {
                self.ask_for_snapshot();
            }
        } else {
            instance.open(call);
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
        if engine.is_crowded() {
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
