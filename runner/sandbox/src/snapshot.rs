//! The state of an instance after `configure`, captured and compiled into an
//! image of its own: later instances start from it, each in memory of its own,
//! with the configuration applied. Nothing of a request is ever in it, since it
//! is taken of an instance that never saw one.

use std::time::Duration;

use wasmtime::component::{Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::filter::Shared;
use crate::image::Image;
use crate::instance::{Instance, in_time};
use crate::warm::WarmInstances;
use crate::{CompileError, LoadError, Plugin, SandboxError, Shape, restore, shim};

/// A captured configuration.
pub(crate) struct Snapshot {
    pub(crate) image: Image,
    /// Instances of it that were put back to how they began.
    pub(crate) as_new: WarmInstances,
    /// Bytes it takes, about: its code and its memory.
    pub(crate) size: usize,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCaptured {
    #[error("its configure asks for {0}, and every call would get the same answer")]
    Outside(&'static str),
    #[error("after configure it holds a stream or a timer of the host")]
    HoldsResources,
    #[error(
        "its state takes {size} bytes and all snapshots together may take {budget}; raise \
         limits.snapshots_mib"
    )]
    TooLarge { size: usize, budget: usize },
    #[error("the component has resources of its own, which a captured instance would not have")]
    OwnResources,
    #[error("the component is not of a kind that can be captured: {0}")]
    Unsupported(String),
    #[error(transparent)]
    Failed(#[from] SandboxError),
    #[error("the captured component does not load: {0}")]
    Unloadable(#[from] LoadError),
    #[error(transparent)]
    Compile(CompileError),
}

/// What capturing a component of so many bytes will cost, in microseconds, as
/// long as nobody has measured it: 25 ms for 15 KB.
pub(crate) fn expected_cost(wasm: usize) -> u64 {
    5_000 + u64::try_from(wasm).unwrap_or(u64::MAX / 2) * 4 / 3
}

/// A component rebuilt so that its state can be read. The same for every
/// configuration.
pub(crate) struct Readable {
    image: Image,
    /// What it was rebuilt from, where that is not the plugin's own.
    direct: Option<Vec<u8>>,
}

/// Rebuilds and compiles a component so that its state can be read.
pub(crate) fn readable(plugin: &Plugin) -> Result<Readable, NotCaptured> {
    let Rebuilt { direct, wasm } = rebuilt(plugin)?;
    let component = plugin.engine.compile(&wasm, Shape::AsItIs)?;
    let image = Image::link(&plugin.engine, &component)?;
    Ok(Readable { image, direct })
}

/// A component whose state can be read.
pub(crate) struct Rebuilt {
    direct: Option<Vec<u8>>,
    wasm: Vec<u8>,
}

/// Rebuilds a component so that its state can be read, or says why that cannot
/// be done.
pub(crate) fn rebuilt(plugin: &Plugin) -> Result<Rebuilt, NotCaptured> {
    if shim::owns_resources(&plugin.wasm) {
        return Err(NotCaptured::OwnResources);
    }
    let direct = shim::without(&plugin.wasm);
    let instrumented = Wizer::new().instrument_component(direct.as_deref().unwrap_or(&plugin.wasm));
    let (_, wasm) = instrumented.map_err(unsupported)?;
    Ok(Rebuilt { direct, wasm })
}

/// Configures an instance of its own and captures what comes out. `strict`:
/// not when the guest looked at something that is another each time. `budget`:
/// not when it takes more bytes than that.
pub(crate) async fn capture(
    filter: &Shared,
    readable: &Readable,
    strict: bool,
    budget: usize,
) -> Result<Snapshot, NotCaptured> {
    let plugin = &filter.plugin;
    let (context, _) = Wizer::new()
        .instrument_component(readable.direct.as_deref().unwrap_or(&plugin.wasm))
        .map_err(unsupported)?;
    let image = &readable.image;
    let state = || {
        let mut state = filter.state();
        state.quiet = true;
        state
    };
    let mut instance =
        Instance::start(&plugin.engine, image, plugin.account.limits.wait, state).await?;
    instance.configure(image).await?;
    let state = instance.store.data();
    let size = state.memory.used() + plugin.wasm.len();
    if size > budget {
        return Err(NotCaptured::TooLarge { size, budget });
    }
    match state.outside {
        Some(outside) if strict => return Err(NotCaptured::Outside(outside)),
        _ if state.holds_resources() => return Err(NotCaptured::HoldsResources),
        _ => {}
    }
    let mut reader = Reader {
        instance,
        failed: None,
    };
    let captured = Wizer::new().snapshot_component(&context, &mut reader).await;
    if let Some(error) = reader.failed {
        return Err(error.into());
    }
    drop(reader);
    compile(filter, &captured.map_err(unsupported)?).await
}

async fn compile(filter: &Shared, wasm: &[u8]) -> Result<Snapshot, NotCaptured> {
    if let Some(restorable) = restore::with(wasm) {
        match load(filter, &restorable, true).await {
            Ok(snapshot) => return Ok(snapshot),
            // The other way it is the same work.
            Err(NotCaptured::Compile(error)) => return Err(error.into()),
            Err(error) => tracing::debug!("instances are not put back: {error}"),
        }
    }
    load(filter, wasm, false).await
}

async fn load(filter: &Shared, wasm: &[u8], restorable: bool) -> Result<Snapshot, NotCaptured> {
    let engine = &filter.plugin.engine;
    let wait = filter.plugin.account.limits.wait;
    let component = engine.compile(wasm, Shape::AsItIs)?;
    let mut image = Image::link(engine, &component)?;
    let code = component.image_range();
    // It is there to save work: it has to work.
    let mut proof = Instance::start(engine, &image, wait, || filter.state()).await?;
    proof.find_exports(&image).map_err(unsupported)?;
    if restorable {
        image.restore = component.get_export_index(None, restore::RESTORE);
        if !proof.put_back(&image).await {
            return Err(NotCaptured::Unsupported("it cannot be put back".into()));
        }
    }
    Ok(Snapshot {
        image,
        as_new: WarmInstances::new(AS_NEW_USES, AS_NEW_IDLE),
        size: code.end.addr() - code.start.addr() + wasm.len(),
    })
}

/// Calls that an instance serves at most, put back before each: a bound for
/// what nobody has thought of.
const AS_NEW_USES: u32 = 100_000;

/// How long it waits for the next.
const AS_NEW_IDLE: Duration = Duration::from_secs(10);

impl From<CompileError> for NotCaptured {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(text) => NotCaptured::Unsupported(text),
            limited => NotCaptured::Compile(limited),
        }
    }
}

fn unsupported(error: wasmtime::Error) -> NotCaptured {
    NotCaptured::Unsupported(format!("{error:#}"))
}

/// Reads an instance's state through the functions that `readable` added.
struct Reader {
    instance: Instance,
    /// The first reading that failed; what was read is worth nothing then.
    failed: Option<SandboxError>,
}

impl Reader {
    async fn read<R>(&mut self, interface: &str, function: &str) -> Option<R>
    where
        R: Lift + Send + Sync + 'static,
    {
        let outcome = self.call(interface, function).await;
        outcome
            .map_err(|error| self.failed.get_or_insert(error).clone())
            .ok()
    }

    async fn call<R>(&mut self, interface: &str, function: &str) -> Result<R, SandboxError>
    where
        R: Lift + Send + Sync + 'static,
    {
        let missing = || SandboxError::Trap(format!("{interface}#{function} is not there"));
        let Instance {
            store, instance, ..
        } = &mut self.instance;
        let (_, interface) = instance
            .get_export(&mut *store, None, interface)
            .ok_or_else(missing)?;
        let (_, function) = instance
            .get_export(&mut *store, Some(&interface), function)
            .ok_or_else(missing)?;
        let function = instance.get_typed_func::<(), (R,)>(&mut *store, function);
        let function = function.map_err(|error| SandboxError::Trap(format!("{error:#}")))?;
        let result = in_time(store, |store| function.call_async(store, ())).await?;
        result
            .map(|(value,)| value)
            .map_err(|error| SandboxError::Trap(format!("{error:#}")))
    }
}

impl ComponentInstanceState for Reader {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        match self.read::<WasmList<u8>>(instance, func).await {
            Some(list) => contents(list.as_le_slice(&self.instance.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read::<f32>(instance, func)
            .await
            .unwrap_or_default()
            .to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read::<f64>(instance, func)
            .await
            .unwrap_or_default()
            .to_bits()
    }
}
