//! `runner serve`: settings, then the socket, then the modules, then calls
//! until a signal. The socket comes first: the gateway may call at once, and a
//! call waits for its module.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sandbox::{Allocation, Engine, EngineSettings, Plugin};
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::Admin;
use crate::admin::pages::Pages;
use crate::background::Background;
use crate::cli::ServeOptions;
use crate::compiled_code::open_cache;
use crate::compiler::{CompileLimits, Launcher};
use crate::conf_cache::ConfCache;
use crate::config::{self, Config, ProcessEnvironment};
use crate::dispatcher::Dispatcher;
use crate::listener::Listener;
use crate::metrics::{Levels, Metrics, PluginLevels};
use crate::module::Stage;
use crate::module_swap::ModuleSwap;
use crate::module_watch::{ModuleWatch, When};
use crate::plugin_catalog::PluginCatalog;
use crate::serving_threads::{ConnectionCount, ServingThreads};
use crate::socket_owner::{Owner, Ownership};
use crate::telemetry::{self, DroppedLines};
use crate::tenant::Tenant;
use crate::{file_descriptors, server};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Where nothing can be served: a bad configuration, no socket, no module that
/// can be loaded.
pub fn run(options: &ServeOptions) -> Result<()> {
    let config = config::load(
        options.config.as_deref(),
        options.listen.as_deref(),
        &ProcessEnvironment,
    )?;
    register_for_barriers();
    let log = telemetry::start(config.log_level, config.log_format);
    // It accepts connections and hears signals; others serve.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let dropped = log.dropped();
    runtime.block_on(async {
        let when = When {
            watch: options.watch,
            // Whether or not anybody watches: it would end the process.
            hangups: Some(signal(SignalKind::hangup())?),
        };
        serve(&options.modules, when, config, dropped, stop_signal()?).await
    })
}

/// Makes a map that is read without a lock, to be thrown away. With the first of
/// them the process registers for memory barriers (`membarrier(2)`), which takes
/// the kernel milliseconds as soon as there is a second thread, and nothing
/// before.
fn register_for_barriers() {
    drop(papaya::HashMap::<u32, u32>::new());
}

/// Serves the modules of a folder until `stop` is done.
pub(super) async fn serve(
    modules: &Path,
    when: When,
    config: Config,
    dropped: DroppedLines,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let descriptors = file_descriptors::raise_limit();
    let metrics = Metrics::new()?;
    let launcher = launch(&config, when.watch)?;
    let (catalog, listing) = PluginCatalog::list(&Tenant::sole(), modules, &metrics)?;
    if listing.modules.is_empty() && !when.watch {
        bail!(
            "no NAME.wasm in the modules folder {}; put a filter there, for example from \
             examples-wasm/",
            modules.display()
        );
    }
    let catalog = Arc::new(catalog);
    // Each of the two takes a millisecond or more.
    let (engine, ownership) = std::thread::scope(|scope| {
        let search = || Ownership::settle(&config.socket_owner, config.socket_group);
        let search = scope.spawn(search);
        (start_engine(&config, &launcher), search.join())
    });
    let (engine, ownership) = (engine?, joined(ownership)?);
    let (threads, background) = (ServingThreads::start()?, Background::start()?);
    let preparing = background.handle().clone();
    let policies = config.failure_policies.clone();
    let confs = ConfCache::new(Arc::clone(&catalog), preparing, policies, (&config).into());
    let confs = Arc::new(confs);
    let swap = ModuleSwap::new(
        Tenant::sole(),
        Arc::clone(&engine),
        config.plugins.clone(),
        Arc::clone(&catalog),
        Arc::clone(&confs),
        Arc::clone(&metrics),
    );
    let swap = Arc::new(swap.anticipating(when.watch));
    let dispatcher = Arc::new(Dispatcher::new(
        Arc::clone(&confs),
        config.plugins.others.limits.gateway_time,
        Arc::clone(&metrics),
    ));
    let limit = file_descriptors::connections(config.connections, descriptors);
    let stopping = Arc::<AtomicBool>::default();
    background.handle().spawn(dropped.clone().say());
    let owners = Owners {
        engine: Arc::clone(&engine),
        dispatcher: Arc::clone(&dispatcher),
        catalog: Arc::clone(&catalog),
        connections: threads.connections(),
        limit,
        dropped,
    };
    let pages = Pages {
        metrics: Arc::clone(&metrics),
        levels: Box::new(move || owners.levels()),
        catalog: Arc::clone(&catalog),
        confs,
        compilers: Some(launcher.compilers()),
        stopping: Arc::clone(&stopping),
    };
    let admin = config.admin.as_ref();
    let admin = admin.map(|address| Admin::start(address, pages));
    let _admin = admin.transpose()?;
    // Behind everything that can fail: it takes the place of another runner's.
    let listener = listen(&config, &ownership)?;

    catalog.check_names(&Tenant::sole(), &config.plugins);
    let watch = ModuleWatch::new(modules.to_owned(), listing, Arc::clone(&swap));
    let may_be_none = when.watch;
    background.handle().spawn(watch.run(when));
    let loading = async move { swap.load_all().await };
    let loading = background.handle().spawn(loading);
    let stop = async {
        stop.await;
        stopping.store(true, Ordering::Relaxed);
    };
    let serving = server::serve(listener, limit, dispatcher, &metrics, &threads, stop);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        loaded = loading => match loaded? {
            0 if may_be_none => tracing::warn!(
                "no module of {} can be used; waiting for one that can",
                modules.display()
            ),
            0 => bail!("no module of {} can be used; the log says why", modules.display()),
            loaded => tracing::info!("{loaded} plugins can be used"),
        },
    }
    serving.await;
    Ok(())
}

/// Those who keep figures that are asked for when somebody reads them.
struct Owners {
    engine: Arc<Engine>,
    dispatcher: Arc<Dispatcher>,
    catalog: Arc<PluginCatalog>,
    connections: ConnectionCount,
    limit: u32,
    dropped: DroppedLines,
}

impl Owners {
    fn levels(&self) -> Levels {
        let (places, confs) = (self.engine.usage(), self.dispatcher.confs().usage());
        let mut levels = Levels {
            slots_total: places.slots.into(),
            slots_taken: places.slots_taken.into(),
            slots_kept: places.slots_kept.into(),
            slot_waiters: places.slot_waiters.into(),
            snapshot_bytes: places.snapshot_bytes as u64,
            guest_memory_bytes: places.guest_memory as u64,
            configurations: confs.count as u64,
            configuration_bytes: confs.size as u64,
            configurations_dropped: confs.dropped,
            connections: self.connections.get() as u64,
            connections_limit: self.limit.into(),
            log_lines_dropped: self.dropped.count(),
            ..Levels::default()
        };
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

fn joined<T>(outcome: std::thread::Result<T>) -> Result<T> {
    outcome.map_err(|_| anyhow!("the search for the gateway's workers failed"))
}

fn listen(config: &Config, ownership: &Ownership) -> Result<Listener> {
    let listener = Listener::bind(&config.listen, config.socket_mode, ownership)
        .with_context(|| format!("cannot listen on unix:{}", config.listen.display()))?;
    let (path, mode) = (listener.path().display(), config.socket_mode);
    tracing::info!("listening on unix:{path}; may connect: {ownership} (mode {mode:04o})");
    if ownership.workers_unknown && mode & 0o006 == 0 {
        tokio::spawn(give_to_workers(listener.path().to_owned()));
    }
    Ok(listener)
}

/// The gateway may start the runner before its workers have become another
/// user.
async fn give_to_workers(path: PathBuf) {
    for _ in 0..WORKER_SEARCHES {
        tokio::time::sleep(WORKER_SEARCH_PAUSE).await;
        let ownership = Ownership::settle(&Owner::Auto, None);
        if !ownership.workers_unknown {
            match ownership.apply(&path) {
                Ok(()) => tracing::info!("may connect: {ownership}"),
                Err(error) => tracing::error!("the socket cannot be given to its user: {error}"),
            }
            return;
        }
    }
    tracing::warn!(
        "the gateway's workers were not found among the neighbours of this process; if they do \
         not run as root they cannot connect: set socket.owner to their user"
    );
}

/// Together three seconds, about the time the gateway waits for a runner that
/// died.
const WORKER_SEARCHES: u32 = 15;
const WORKER_SEARCH_PAUSE: Duration = Duration::from_millis(200);

/// Nothing waits for it but the first component that has to be compiled. What
/// it needs of the system is had before anything is served.
fn launch(config: &Config, versions_will_come: bool) -> Result<Launcher> {
    let launcher = Launcher::start(CompileLimits {
        time: config.compile_time,
        memory: config.compile_memory,
        idle: match versions_will_come {
            true => REMEMBERED,
            false => IDLE,
        },
    });
    launcher.context("the launcher of compilers does not start")
}

/// How long a compiler waits for a component before its memory is given back.
const IDLE: Duration = Duration::from_secs(60);

/// The same where an author may change a filter now and then, and should not
/// wait for the language's interpreter to be compiled each time.
const REMEMBERED: Duration = Duration::from_secs(900);

fn start_engine(config: &Config, launcher: &Launcher) -> Result<Arc<Engine>> {
    let settings = EngineSettings {
        guest_memory: config.guest_memory,
        instances: config.instances,
        snapshot_memory: config.snapshot_memory,
        cache: open_cache(&config.cache),
        count_instructions: false,
        compiler: Some(launcher.compilers().of(&Tenant::sole())),
    };
    let engine = match Engine::start(settings) {
        Ok(engine) => engine,
        Err(error) => bail!("the WebAssembly engine does not start: {error:#}"),
    };
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

/// Done when the runner is told to stop.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
    })
}
