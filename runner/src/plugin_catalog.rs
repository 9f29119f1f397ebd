//! Plugin names and the components behind them: reads the folder of modules,
//! compiles each in the background, and makes filters of plugins and
//! configurations.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sandbox::{CodeOrigin, Engine, LoadError, Plugin, SandboxError};
use tokio::runtime::Handle;

use crate::conf_cache::{PluginConf, Prepared};
use crate::config::Plugins;
use crate::configuration_checks::{Check, ConfigurationChecks, Loading, warn_unavailable};
use crate::failure::Unavailable;
use crate::filter_chain::shown;
use crate::metrics::{Metrics, PluginMetrics};
use crate::tenant::Tenant;

/// The longest name the gateway lets a plugin have, in bytes of four to a
/// character (`maxLength` 128 in its schema).
const NAME_LIMIT: usize = 512;

/// Bytes of a module that may be loaded before its turn: compiling it takes
/// about a tenth of a second at most, so those it overtakes hardly notice.
const QUICK: u64 = 64 << 10;

/// Between two tries of a module that cannot be loaded at the moment: double
/// that after the first, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a start that did not come back in time is tried again.
const STALLED_TRIES: u32 = 4;

/// The plugins of all tenants.
pub struct PluginCatalog {
    plugins: BTreeMap<(Tenant, Arc<str>), Module>,
    /// The counters of all names that are not among them.
    unknown: Arc<PluginMetrics>,
}

struct Module {
    file: PathBuf,
    size: u64,
    loading: Arc<Loading>,
    checks: Arc<ConfigurationChecks>,
    metrics: Arc<PluginMetrics>,
}

/// How far a plugin is.
#[derive(Clone, Copy)]
pub enum Stage<'a> {
    /// It is being compiled, or its turn comes.
    Loading,
    /// It can be called.
    Ready(&'a Plugin),
    /// It cannot be loaded, for this reason.
    Failed(&'a str),
}

impl PluginCatalog {
    /// A catalog without any plugin.
    #[must_use]
    pub fn empty(metrics: &Metrics) -> Self {
        PluginCatalog {
            plugins: BTreeMap::new(),
            unknown: metrics.unknown_plugin(),
        }
    }

    /// Lists a folder: every `NAME.wasm` in it is the plugin NAME. What else
    /// is there is named in the log.
    ///
    /// # Errors
    /// Where the folder cannot be read or has no module at all.
    pub fn list(tenant: &Tenant, folder: &Path, metrics: &Metrics) -> Result<Self> {
        let entries = std::fs::read_dir(folder).with_context(|| {
            format!(
                "cannot read the modules folder {}; give another with --modules",
                folder.display()
            )
        })?;
        let mut catalog = PluginCatalog::empty(metrics);
        for entry in entries {
            let file = entry
                .with_context(|| format!("cannot list {}", folder.display()))?
                .path();
            if let Some((name, module)) = Module::recognise(file, metrics) {
                catalog.plugins.insert((tenant.clone(), name), module);
            }
        }
        if catalog.plugins.is_empty() {
            bail!(
                "no NAME.wasm in the modules folder {}; put a filter there, for example from \
                 examples-wasm/",
                folder.display()
            );
        }
        Ok(catalog)
    }

    /// Loads every module, the smallest first and one at a time, so that other
    /// cores serve calls meanwhile; a small one that a configuration waits for
    /// comes before others. One that only this moment keeps from being loaded is
    /// tried again after them. Returns how many can be used.
    pub async fn load_all(&self, engine: &Arc<Engine>, settings: &Plugins) -> usize {
        let mut modules: Vec<_> = self.plugins.iter().map(|module| (0, module)).collect();
        modules.sort_by_key(|(_, (_, module))| module.size);
        let mut loaded = 0;
        // Starts in a row that did not come back in time, by plugin.
        let mut stalls: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        while !modules.is_empty() {
            let wanted = |(tries, (_, module)): &(u32, (_, &Module))| {
                *tries == 0 && module.size <= QUICK && module.checks.any_to_come()
            };
            let next = modules.iter().position(wanted).unwrap_or(0);
            let (tries, ((tenant, name), module)) = modules.remove(next);
            if tries > 0 {
                let pause = FIRST_PAUSE.saturating_mul(1 << tries.min(16));
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
            let stalled = stalls.entry(Arc::clone(name)).or_default();
            let outcome = match module.load(engine, name, settings).await {
                Ok(plugin) => Ok(plugin),
                Err(error) if is_passing(&error, *stalled) => {
                    *stalled = if is_stall(&error) { *stalled + 1 } else { 0 };
                    let shown = module.file.display();
                    tracing::warn!("{shown} cannot be loaded yet, and is tried again: {error:#}");
                    let key_and_module = self
                        .plugins
                        .get_key_value(&(tenant.clone(), Arc::clone(name)));
                    modules.extend(key_and_module.map(|module| (tries + 1, module)));
                    continue;
                }
                Err(error) => {
                    tracing::error!("{} is refused: {error:#}", module.file.display());
                    Err(Arc::from(format!("{error:#}")))
                }
            };
            loaded += usize::from(outcome.is_ok());
            // Nobody else sets it.
            let _ = module.loading.set(outcome);
        }
        loaded
    }

    /// Warns of settings for plugins that are not there.
    pub fn check_names(&self, tenant: &Tenant, settings: &Plugins) {
        for name in settings.named.keys() {
            let key = (tenant.clone(), Arc::from(name.as_str()));
            if !self.plugins.contains_key(&key) {
                let advice = self.suggest(tenant, name);
                tracing::warn!(
                    "the configuration has settings for plugins.{name}: there is no such plugin; {advice}"
                );
            }
        }
    }

    /// The catalog's own copy of a plugin's name, so that thousands of
    /// configurations do not each keep one, and its counters.
    pub fn own_name(&self, tenant: &Tenant, name: Arc<str>) -> (Arc<str>, Arc<PluginMetrics>) {
        let key = (tenant.clone(), name);
        match self.plugins.get_key_value(&key) {
            Some(((_, own), module)) => (Arc::clone(own), Arc::clone(&module.metrics)),
            None => (key.1, Arc::clone(&self.unknown)),
        }
    }

    /// Every plugin, by name, and how far it is.
    pub fn stages(&self) -> impl Iterator<Item = (&Arc<str>, Stage<'_>)> {
        self.plugins.iter().map(|((_, name), module)| {
            let stage = match module.loading.get() {
                None => Stage::Loading,
                Some(Ok(plugin)) => Stage::Ready(plugin),
                Some(Err(reason)) => Stage::Failed(reason),
            };
            (name, stage)
        })
    }

    /// Makes the filter at one position of a chain in the background, which
    /// waits for the plugin and then lets the guest check the configuration.
    pub fn prepare(
        &self,
        background: &Handle,
        tenant: &Tenant,
        conf: &PluginConf,
        chain: &Arc<Prepared>,
        position: usize,
    ) {
        let key = (tenant.clone(), Arc::clone(&conf.name));
        let Some(module) = self.plugins.get(&key) else {
            let missing = Unavailable::Missing(self.suggest(tenant, &conf.name));
            warn_unavailable(chain, position, &missing);
            // New, so it is not set.
            let _ = chain.links()[position].readiness.set(Err(missing));
            return;
        };
        let check = Check {
            text: Arc::clone(&conf.text),
            chain: Arc::clone(chain),
            position,
        };
        module.checks.add(check, &module.loading, background);
    }

    /// Names longer than any plugin's are not compared: that takes time, and
    /// the gateway waits.
    fn suggest(&self, tenant: &Tenant, name: &str) -> String {
        let compared = if name.len() > NAME_LIMIT { "" } else { name };
        let known = self
            .plugins
            .keys()
            .filter(|(of, _)| of == tenant)
            .map(|(_, name)| name);
        let nearest = known
            .map(|known| {
                (
                    strsim::normalized_damerau_levenshtein(compared, known),
                    known,
                )
            })
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match nearest {
            Some((likeness, known)) if likeness >= 0.5 => format!("did you mean {known}?"),
            _ => format!("the modules folder would need a {}.wasm", shown(name)),
        }
    }
}

impl Module {
    fn recognise(file: PathBuf, metrics: &Metrics) -> Option<(Arc<str>, Self)> {
        let shown = file.display();
        let metadata = match std::fs::metadata(&file) {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::warn!("{shown} is ignored: {error}");
                return None;
            }
        };
        let extension = file.extension().and_then(|extension| extension.to_str());
        let name = file.file_stem().and_then(|stem| stem.to_str());
        match (extension, name) {
            _ if metadata.is_dir() => tracing::debug!("{shown} is ignored: it is a folder"),
            // Opening a pipe would wait for whoever writes to it.
            _ if !metadata.is_file() => tracing::warn!("{shown} is ignored: it is not a file"),
            (Some("wasm"), Some(name)) => {
                let (name, size) = (Arc::<str>::from(name), metadata.len());
                let metrics = metrics.plugin(&name);
                return Some((
                    name,
                    Module {
                        file,
                        size,
                        loading: Arc::default(),
                        checks: Arc::default(),
                        metrics,
                    },
                ));
            }
            (Some("cwasm"), _) => {
                let refused = LoadError::Precompiled;
                tracing::error!("{shown} is refused: {refused}");
            }
            _ => tracing::warn!("{shown} is ignored: expected NAME.wasm"),
        }
        None
    }

    async fn load(
        &self,
        engine: &Arc<Engine>,
        name: &str,
        settings: &Plugins,
    ) -> Result<Arc<Plugin>> {
        let shown = self.file.display();
        let started = std::time::Instant::now();
        let plugin = self.try_load(engine, name, settings).await?;
        let (ms, bytes) = (started.elapsed().as_secs_f64() * 1e3, self.size);
        let how = match plugin.code_origin() {
            CodeOrigin::Compiled => "compiled",
            CodeOrigin::DiskCache => "from the cache",
        };
        tracing::info!("plugin {name} is ready ({shown}, {bytes} bytes, {how}, {ms:.1} ms)");
        Ok(plugin)
    }

    async fn try_load(
        &self,
        engine: &Arc<Engine>,
        name: &str,
        settings: &Plugins,
    ) -> Result<Arc<Plugin>> {
        let (file, limit) = (self.file.clone(), settings.module_size);
        let wasm = tokio::task::spawn_blocking(move || read(&file, limit)).await??;
        Ok(Plugin::load(engine, name, wasm, settings.of(name)).await?)
    }
}

/// Whether an error says more of the moment than of the module: others have all
/// places, or all of the processor. A module whose start does not come back in
/// time again and again is the reason itself.
fn is_passing(error: &anyhow::Error, stalled: u32) -> bool {
    match error.downcast_ref::<LoadError>() {
        Some(LoadError::Start(SandboxError::Saturated(_) | SandboxError::MemoryTaken { .. })) => {
            true
        }
        _ => is_stall(error) && stalled < STALLED_TRIES,
    }
}

/// Whether a start did not come back in time.
fn is_stall(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<LoadError>();
    matches!(error, Some(LoadError::Start(SandboxError::Stalled(_))))
}

/// A whole module, unless it has more than `limit` bytes: compiling one takes
/// many times its size in memory.
fn read(file: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut wasm = Vec::new();
    // The file may be another than the one that was listed, and still growing.
    let mut bytes = std::fs::File::open(file)?.take(limit.saturating_add(1));
    bytes.read_to_end(&mut wasm)?;
    if wasm.len() as u64 > limit {
        let mib = limit >> 20;
        bail!("it has more than {mib} MiB, the most that limits.module_mib allows");
    }
    Ok(wasm)
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
        let rows = [
            (start(SandboxError::Saturated(second)), 1000, true),
            (start(memory), 1000, true),
            (start(SandboxError::Stalled(second)), 0, true),
            (start(SandboxError::Stalled(second)), STALLED_TRIES, false),
            (start(SandboxError::Deadline(second)), 0, false),
            (start(SandboxError::Trap("x".into())), 0, false),
            (LoadError::Precompiled.into(), 0, false),
            (anyhow::anyhow!("it cannot be read"), 0, false),
        ];
        for (error, tries, passing) in rows {
            assert_eq!(is_passing(&error, tries), passing, "{error:#} {tries}");
        }
    }
}
