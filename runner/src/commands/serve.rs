//! `runner serve`: settings, then the sockets, then the modules, then calls
//! until a signal. The sockets come first: the gateway may call at once, and a
//! call waits for its module.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::join_all;
use sandbox::ThreadStart;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::admin::Admin;
use crate::admin::pages::{Content, Pages, TenantPages};
use crate::cli::ServeOptions;
use crate::compiler::Launcher;
use crate::conf_cache::Tokens;
use crate::config::{
    self, CacheSettings, Config, Isolation, ProcessEnvironment, SocketSettings, TenantConfig,
};
use crate::file_descriptors;
use crate::granting;
use crate::listener::Listener;
use crate::metrics::{AllMetrics, Levels};
use crate::module_watch::When;
use crate::server::{self, Door};
use crate::socket_owner::{self, Owner, Ownership};
use crate::supervisor::handover::{self, Topic};
use crate::supervisor::{AllProcesses, Ward};
use crate::telemetry::{self, DroppedLines};
use crate::tenant::Tenant;
use crate::tenant_service::{Given, TenantService, thread_start};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Where nothing can be served: a bad configuration, no socket, no module that
/// can be loaded.
pub fn run(options: &ServeOptions) -> Result<()> {
    let (file, listen) = (options.config.as_deref(), options.listen.as_deref());
    let mut config = match &options.tenant {
        Some(tenant) => config::load_tenant(file, tenant, &ProcessEnvironment)?,
        None => config::load(file, listen, &ProcessEnvironment)?,
    };
    name_modules(&mut config, options.modules.as_deref())?;
    register_for_barriers();
    let log = telemetry::start(config.log_level, config.log_format);
    // It accepts connections and hears signals; others serve.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let dropped = log.dropped();
    let (watch, file) = (options.watch, file.unwrap_or(Path::new("")));
    runtime.block_on(async {
        let stop = stop_signal()?;
        match (config.isolation, options.supervised) {
            (Isolation::Process, false) if options.tenant.is_none() => {
                supervise(&config, file, watch, dropped, stop).await
            }
            (_, supervised) => {
                let sockets = match supervised {
                    true => Sockets::handed_over(),
                    false => Ok(Sockets::Own),
                };
                serve(config, watch, sockets?, dropped, stop).await
            }
        }
    })
}

/// Where this process's sockets come from.
pub(super) enum Sockets {
    /// It makes them.
    Own,
    /// A supervisor has made them, and is at the other end of the way.
    HandedOver(Vec<OwnedFd>, UnixStream),
}

impl Sockets {
    fn handed_over() -> Result<Self> {
        let way = handover::own_end();
        let received = way.and_then(|way| Ok((handover::receive_sockets(&way)?, way)));
        let (sockets, way) = received.context("--supervised is for a supervisor to give")?;
        Ok(Sockets::HandedOver(sockets, way))
    }
}

/// Opens the sockets of all tenants and keeps a process for each.
async fn supervise(
    config: &Config,
    file: &Path,
    watch: bool,
    dropped: DroppedLines,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let mut wards = Vec::new();
    let mut ownerships = ownerships(config).into_iter();
    for tenant in &config.tenants {
        let sockets = tenant.sockets.iter().zip(&mut ownerships);
        if !tenant.missing.is_empty() {
            // Its sockets might be given to the wrong user.
            let (name, missing) = (&tenant.tenant, tenant.missing.join("; "));
            tracing::error!("tenant {name} is not served: {missing}");
            sockets.for_each(drop);
            continue;
        }
        let listeners = sockets.map(|(settings, ownership)| listen(settings, &ownership));
        let listeners = listeners.collect::<Result<_>>()?;
        wards.push(Ward::new(
            tenant,
            file,
            watch,
            listeners,
            &ProcessEnvironment,
        )?);
    }
    let pages = AllProcesses {
        reached: wards.iter().map(Ward::reached).collect(),
        dropped,
    };
    let admin = config.admin.as_ref();
    let admin = admin.map(|address| Admin::start(address, Arc::new(pages)));
    let _admin = admin.transpose()?;
    let (stop_all, stopped) = watch::channel(false);
    let stop = async {
        stop.await;
        stop_all.send_replace(true);
    };
    let wards = wards.into_iter().map(|ward| ward.keep(stopped.clone()));
    tokio::join!(stop, join_all(wards));
    Ok(())
}

/// Settles where the modules of each tenant are.
fn name_modules(config: &mut Config, given: Option<&Path>) -> Result<()> {
    match (given, config.names_tenants) {
        (Some(_), true) => bail!(
            "{} has tenants, each with a modules folder of its own; leave --modules out",
            config.name
        ),
        (Some(given), false) => config.tenants[0].modules = Some(given.to_owned()),
        (None, _) => {}
    }
    match config.tenants.iter().all(|tenant| tenant.modules.is_some()) {
        true => Ok(()),
        false => bail!("where are the filters? Give --modules DIR, or `modules` in --config FILE"),
    }
}

/// Makes a map that is read without a lock, to be thrown away. With the first of
/// them the process registers for memory barriers (`membarrier(2)`), which takes
/// the kernel milliseconds as soon as there is a second thread, and nothing
/// before.
fn register_for_barriers() {
    drop(papaya::HashMap::<u32, u32>::new());
}

/// Serves the tenants of a configuration until `stop` is done; `watch` looks for
/// new modules all the time.
pub(super) async fn serve(
    config: Config,
    watch: bool,
    sockets: Sockets,
    dropped: DroppedLines,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let descriptors = file_descriptors::raise_limit();
    let all_metrics = AllMetrics::new()?;
    let launcher = Launcher::start(if watch { REMEMBERED } else { IDLE });
    let launcher = launcher.context("the launcher of compilers does not start")?;
    // Each of the two takes a millisecond or more.
    let (services, ownerships) = std::thread::scope(|scope| {
        let search = scope.spawn(|| ownerships(&config));
        (
            start_tenants(&config, watch, descriptors, &all_metrics, &launcher),
            search.join(),
        )
    });
    let Started {
        services,
        not_served,
    } = services?;
    let services = Arc::new(services);
    let ownerships =
        ownerships.map_err(|_| anyhow!("the search for the gateway's workers failed"))?;
    let stopping = Arc::<AtomicBool>::default();
    let pages = Pages {
        not_served,
        names_tenants: config.names_tenants,
        compilers: Some(launcher.compilers()),
        ..pages(&services, all_metrics, &dropped, &stopping)
    };
    let pages: Arc<dyn Content> = Arc::new(pages);
    let (supervisor_gone, handed_over, _admin) = match sockets {
        Sockets::Own => {
            let admin = config.admin.as_ref();
            let admin = admin
                .map(|address| Admin::start(address, pages))
                .transpose()?;
            (None, None, admin)
        }
        Sockets::HandedOver(sockets, way) => {
            (Some(report_to_supervisor(way, pages)?), Some(sockets), None)
        }
    };
    tokio::spawn(dropped.say());
    // Behind everything that can fail: they take the place of another runner's.
    let doors = match handed_over {
        None => open_doors(&config, &services, ownerships)?,
        Some(sockets) => inherit_doors(&config, &services, sockets)?,
    };

    let (stop_all, stopped) = watch::channel(false);
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = ended(supervisor_gone) => tracing::info!("the supervisor is gone: stopping"),
        }
        stopping.store(true, Ordering::Relaxed);
        stop_all.send_replace(true);
    };
    let loaded = load_all(&services, watch);
    let serving = doors.into_iter().map(|(door, service)| {
        let mut stopped = stopped.clone();
        async move {
            let stop = async {
                // An error is the end of the program.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            server::serve(door, &service.service(), stop).await;
        }
    });
    let serving = async { tokio::join!(stop, join_all(serving)) };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = &mut serving => {}
        loaded = loaded => {
            loaded?;
            serving.await;
        }
    }
    Ok(())
}

/// How long a compiler waits for a component before its memory is given back.
const IDLE: Duration = Duration::from_secs(60);

/// The same where an author may change a filter now and then, and should not
/// wait for the language's interpreter to be compiled each time.
const REMEMBERED: Duration = Duration::from_secs(900);

/// What came of starting.
struct Started {
    services: Vec<Arc<TenantService>>,
    /// Each with the reason.
    not_served: Vec<(Tenant, String)>,
}

/// Starts those tenants that can be started. One whose folder cannot be used
/// fails alone, unless it is the only one.
fn start_tenants(
    config: &Config,
    watch: bool,
    descriptors: u64,
    all_metrics: &AllMetrics,
    launcher: &Launcher,
) -> Result<Started> {
    let (tokens, shared_out) = (Tokens::from_random(), config.names_tenants);
    let wanted = config.tenants.iter().map(|tenant| tenant.connections);
    let wanted = wanted.fold(0, u32::saturating_add);
    let possible = file_descriptors::connections(wanted, descriptors);
    let (mut services, mut not_served) = (Vec::new(), Vec::new());
    for tenant in &config.tenants {
        let Some(modules) = &tenant.modules else {
            bail!("tenant {} has no modules folder", tenant.tenant);
        };
        let connections = part(tenant.connections, possible, wanted);
        let given = Given {
            modules,
            watch,
            tokens: tokens.clone(),
            metrics: all_metrics.of(&tenant.tenant),
            key_value: &config.key_value,
            cache: cache_of(config, tenant),
            configuration_lifetime: config.configuration_lifetime,
            connections: connections.max(1),
            compilers: launcher.compilers(),
            thread_start: match shared_out {
                true => thread_start(&tenant.tenant, tenant.share, true),
                false => ThreadStart::default(),
            },
        };
        let started = match &tenant.missing[..] {
            [] => TenantService::start(tenant, given),
            missing => Err(anyhow!("{}", missing.join("; "))),
        };
        match started {
            Ok(service) => services.push(Arc::new(service)),
            Err(error) if shared_out => {
                tracing::error!("tenant {} is not served: {error:#}", tenant.tenant);
                not_served.push((tenant.tenant.clone(), format!("{error:#}")));
            }
            Err(error) => return Err(error),
        }
    }
    match services.is_empty() {
        true => bail!(
            "no tenant of {} can be served; the log says why",
            config.name
        ),
        false => Ok(Started {
            services,
            not_served,
        }),
    }
}

/// `whole` where `possible` is `wanted`, and as much less as that is.
fn part(whole: u32, possible: u32, wanted: u32) -> u32 {
    let part = u64::from(whole) * u64::from(possible) / u64::from(wanted.max(1));
    u32::try_from(part).unwrap_or(whole)
}

/// A folder of its own: what one tenant fills, no other loses.
fn cache_of(config: &Config, tenant: &TenantConfig) -> CacheSettings {
    let mut cache = config.cache.clone();
    if config.names_tenants {
        for folder in &mut cache.folders {
            granting::make(folder);
            *folder = folder.join(tenant.tenant.name());
        }
        let (own, all) = (
            u64::from(tenant.share.own),
            u64::from(tenant.share.all.max(1)),
        );
        cache.max_bytes = cache.max_bytes / all * own;
    }
    cache
}

fn pages(
    services: &Arc<Vec<Arc<TenantService>>>,
    metrics: AllMetrics,
    dropped: &DroppedLines,
    stopping: &Arc<AtomicBool>,
) -> Pages {
    let (owners, dropped) = (Arc::clone(services), dropped.clone());
    let levels = move || Levels {
        log_lines_dropped: dropped.count(),
        tenants: owners.iter().map(|service| service.levels()).collect(),
    };
    let tenants = services.iter().map(|service| TenantPages {
        tenant: service.tenant.clone(),
        catalog: Arc::clone(&service.catalog),
        confs: Arc::clone(&service.confs),
    });
    Pages {
        metrics,
        levels: Box::new(levels),
        tenants: tenants.collect(),
        not_served: Vec::new(),
        names_tenants: false,
        compilers: None,
        stopping: Arc::clone(stopping),
    }
}

/// Loads the modules of all tenants. Done when all are loaded or refused.
///
/// # Errors
/// Where there is one tenant, nobody watches, and nothing can be called.
async fn load_all(services: &[Arc<TenantService>], watch: bool) -> Result<()> {
    let mut loading = Vec::new();
    for service in services {
        let when = When {
            watch,
            // Whether or not anybody watches: it would end the process.
            hangups: Some(signal(SignalKind::hangup())?),
        };
        loading.push((service, service.load(when)));
    }
    let alone = loading.len() == 1;
    for (service, loading) in loading {
        let (tenant, folder) = (&service.tenant, service.modules().display());
        match loading.await? {
            0 if watch || !alone => tracing::warn!(
                "tenant {tenant}: no module of {folder} can be used; waiting for one that can"
            ),
            0 => bail!("no module of {folder} can be used; the log says why"),
            loaded if alone => tracing::info!("{loaded} plugins can be used"),
            loaded => tracing::info!("tenant {tenant}: {loaded} plugins can be used"),
        }
    }
    Ok(())
}

/// Who may connect to each socket, in order.
fn ownerships(config: &Config) -> Vec<Ownership> {
    let workers = std::cell::LazyCell::new(socket_owner::workers);
    let sockets = config.tenants.iter().flat_map(|tenant| &tenant.sockets);
    sockets
        .map(|socket| Ownership::settle(&socket.owner, socket.group, || *workers))
        .collect()
}

/// Opens the sockets of those tenants that are served.
fn open_doors<'a>(
    config: &Config,
    services: &'a [Arc<TenantService>],
    ownerships: Vec<Ownership>,
) -> Result<Vec<(Door, &'a TenantService)>> {
    let tenants = config.tenants.iter();
    let sockets = tenants.flat_map(|of| of.sockets.iter().map(move |socket| (of, socket)));
    let mut doors = Vec::new();
    for ((of, settings), ownership) in sockets.zip(ownerships) {
        let service = services.iter().find(|service| service.tenant == of.tenant);
        if let Some(service) = service {
            let listener = listen(settings, &ownership)?;
            let peers = settings.peers.clone();
            doors.push((Door { listener, peers }, &**service));
        }
    }
    Ok(doors)
}

/// The sockets that a supervisor has opened for its one tenant.
fn inherit_doors<'a>(
    config: &Config,
    services: &'a [Arc<TenantService>],
    sockets: Vec<OwnedFd>,
) -> Result<Vec<(Door, &'a TenantService)>> {
    let (Some(service), Some(of)) = (services.first(), config.tenants.first()) else {
        bail!("there is no tenant");
    };
    if sockets.len() != of.sockets.len() {
        bail!("the configuration has changed since the supervisor started; start it anew");
    }
    let doors = sockets.into_iter().zip(&of.sockets);
    let doors = doors.map(|(socket, settings)| {
        let listener = Listener::inherited(socket, &settings.path)?;
        let peers = settings.peers.clone();
        Ok((Door { listener, peers }, &**service))
    });
    doors.collect()
}

/// Answers the supervisor's questions on a thread of its own. What is returned
/// ends with the supervisor.
fn report_to_supervisor(way: UnixStream, pages: Arc<dyn Content>) -> Result<oneshot::Receiver<()>> {
    let (here, gone) = oneshot::channel();
    std::thread::Builder::new()
        .name("report".into())
        .spawn(move || {
            let _here: oneshot::Sender<()> = here;
            handover::report(way, |topic| match topic {
                Topic::Metrics => pages.metrics(),
                Topic::Readiness => pages.readiness(),
            });
        })?;
    Ok(gone)
}

/// Done when the other end is gone; never where there is none.
async fn ended(gone: Option<oneshot::Receiver<()>>) {
    match gone {
        // An error is that end.
        Some(gone) => drop(gone.await),
        None => std::future::pending().await,
    }
}

fn listen(settings: &SocketSettings, ownership: &Ownership) -> Result<Listener> {
    let mode = settings.mode;
    let listener = Listener::bind(&settings.path, mode, ownership)
        .with_context(|| format!("cannot listen on unix:{}", settings.path.display()))?;
    let path = listener.path().display();
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
        let ownership = Ownership::settle(&Owner::Auto, None, socket_owner::workers);
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
