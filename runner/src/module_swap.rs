//! Makes a plugin of what lies in a module's file, aside from everything that
//! serves, and puts it in the place of what served before. What cannot be used
//! is said and changes nothing, unless nothing served before.
//!
//! Must not know when a file has changed, or that anybody looks.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use integrity::{Policy, TrustedKey};
use sandbox::{
    CodeOrigin, CompileError, Engine, LoadError, Plugin, PluginSettings, SandboxError, ends_early,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::conf_cache::ConfCache;
use crate::config::Plugins;
use crate::granting::Granting;
use crate::metrics::Metrics;
use crate::module::{Digest, Module, Progress, Stage};
use crate::module_folder::{self, Contents};
use crate::plugin_catalog::PluginCatalog;
use crate::tenant::Tenant;

/// Bytes of a module that may be loaded before its turn: compiling it takes
/// about a tenth of a second at most, so those it overtakes hardly notice.
const QUICK: u64 = 64 << 10;

/// Between two tries of a module that cannot be loaded at the moment: double
/// that after the first, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a start that did not come back in time is tried again, and one
/// whose compiler was killed.
const STALLED_TRIES: u32 = 4;

/// Changed modules that are compiled at the same time: one that takes long
/// leaves a place for one that does not.
const AT_ONCE: usize = 2;

/// Bytes of the largest module that is compiled for the sake of those that
/// come after it: more would not be remembered as a whole.
const ANTICIPATED: usize = 4 << 20;

/// Puts versions of modules in the place of earlier ones.
pub struct ModuleSwap {
    tenant: Tenant,
    engine: Arc<Engine>,
    settings: Plugins,
    trusted: Trusted,
    granting: Arc<Granting>,
    catalog: Arc<PluginCatalog>,
    confs: Arc<ConfCache>,
    places: Semaphore,
    anticipates: bool,
}

/// What the operator says of a tenant's modules.
pub struct Said {
    /// How plugins run.
    pub plugins: Plugins,
    /// Whose signatures count.
    pub trusted: Trusted,
    /// What they may reach.
    pub granting: Arc<Granting>,
}

/// Whose signatures count. The default asks for none.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// Public keys.
    pub keys: Vec<TrustedKey>,
    /// Whether each module needs a signature.
    pub require_signed: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It serves, or was refused for good, or is what served before.
    Done,
    /// It ends in the middle: most likely its end is still to come.
    EndsEarly,
    /// Only this moment forbids it; to be tried again after so long.
    NotNow(Duration),
}

impl ModuleSwap {
    /// For the modules of a tenant.
    #[must_use]
    pub fn new(
        tenant: Tenant,
        engine: Arc<Engine>,
        said: Said,
        catalog: Arc<PluginCatalog>,
        confs: Arc<ConfCache>,
    ) -> Self {
        ModuleSwap {
            tenant,
            engine,
            settings: said.plugins,
            trusted: said.trusted,
            granting: said.granting,
            catalog,
            confs,
            places: Semaphore::new(AT_ONCE),
            anticipates: false,
        }
    }

    /// Further versions are to be expected, and quick to be compiled: costs
    /// some time in the background and some memory for each plugin.
    #[must_use]
    pub fn anticipating(mut self, anticipates: bool) -> Self {
        self.anticipates = anticipates;
        self
    }

    /// How many there may be.
    pub fn most_modules(&self) -> usize {
        self.settings.most_modules
    }

    /// The modules there are.
    pub fn catalog(&self) -> &PluginCatalog {
        &self.catalog
    }

    /// Loads every module, the smallest first and one at a time, so that other
    /// cores serve calls meanwhile; a small one that a configuration waits for
    /// comes before others. One that only this moment keeps from being loaded is
    /// tried again after them. Returns how many plugins can be used.
    pub async fn load_all(&self) -> usize {
        let size = |module: &Module| std::fs::metadata(&module.file).map_or(0, |file| file.len());
        let modules = self.catalog.modules().into_iter();
        let mut modules: Vec<_> = modules
            .map(|module| (Duration::ZERO, size(&module), module))
            .collect();
        modules.sort_by_key(|(_, size, _)| *size);
        while !modules.is_empty() {
            let wanted = |(pause, size, module): &(Duration, u64, Arc<Module>)| {
                pause.is_zero() && *size <= QUICK && module.is_wanted()
            };
            let next = modules.iter().position(wanted).unwrap_or(0);
            let (pause, size, module) = modules.remove(next);
            tokio::time::sleep(pause).await;
            if !self.catalog.has(&self.tenant, &module) {
                // Its file went before its turn came, or another took its place.
                continue;
            }
            if let Taken::NotNow(pause) = self.take(&module, false).await {
                modules.push((pause, size, module));
            }
        }
        let stages = self.catalog.stages();
        let can_be_used = |stage: &Stage| matches!(stage, Stage::Ready { .. });
        stages
            .iter()
            .filter(|(_, stage)| can_be_used(stage))
            .count()
    }

    /// A module of which there was no file before. Calls of new configurations
    /// wait for it.
    pub fn new_module(&self, name: &Arc<str>, file: &Path) -> Arc<Module> {
        if let Some(known) = self.catalog.module(&self.tenant, name) {
            return known;
        }
        tracing::info!("plugin {name} is new and being loaded ({})", file.display());
        let module = self.catalog.new_module(name, file);
        self.catalog.enter(&self.tenant, &module);
        module
    }

    /// Takes a module out of service: calls fail as if it had never been there.
    pub fn remove(&self, module: &Module) {
        let (name, shown) = (&module.name, module.file.display());
        tracing::warn!("plugin {name} is gone, because {shown} is");
        self.catalog.remove(&self.tenant, name);
        self.confs.check_again(&self.tenant, name);
    }

    /// Makes the plugin that the file holds now and lets it serve, unless it
    /// does so already. `patient`: where the file ends in the middle, nothing is
    /// done and its end may come.
    pub async fn take(&self, module: &Arc<Module>, patient: bool) -> Taken {
        let mut progress = module.progress.lock().await;
        let Ok(_place) = self.places.acquire().await else {
            unreachable!("nobody closes it");
        };
        let (file, limit) = (module.file.clone(), self.settings.module_size);
        let read = move || {
            let Some(contents) = module_folder::read(&file, limit)? else {
                return Ok(None);
            };
            let mut digest = Sha256::new();
            digest.update(&contents.wasm);
            digest.update(contents.signature.as_deref().unwrap_or_default());
            Ok(Some((contents, Digest::from(digest.finalize()))))
        };
        let (contents, digest) = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(Some(read))) => read,
            Ok(Ok(None)) => return Taken::NotNow(FIRST_PAUSE),
            Ok(Err(error)) if is_of_the_moment(&error) => {
                let shown = module.file.display();
                tracing::warn!("{shown} cannot be read yet, and is tried again: {error:#}");
                return progress.put_off(false);
            }
            Ok(Err(error)) => return self.refuse(module, &mut progress, None, &error),
            Err(panic) => return self.refuse(module, &mut progress, None, &panic.into()),
        };
        if progress.serving == Some(digest) {
            return self.stays(module, &mut progress);
        }
        if progress.refused == Some(digest) {
            return Taken::Done;
        }
        if patient && ends_early(&contents.wasm) {
            return Taken::EndsEarly;
        }
        let wasm = match self.verified(module, contents) {
            Ok(wasm) => wasm,
            Err(error) => return self.refuse(module, &mut progress, Some(digest), &error),
        };
        let size = wasm.len();
        let began = Instant::now();
        let loaded = self.load(module, wasm).await;
        match loaded.and_then(|plugin| serves_as_much(module, plugin)) {
            Ok(plugin) => {
                if !self.count(module, Metrics::version_taken) {
                    return Taken::Done;
                }
                say_ready(module, &plugin, size, began.elapsed());
                *progress = Progress {
                    serving: Some(digest),
                    ..Progress::default()
                };
                if self.anticipates && size <= ANTICIPATED && module.plugin().is_none() {
                    plugin.anticipate();
                }
                self.put(module, Ok(plugin));
                Taken::Done
            }
            Err(error) if is_passing(&error, progress.stalls) => {
                let shown = module.file.display();
                tracing::warn!("{shown} cannot be loaded yet, and is tried again: {error:#}");
                progress.put_off(is_stall(&error))
            }
            Err(error) => self.refuse(module, &mut progress, Some(digest), &error),
        }
    }

    /// The very bytes that were verified, to be compiled.
    fn verified(&self, module: &Module, contents: Contents) -> Result<Vec<u8>> {
        let Contents { wasm, signature } = contents;
        let name = &*module.name;
        let policy = Policy {
            digests: self.settings.of(name).digests.clone(),
            trusted_keys: self.trusted.keys.clone(),
            require_signed: self.trusted.require_signed,
        };
        let provenance = policy.verify(name, &wasm, signature.as_deref())?;
        tracing::debug!("module {name}: {provenance}");
        Ok(wasm)
    }

    async fn load(&self, module: &Module, wasm: Vec<u8>) -> Result<Arc<Plugin>> {
        let (name, before) = (&*module.name, module.plugin());
        let settings = PluginSettings {
            grants: self.granting.of(name),
            ..self.settings.of(name).settings.clone()
        };
        let loading = Plugin::load(&self.engine, name, wasm, settings, before.as_deref());
        Ok(loading.await?)
    }

    /// The file holds what serves.
    fn stays(&self, module: &Module, progress: &mut Progress) -> Taken {
        progress.refused = None;
        if !module.set_problem(None) {
            let (name, shown) = (&module.name, module.file.display());
            tracing::info!("{shown} holds again what serves as the plugin {name}");
        }
        Taken::Done
    }

    fn refuse(
        &self,
        module: &Arc<Module>,
        progress: &mut Progress,
        digest: Option<Digest>,
        error: &anyhow::Error,
    ) -> Taken {
        let (name, shown) = (&module.name, module.file.display());
        *progress = Progress {
            serving: progress.serving,
            refused: digest,
            ..Progress::default()
        };
        if !self.count(module, Metrics::version_refused) {
            return Taken::Done;
        }
        if module.plugin().is_some() {
            tracing::error!(
                "{shown} is refused: {error:#}; the last good version of the plugin {name} stays"
            );
            module.set_problem(Some(format!("{error:#}")));
        } else {
            tracing::error!("{shown} is refused: {error:#}");
            self.put(module, Err(Arc::from(format!("{error:#}"))));
        }
        Taken::Done
    }

    /// False where the module is none any more: its file went while it was read.
    fn count(&self, module: &Arc<Module>, count: fn(&Metrics, &str)) -> bool {
        self.catalog.count(&self.tenant, module, count)
    }

    fn put(&self, module: &Arc<Module>, plugin: Result<Arc<Plugin>, Arc<str>>) {
        self.catalog.put(&self.tenant, module, plugin);
        self.confs.check_again(&self.tenant, &module.name);
    }
}

impl Progress {
    fn put_off(&mut self, stalled: bool) -> Taken {
        self.tries = self.tries.saturating_add(1);
        self.stalls = if stalled { self.stalls + 1 } else { 0 };
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(16));
        Taken::NotNow(pause.min(LONGEST_PAUSE))
    }
}

/// A version without a handler that the one before has would fail every route
/// that uses it; which those are is not known before they call.
fn serves_as_much(module: &Module, plugin: Arc<Plugin>) -> Result<Arc<Plugin>> {
    let Some(before) = module.plugin() else {
        return Ok(plugin);
    };
    let (before, now) = (before.phases(), plugin.phases());
    let lost = match (
        before.request && !now.request,
        before.response && !now.response,
    ) {
        (false, false) => return Ok(plugin),
        (true, _) => "request",
        (false, true) => "response",
    };
    bail!(
        "it has no {lost} handler, and the version that serves has one, which routes may use; to \
         have it all the same, remove the file for some seconds before the new one comes, or \
         start the runner anew"
    );
}

fn say_ready(module: &Module, plugin: &Plugin, bytes: usize, took: Duration) {
    let (name, shown) = (&module.name, module.file.display());
    let how = match plugin.code_origin() {
        CodeOrigin::Compiled => "compiled",
        CodeOrigin::DiskCache => "from the cache",
    };
    let what = match module.plugin() {
        None => "is ready",
        Some(_) => "has a new version",
    };
    let ms = took.as_secs_f64() * 1e3;
    tracing::info!("plugin {name} {what} ({shown}, {bytes} bytes, {how}, {ms:.1} ms)");
}

/// Whether an error says more of the moment than of the module: others have all
/// places, or all of the processor or of the memory. A module whose start does
/// not come back in time again and again is the reason itself, and so is one
/// whose compiler is killed each time.
fn is_passing(error: &anyhow::Error, stalled: u32) -> bool {
    match error.downcast_ref::<LoadError>() {
        Some(
            LoadError::Start(SandboxError::Saturated(_) | SandboxError::MemoryTaken { .. })
            | LoadError::Compile(CompileError::NotNow(_)),
        ) => true,
        _ => is_stall(error) && stalled < STALLED_TRIES,
    }
}

/// Whether reading the file may go well another time: descriptors or memory are
/// short, a file system of the network is slow. What the file itself is, and who
/// may read it, does not change without a trace.
fn is_of_the_moment(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| {
        !matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory
        )
    })
}

/// Whether a start did not come back in time, or somebody ended the compiler.
fn is_stall(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<LoadError>(),
        Some(LoadError::Start(SandboxError::Stalled(_)) | LoadError::Compile(CompileError::Killed))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_moment_forbids_should_be_tried_again() {
        let second = Duration::from_secs(1);
        let memory = SandboxError::MemoryTaken {
            limit: 1,
            trap: String::new(),
        };
        let start = |error| anyhow::Error::from(LoadError::Start(error));
        let compile = |error| anyhow::Error::from(LoadError::Compile(error));
        let rows = [
            (start(SandboxError::Saturated(second)), 1000, true),
            (start(memory), 1000, true),
            (start(SandboxError::Stalled(second)), 0, true),
            (start(SandboxError::Stalled(second)), STALLED_TRIES, false),
            (start(SandboxError::Deadline(second)), 0, false),
            (start(SandboxError::Trap("x".into())), 0, false),
            (compile(CompileError::NotNow(String::new())), 1000, true),
            (compile(CompileError::Killed), 0, true),
            (compile(CompileError::Killed), STALLED_TRIES, false),
            (compile(CompileError::TooSlow(second)), 0, false),
            (compile(CompileError::Gone(String::new())), 0, false),
            (LoadError::Precompiled.into(), 0, false),
            (anyhow::anyhow!("it cannot be read"), 0, false),
        ];
        for (error, tries, passing) in rows {
            assert_eq!(is_passing(&error, tries), passing, "{error:#} {tries}");
        }
    }

    #[test]
    fn tries_should_come_ever_less_often() {
        let mut progress = Progress::default();
        let mut pauses = Vec::new();
        for _ in 0..20 {
            pauses.push(match progress.put_off(true) {
                Taken::NotNow(pause) => pause,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(pauses[0], 2 * FIRST_PAUSE);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[19], LONGEST_PAUSE);
        assert_eq!(progress.stalls, 20);
    }
}
