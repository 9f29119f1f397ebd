//! Serves tenants in this process: starts each, opens the doors, loads the
//! modules, ends in order. The sockets come before the modules: the gateway may
//! call at once, and a call waits for its module.
//!
//! Must not know the command line.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};
use confinement::Wall;
use futures_util::future::join_all;
use sandbox::ThreadStart;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::admin::pages::{Content, Pages, TenantPages};
use crate::compiler::{Compilers, Launched, Launcher};
use crate::conf_cache::Tokens;
use crate::config::Config;
use crate::doors::{self, Sockets};
use crate::granting::Authorities;
use crate::metrics::{AllMetrics, Levels};
use crate::module_watch::When;
use crate::supervisor::handover::{self, Topic};
use crate::telemetry::DroppedLines;
use crate::tenant::Tenant;
use crate::tenant_service::{Given, TenantService, thread_start};
use crate::{file_descriptors, granting, second_wall, server, telemetry};

/// What comes from outside the configuration.
pub struct Circumstances {
    /// Whether new modules are looked for all the time.
    pub watch: bool,
    /// Where the sockets come from.
    pub sockets: Sockets,
    /// Starts compilers; none where everything is compiled in this process.
    pub launched: Option<Launched>,
    /// Whom filters' requests believe.
    pub authorities: Authorities,
    /// What is raised once everything has started.
    pub wall: Option<Wall>,
    /// Lines of the log that nobody read.
    pub dropped: DroppedLines,
}

/// Serves the tenants of a configuration until `stop` is done.
///
/// # Errors
/// Where nothing can be served.
pub async fn serve(
    config: Config,
    circumstances: Circumstances,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let Circumstances {
        watch,
        sockets,
        launched,
        authorities,
        wall,
        dropped,
    } = circumstances;
    let descriptors = file_descriptors::raise_limit();
    let all_metrics = AllMetrics::new()?;
    let launcher = launched.map(Launched::watch).transpose();
    let launcher = launcher.context("no thread for the launcher of compilers")?;
    let compilers = launcher.as_ref().map(Launcher::compilers);
    if compilers.is_none() {
        tracing::warn!(
            "modules are compiled in this process, without limits of time and memory \
             (compile: inside)"
        );
    }
    let makes_sockets = matches!(sockets, Sockets::Own);
    // Each of the two takes a millisecond or more.
    let (services, ownerships) = std::thread::scope(|scope| {
        let search = scope.spawn(|| match makes_sockets {
            true => doors::ownerships(&config),
            // Whoever made them has looked.
            false => Vec::new(),
        });
        (
            start_tenants(
                &config,
                watch,
                &authorities,
                descriptors,
                &all_metrics,
                compilers.as_ref(),
            ),
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
        compilers,
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
        None => doors::open_doors(&config, &services, ownerships)?,
        Some(sockets) => doors::inherit_doors(&config, &services, sockets)?,
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
    let loading = start_loading(&services, watch)?;
    if let Some(wall) = wall {
        second_wall::say(&config, &wall.raise_late())?;
    }
    let named = |service: &TenantService| config.names_tenants.then(|| service.tenant.clone());
    let loaded = all_loaded(loading, watch, config.names_tenants);
    let serving = doors.into_iter().map(|(door, service)| {
        let mut stopped = stopped.clone();
        telemetry::turns_of(named(service), async move {
            let stop = async {
                // An error is the end of the program.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            server::serve(door, &service.service(), stop).await;
        })
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
    let closing = services.iter();
    let closing = closing.map(|service| telemetry::turns_of(named(service), service.close()));
    join_all(closing).await;
    Ok(())
}

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
    authorities: &Authorities,
    descriptors: u64,
    all_metrics: &AllMetrics,
    compilers: Option<&Compilers>,
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
        let cache = config.cache_of(tenant);
        if shared_out {
            let parents = cache.folders.iter().filter_map(|folder| folder.parent());
            parents.for_each(granting::make);
        }
        let connections = part(tenant.connections, possible, wanted);
        let given = Given {
            modules,
            watch,
            tokens: tokens.clone(),
            metrics: all_metrics.of(&tenant.tenant),
            key_value: &config.key_value,
            authorities,
            cache,
            configuration_lifetime: config.configuration_lifetime,
            connections: connections.max(1),
            compilers: compilers.cloned(),
            thread_start: match shared_out {
                true => thread_start(&tenant.tenant, tenant.share, true),
                false => ThreadStart::default(),
            },
        };
        let named = shared_out.then_some(&tenant.tenant);
        let started = telemetry::on_behalf_of(named, || match &tenant.missing[..] {
            [] => TenantService::start(tenant, given),
            missing => Err(anyhow!("{}", missing.join("; "))),
        });
        match started {
            Ok(service) => services.push(Arc::new(service)),
            Err(error) if shared_out => {
                telemetry::on_behalf_of(named, || {
                    tracing::error!("tenant {} is not served: {error:#}", tenant.tenant);
                });
                not_served.push((tenant.tenant.clone(), format!("{error:#}")));
            }
            Err(error) => return Err(error),
        }
    }
    match (&services[..], &not_served[..]) {
        ([], [(tenant, reason)]) => bail!("tenant {tenant} is not served: {reason}"),
        ([], _) => bail!(
            "no tenant of {} can be served; the log says why",
            config.name
        ),
        _ => Ok(Started {
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

/// One tenant's modules, being loaded.
type Loading<'a> = (&'a TenantService, JoinHandle<usize>);

/// Begins to load the modules of all tenants.
fn start_loading(services: &[Arc<TenantService>], watch: bool) -> Result<Vec<Loading<'_>>> {
    let mut loading = Vec::new();
    for service in services {
        let when = When {
            watch,
            // Whether or not anybody watches: it would end the process.
            hangups: Some(signal(SignalKind::hangup())?),
        };
        loading.push((&**service, service.load(when)));
    }
    Ok(loading)
}

/// Done when all are loaded or refused.
///
/// # Errors
/// Where there is one tenant, nobody watches, and nothing can be called.
async fn all_loaded(loading: Vec<Loading<'_>>, watch: bool, names_tenants: bool) -> Result<()> {
    let alone = loading.len() == 1;
    for (service, loading) in loading {
        let (tenant, folder) = (&service.tenant, service.modules().display());
        let loaded = loading.await?;
        if loaded == 0 && alone && !watch {
            bail!("no module of {folder} can be used; the log says why");
        }
        let named = names_tenants.then_some(tenant);
        telemetry::on_behalf_of(named, || match loaded {
            0 if alone => {
                tracing::warn!("no module of {folder} can be used; waiting for one that can");
            }
            0 => tracing::error!("tenant {tenant}: no module of {folder} can be used"),
            loaded if named.is_none() => tracing::info!("{loaded} plugins can be used"),
            loaded => tracing::info!("tenant {tenant}: {loaded} plugins can be used"),
        });
    }
    Ok(())
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
