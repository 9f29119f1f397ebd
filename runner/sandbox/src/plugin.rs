//! One component, compiled and linked once, from which instances are made.

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre};
use wasmtime::{Precompiled, Store, UpdateDeadline};

use crate::bindings::exports::apisix::filter::{configuration, request_handler, response_handler};
use crate::call_state::{CallState, Identity, OpenCall};
use crate::engine::TABLES_PER_SLOT;
use crate::{Engine, Filter, Limits, LoadError, imports};

/// A plugin that can serve calls.
pub struct Plugin {
    pub(crate) engine: Arc<Engine>,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    /// How many of the engine's slots one instance takes.
    pub(crate) slots: u32,
    pub(crate) component: InstancePre<CallState>,
    pub(crate) configuration: configuration::GuestIndices,
    pub(crate) request_handler: Option<request_handler::GuestIndices>,
    pub(crate) response_handler: Option<response_handler::GuestIndices>,
}

impl Plugin {
    /// Compiles and links a component on a thread of its own, then proves that
    /// an instance of it can be started. Never call it inside a call: it takes
    /// milliseconds to seconds.
    ///
    /// # Errors
    /// [`LoadError`], in the terms of the component's author.
    pub async fn load(
        engine: &Arc<Engine>,
        name: &str,
        wasm: Vec<u8>,
        limits: Limits,
    ) -> Result<Arc<Self>, LoadError> {
        let (engine, name) = (Arc::clone(engine), Arc::from(name));
        let compiled = tokio::task::spawn_blocking(move || compile(engine, name, &wasm, limits));
        let plugin = match compiled.await {
            Ok(plugin) => Arc::new(plugin?),
            Err(panic) => return Err(LoadError::Invalid(format!("the compiler failed: {panic}"))),
        };
        Filter::new(Arc::clone(&plugin), Vec::new().into())
            .prove_start()
            .await?;
        Ok(plugin)
    }

    /// A store for one call: limited in memory, interrupted at every tick.
    pub(crate) fn store(&self, identity: &Arc<Identity>, call: OpenCall) -> Store<CallState> {
        let state = CallState::new(Arc::clone(identity), &self.limits, call);
        let mut store = Store::new(self.engine.wasmtime(), state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            Ok(match context.data().clock.charge() {
                false => UpdateDeadline::Interrupt,
                // Whoever else waits for this thread gets a turn.
                true => UpdateDeadline::Yield(1),
            })
        });
        store
    }
}

fn compile(
    engine: Arc<Engine>,
    name: Arc<str>,
    wasm: &[u8],
    limits: Limits,
) -> Result<Plugin, LoadError> {
    recognise(wasm)?;
    let invalid = |error: wasmtime::Error| LoadError::Invalid(format!("{error:#}"));
    let component = Component::new(engine.wasmtime(), wasm).map_err(|error| refused(&error))?;
    imports::check(&component)?;
    imports::check_exports(&component)?;
    let slots = slots(&component)?;
    let linker = engine.linker(imports::needs_wasi(&component));
    let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
    let pre = linker.instantiate_pre(&component).map_err(mismatch)?;
    // Without it, the first call would pay for the memory image.
    component
        .initialize_copy_on_write_image()
        .map_err(invalid)?;
    let configuration = configuration::GuestIndices::new(&pre);
    let request_handler = request_handler::GuestIndices::new(&pre).ok();
    let response_handler = response_handler::GuestIndices::new(&pre).ok();
    match configuration {
        Ok(configuration) if request_handler.is_some() || response_handler.is_some() => {
            Ok(Plugin {
                engine,
                name,
                limits,
                slots,
                component: pre,
                configuration,
                request_handler,
                response_handler,
            })
        }
        _ => Err(LoadError::NotAFilter {
            found: exports(&component),
        }),
    }
}

/// wasmtime says in one breath that a component is malformed and that it is
/// too large for a slot of the pool.
fn refused(error: &wasmtime::Error) -> LoadError {
    let text = format!("{error:#}");
    match text.contains("pooling allocator") {
        true => LoadError::TooLarge(text),
        false => LoadError::Invalid(text),
    }
}

/// A slot has one memory and [`TABLES_PER_SLOT`] tables; a component with more
/// of them takes several, so that the pool never runs out before the slots do.
fn slots(component: &Component) -> Result<u32, LoadError> {
    let Some(needs) = component.resources_required() else {
        let text = "it imports modules, so what it needs is not known".into();
        return Err(LoadError::TooLarge(text));
    };
    Ok(needs
        .num_memories
        .max(needs.num_tables.div_ceil(TABLES_PER_SLOT))
        .max(1))
}

/// Tells what kind of file it is by its first bytes.
fn recognise(wasm: &[u8]) -> Result<(), LoadError> {
    if let Some(Precompiled::Module | Precompiled::Component) =
        wasmtime::Engine::detect_precompiled(wasm)
    {
        return Err(LoadError::Precompiled);
    }
    // WebAssembly core specification 5.5.16; the component model puts a layer
    // number into the upper half of the version.
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', ..]) => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm {
            found: describe(wasm),
        }),
    }
}

fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "an empty file".into(),
        [0x7f, b'E', b'L', b'F', ..] => "a native ELF file".into(),
        _ if bytes.starts_with(b"(") => {
            "WebAssembly text; translate it with `wasm-tools parse` first".into()
        }
        _ => format!(
            "a file that begins with {:02x?}",
            &bytes[..bytes.len().min(8)]
        ),
    }
}

fn exports(component: &Component) -> String {
    let ty = component.component_type();
    let names: Vec<&str> = ty
        .exports(component.engine())
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        "nothing".into()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wasmtime_precompiled_should_be_recognised() {
        let wasmtime = wasmtime::Engine::default();
        let component = b"\0asm\x0d\0\x01\0";
        let native = wasmtime.precompile_component(component).expect("compiled");
        assert!(matches!(recognise(&native), Err(LoadError::Precompiled)));
        assert!(recognise(component).is_ok());
    }
}
