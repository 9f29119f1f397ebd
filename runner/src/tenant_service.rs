//! Everything that serves one tenant: an engine with places and memory of its
//! own, its plugins and configurations, the threads that serve its calls. Two
//! tenants of a process share its log, its metrics' names and the numbers of its
//! tokens; nothing that one of them could use up, fill or hold.
//!
//! Must not know the other tenants.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use integrity::TrustedKey;
use sandbox::{Allocation, Engine, EngineSettings, Plugin, ThreadStart};
use tokio::task::JoinHandle;

use crate::background::{self, Background};
use crate::compiled_code::open_cache;
use crate::compiler::{CompileLimits, Compilers};
use crate::conf_cache::{ConfCache, ConfLimits, Tokens};
use crate::config::{CacheSettings, KeyValueSettings, Share, TenantConfig};
use crate::dispatcher::Dispatcher;
use crate::granting::{Authorities, Granting};
use crate::metrics::{Metrics, PluginLevels, TenantLevels};
use crate::module::Stage;
use crate::module_folder::Listing;
use crate::module_swap::{ModuleSwap, Said, Trusted};
use crate::module_watch::{ModuleWatch, When};
use crate::plugin_catalog::PluginCatalog;
use crate::server::Service;
use crate::serving_threads::ServingThreads;
use crate::telemetry;
use crate::tenant::Tenant;

/// One tenant's own.
pub struct TenantService {
    /// Who it is.
    pub tenant: Tenant,
    /// Its plugins.
    pub catalog: Arc<PluginCatalog>,
    /// Its configurations.
    pub confs: Arc<ConfCache>,
    /// Where its modules are.
    modules: PathBuf,
    engine: Arc<Engine>,
    granting: Arc<Granting>,
    swap: Arc<ModuleSwap>,
    dispatcher: Arc<Dispatcher>,
    metrics: Arc<Metrics>,
    threads: ServingThreads,
    background: Background,
    /// Connections at the same time.
    limit: u32,
    listing: Listing,
}

/// What a tenant is given, beside what the configuration says of it.
pub struct Given<'a> {
    /// Where its modules are.
    pub modules: &'a Path,
    /// Whether new modules are looked for all the time.
    pub watch: bool,
    /// Where its tokens come from.
    pub tokens: Tokens,
    /// What is counted of it.
    pub metrics: Arc<Metrics>,
    /// Where filters keep what outlives a call.
    pub key_value: &'a KeyValueSettings,
    /// Whom its filters' requests believe.
    pub authorities: &'a Authorities,
    /// Where compiled components are kept.
    pub cache: CacheSettings,
    /// How long a configuration lives after its last use.
    pub configuration_lifetime: Duration,
    /// Connections at the same time.
    pub connections: u32,
    /// What its threads do first.
    pub thread_start: ThreadStart,
    /// Who compiles its modules; nobody else where this process does.
    pub compilers: Option<Compilers>,
}

impl TenantService {
    /// Starts it; nothing is loaded yet, and nothing accepted.
    ///
    /// # Errors
    /// Where its folder cannot be used, and where the system gives no threads.
    pub fn start(config: &TenantConfig, given: Given<'_>) -> Result<Self> {
        let tenant = config.tenant.clone();
        let trusted = trusted(config)?;
        let judged = integrity::check_folder(given.modules)
            .with_context(|| format!("cannot use the modules folder {}", given.modules.display()));
        for remark in judged? {
            tracing::warn!("{remark}");
        }
        let most = config.plugins.most_modules;
        let (catalog, listing) = PluginCatalog::list(&tenant, given.modules, most, &given.metrics)?;
        if listing.modules.is_empty() && !given.watch {
            bail!(
                "no NAME.wasm in the modules folder {}; put a filter there, for example from \
                 examples-wasm/",
                given.modules.display()
            );
        }
        let catalog = Arc::new(catalog);
        let thread_start = given.thread_start.clone();
        let granting = Granting::start(config, given.key_value, given.authorities, thread_start)?;
        let granting = Arc::new(granting);
        let engine = start_engine(config, &given)?;
        let threads = ServingThreads::start(&given.thread_start)?;
        let background = Background::start(given.thread_start)?;
        let confs = Arc::new(ConfCache::new(
            Arc::clone(&catalog),
            background.handle().clone(),
            config.failure_policies.clone(),
            ConfLimits::of(config, given.configuration_lifetime),
            given.tokens,
        ));
        let swap = ModuleSwap::new(
            tenant.clone(),
            Arc::clone(&engine),
            Said {
                plugins: config.plugins.clone(),
                trusted,
                granting: Arc::clone(&granting),
            },
            Arc::clone(&catalog),
            Arc::clone(&confs),
        );
        let dispatcher = Dispatcher::new(
            tenant.clone(),
            Arc::clone(&confs),
            config.plugins.others.settings.limits.gateway_time,
            Arc::clone(&given.metrics),
        );
        catalog.check_names(&tenant, &config.plugins);
        Ok(TenantService {
            tenant,
            catalog,
            confs,
            modules: given.modules.to_owned(),
            engine,
            granting,
            swap: Arc::new(swap.anticipating(given.watch)),
            dispatcher: Arc::new(dispatcher),
            metrics: given.metrics,
            threads,
            background,
            limit: given.connections,
            listing,
        })
    }

    /// What its connections are served with.
    pub fn service(&self) -> Service<'_> {
        Service {
            dispatcher: &self.dispatcher,
            threads: &self.threads,
            limit: self.limit,
            metrics: &self.metrics,
        }
    }

    /// Loads its modules in the background and looks for new ones from here on.
    /// The task ends when every module was loaded or refused, with how many can
    /// be used.
    pub fn load(&self, when: When) -> JoinHandle<usize> {
        let (folder, listing) = (self.modules.clone(), self.listing.clone());
        let watch = ModuleWatch::new(folder, listing, Arc::clone(&self.swap));
        let background = self.background.handle();
        background.spawn(watch.run(when));
        let swap = Arc::clone(&self.swap);
        background.spawn(async move { swap.load_all().await })
    }

    /// Writes down what its filters keep, when it does not serve any more.
    pub async fn close(&self) {
        self.granting.close().await;
    }

    /// Where its modules are.
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// The figures that it keeps anyway.
    pub fn levels(&self) -> TenantLevels {
        let (places, confs) = (self.engine.usage(), self.confs.usage());
        let stored = self.granting.stored();
        let mut levels = TenantLevels {
            tenant: Arc::from(self.tenant.name()),
            slots_total: places.slots.into(),
            slots_taken: places.slots_taken.into(),
            slots_kept: places.slots_kept.into(),
            slot_waiters: places.slot_waiters.into(),
            snapshot_bytes: places.snapshot_bytes as u64,
            guest_memory_bytes: places.guest_memory as u64,
            configurations: confs.count as u64,
            configuration_bytes: confs.size as u64,
            configurations_dropped: confs.dropped,
            connections: self.threads.connections().get() as u64,
            connections_limit: self.limit.into(),
            stored: stored.map(|stored| (stored.entries as u64, stored.bytes as u64)),
            ..TenantLevels::default()
        };
        levels.plugins_beyond = self.catalog.refused().len() as u64;
        for (name, stage) in self.catalog.stages() {
            match stage {
                Stage::Loading => levels.plugins_loading += 1,
                Stage::Failed(_) => levels.plugins_failed += 1,
                Stage::Ready { plugin, problem } => {
                    levels.plugins_ready += 1;
                    levels.plugins_held_back += u64::from(problem.is_some());
                    levels.plugins.push(plugin_levels(&name, &plugin));
                }
            }
        }
        levels
    }
}

fn plugin_levels(name: &Arc<str>, plugin: &Plugin) -> PluginLevels {
    let usage = plugin.usage();
    PluginLevels {
        name: Arc::clone(name),
        memory_peak: usage.memory_peak as u64,
        log_dropped: usage.log_lines_dropped,
        calls: usage.calls.into(),
        waiting_calls: usage.waiting_calls.into(),
    }
}

/// Reads the keys whose signatures count.
fn trusted(config: &TenantConfig) -> Result<Trusted> {
    let integrity = &config.integrity;
    let keys = integrity
        .trusted_keys
        .iter()
        .map(|file| TrustedKey::read(file));
    Ok(Trusted {
        keys: keys.collect::<Result<_, _>>()?,
        require_signed: integrity.require_signed,
    })
}

fn start_engine(config: &TenantConfig, given: &Given<'_>) -> Result<Arc<Engine>> {
    let compilers = given.compilers.as_ref();
    let settings = EngineSettings {
        guest_memory: config.guest_memory,
        instances: config.instances,
        snapshot_memory: config.snapshot_memory,
        cache: open_cache(&given.cache),
        count_instructions: false,
        compiler: compilers.map(|of| of.of(&config.tenant, compile_limits(config))),
        thread_start: given.thread_start.clone(),
    };
    let engine = Engine::start(settings)
        .map_err(|error| anyhow::anyhow!("the WebAssembly engine does not start: {error:#}"));
    let engine = engine.with_context(|| format!("tenant {}", config.tenant))?;
    match engine.allocation() {
        Allocation::Pooled { instances } if instances == config.instances => {}
        Allocation::Pooled { instances } => tracing::warn!(
            "address space is short (ulimit -v?): {instances} instances at a time instead of {}",
            config.instances
        ),
        Allocation::OnDemand => tracing::warn!(
            "address space is too short for a pool of instances (ulimit -v?): calls will be slower"
        ),
    }
    Ok(engine)
}

fn compile_limits(config: &TenantConfig) -> CompileLimits {
    CompileLimits {
        time: config.compile_time,
        memory: config.compile_memory,
        niceness: niceness(config.share) + background::NICENESS,
    }
}

/// What each of a tenant's threads does first: it bears the tenant's name in the
/// log, where there are several, and gets less of a busy processor where others
/// have a larger share.
pub fn thread_start(tenant: &Tenant, share: Share, named: bool) -> ThreadStart {
    let (tenant, niceness) = (tenant.clone(), niceness(share));
    ThreadStart::new(move || {
        if named {
            telemetry::this_thread_is_of(&tenant);
        }
        if niceness > 0 {
            // Without it, it competes with the others; nothing fails.
            let _ = rustix::process::nice(niceness);
        }
    })
}

/// Each step of niceness is a fifth less of a busy processor (`sched(7)`).
fn niceness(share: Share) -> i32 {
    let ratio = f64::from(share.largest.max(1)) / f64::from(share.own.max(1));
    // The last ones are for what gives way within a tenant.
    (ratio.ln() / 1.25_f64.ln()).round().clamp(0.0, 10.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_share_should_be_less_of_a_busy_processor() {
        let rows = [
            (1, 1, 0),
            (2, 2, 0),
            (1, 2, 3),
            (3, 4, 1),
            (1, 10, 10),
            (1, 1000, 10),
        ];
        for (own, largest, expected) in rows {
            let share = Share {
                own,
                largest,
                all: 0,
            };
            assert_eq!(niceness(share), expected, "{own} of {largest}");
        }
    }
}
