//! One component, compiled and linked once, from which instances are made.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use wasmtime::Precompiled;
use wasmtime::component::Component;

use crate::account::{Account, PluginUsage};
use crate::call_state::{CallState, Identity};
use crate::disk_cache::Keep;
use crate::image::Image;
use crate::instance::Instance;
use crate::{
    CodeOrigin, CompileError, Engine, LoadError, PluginSettings, componentise, disk_cache, imports,
    outermost, snapshot,
};

/// A plugin that can serve calls.
pub struct Plugin {
    pub(crate) engine: Arc<Engine>,
    pub(crate) name: Arc<str>,
    pub(crate) account: Arc<Account>,
    pub(crate) settings: PluginSettings,
    pub(crate) image: Image,
    code_origin: CodeOrigin,
    pub(crate) was_core_module: bool,
    /// What it was compiled from; snapshots are made of it.
    pub(crate) wasm: Vec<u8>,
    /// What capturing a configuration has cost, or will: microseconds.
    pub(crate) capture_cost: AtomicU64,
}

/// Which calls a plugin can serve; one of them at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// About requests.
    pub request: bool,
    /// About responses.
    pub response: bool,
}

impl Plugin {
    /// Compiles a component, or finds it compiled in the engine's cache, and
    /// links it on a thread of its own, then proves that an instance of it can
    /// be started. Never call it inside a call: it takes milliseconds to
    /// seconds.
    ///
    /// `before` is the version that this one is to follow: both have one
    /// account, so that a plugin has no larger share of anything while calls
    /// of two versions run, and its figures go on.
    ///
    /// # Errors
    /// [`LoadError`], in the terms of the component's author.
    pub async fn load(
        engine: &Arc<Engine>,
        name: &str,
        wasm: Vec<u8>,
        settings: PluginSettings,
        before: Option<&Plugin>,
    ) -> Result<Arc<Self>, LoadError> {
        let loaded = Plugin::try_load(engine, name, wasm, settings, before).await;
        // Names of imports and the like are a stranger's.
        loaded.map_err(LoadError::printable)
    }

    async fn try_load(
        engine: &Arc<Engine>,
        name: &str,
        wasm: Vec<u8>,
        settings: PluginSettings,
        before: Option<&Plugin>,
    ) -> Result<Arc<Self>, LoadError> {
        let (engine, name) = (Arc::clone(engine), Arc::from(name));
        // The disk would keep the new version from serving.
        let keep = match before {
            None => Keep::Now,
            Some(_) => Keep::Later,
        };
        let compile = move || compile(engine, name, wasm, settings, keep);
        let compiled = tokio::task::spawn_blocking(compile);
        let mut plugin = match compiled.await {
            Ok(plugin) => plugin?,
            Err(panic) => return Err(LoadError::Invalid(format!("the compiler failed: {panic}"))),
        };
        if let Some(before) = before {
            plugin.account = Arc::clone(&before.account);
        }
        let plugin = Arc::new(plugin);
        plugin.prove_start().await?;
        if keep == Keep::Later && plugin.code_origin == CodeOrigin::Compiled {
            plugin.engine.caretaker().keep_code(Arc::downgrade(&plugin));
        }
        Ok(plugin)
    }

    /// Whether it was compiled when it was loaded.
    pub fn code_origin(&self) -> CodeOrigin {
        self.code_origin
    }

    /// The phases that it has a handler for.
    pub fn phases(&self) -> Phases {
        Phases {
            request: self.image.request_handler.is_some(),
            response: self.image.response_handler.is_some(),
        }
    }

    /// Makes the next version quick to compile, where this one was not compiled
    /// by this process: most functions of a filter in an interpreted language are
    /// the interpreter's, and those that were compiled once are remembered.
    /// Returns at once; takes as long as compiling it, on a thread that gives
    /// way to all others.
    pub fn anticipate(self: &Arc<Self>) {
        if self.code_origin == CodeOrigin::DiskCache {
            self.engine.caretaker().anticipate(Arc::downgrade(self));
        }
    }

    /// What its instances have used so far.
    pub fn usage(&self) -> PluginUsage {
        self.account.usage()
    }

    /// Starts an instance and finds its exports with the right types, without
    /// calling any.
    async fn prove_start(&self) -> Result<(), LoadError> {
        let identity = Identity {
            account: Arc::clone(&self.account),
            configuration: Arc::from([]),
            route: Arc::from(""),
            grants: Arc::clone(&self.settings.grants),
        };
        let state = || CallState::new(Arc::new(identity));
        let mut instance =
            Instance::start(&self.engine, &self.image, self.settings.limits.wait, state).await?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        instance.find_exports(&self.image).map_err(mismatch)
    }
}

fn compile(
    engine: Arc<Engine>,
    name: Arc<str>,
    wasm: Vec<u8>,
    settings: PluginSettings,
    keep: Keep,
) -> Result<Plugin, LoadError> {
    let kind = recognise(&wasm)?;
    let wasm = match kind {
        Kind::Component => wasm,
        Kind::CoreModule => componentise::component_of(&wasm)?,
    };
    let compiled = disk_cache::component(&engine, &wasm, keep);
    let compiled = compiled.map_err(refused)?;
    let plugin = linked(engine, name, wasm, settings, compiled)?;
    Ok(Plugin {
        was_core_module: kind == Kind::CoreModule,
        ..plugin
    })
}

/// `compiled` is the code of `wasm`, in whatever way it was made.
pub(crate) fn linked(
    engine: Arc<Engine>,
    name: Arc<str>,
    wasm: Vec<u8>,
    settings: PluginSettings,
    (component, code_origin): (Component, CodeOrigin),
) -> Result<Plugin, LoadError> {
    imports::check(&component, &name, &settings.grants)?;
    imports::check_exports(&component)?;
    let image = Image::link(&engine, &component)?;
    let account = engine.account(Arc::clone(&name), settings.limits);
    Ok(Plugin {
        engine,
        account: Arc::new(account),
        name,
        settings,
        image,
        code_origin,
        was_core_module: false,
        capture_cost: AtomicU64::new(snapshot::expected_cost(wasm.len())),
        wasm,
    })
}

/// wasmtime says in one breath that a component is malformed and that it is
/// too large for a slot of the pool.
fn refused(error: CompileError) -> LoadError {
    match error {
        CompileError::Refused(text) if text.contains("pooling allocator") => {
            LoadError::TooLarge(text)
        }
        CompileError::Refused(text) => LoadError::Invalid(text),
        other => LoadError::Compile(other),
    }
}

/// The two formats of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Component,
    CoreModule,
}

/// Tells what kind of file it is by its first bytes, and whether it is all
/// there: it may be in the middle of being copied.
pub(crate) fn recognise(wasm: &[u8]) -> Result<Kind, LoadError> {
    if let Some(Precompiled::Module | Precompiled::Component) =
        wasmtime::Engine::detect_precompiled(wasm)
    {
        return Err(LoadError::Precompiled);
    }
    // WebAssembly core specification 5.5.16; the component model puts a layer
    // number into the upper half of the version.
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', _, _, layer @ (0 | 1), 0]) => {
            if outermost::ends_early(wasm) || !outermost::are_whole(wasm) {
                let text = "the file ends in the middle of a section; copy it again";
                return Err(LoadError::Invalid(text.into()));
            }
            match layer {
                0 => Ok(Kind::CoreModule),
                _ => Ok(Kind::Component),
            }
        }
        _ => Err(LoadError::NotWasm {
            found: describe(wasm),
        }),
    }
}

fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "an empty file".into(),
        [0x7f, b'E', b'L', b'F', ..] => "a native ELF file".into(),
        [0x1f, 0x8b, ..] => "a file that gzip compressed; unpack it first".into(),
        _ if bytes.starts_with(b"(") => {
            "WebAssembly text; translate it with `wasm-tools parse` first".into()
        }
        _ if std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0')) => {
            "text; if it is the source of a filter, build it first".into()
        }
        _ => format!(
            "a file that begins with {:02x?}",
            &bytes[..bytes.len().min(8)]
        ),
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

    /// Half of a file that is being copied, as it may be found in the folder.
    #[test]
    fn a_file_without_its_end_should_be_named_as_such() {
        let whole = b"\0asm\x0d\0\x01\0\x04\x0b\0asm\x0d\0\x01\0\x00\x01\x00";
        assert!(recognise(whole).is_ok());
        let error = recognise(&whole[..whole.len() - 3]).expect_err("it lacks a section");
        assert!(error.to_string().contains("ends in the middle"), "{error}");
    }
}
