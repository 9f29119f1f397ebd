//! `runner serve`: settings, then whatever can only be done while this process
//! has one thread, then the tenants, here or in processes of their own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::ServeOptions;
use crate::compiler::Launched;
use crate::config::{self, Compile, Config, Isolation, ProcessEnvironment};
use crate::doors::Sockets;
use crate::granting::Authorities;
use crate::serving::{self, Circumstances};
use crate::supervisor::{self, Supervision, handover};
use crate::tenant::Tenant;
use crate::{file_descriptors, parent_process, second_wall, telemetry};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Where nothing can be served: a bad configuration, no socket, no module that
/// can be loaded.
pub fn run(options: &ServeOptions) -> Result<()> {
    // Where /proc is not there, nothing tells what is open.
    let _ = file_descriptors::close_inherited();
    let (file, listen) = (options.config.as_deref(), options.listen.as_deref());
    if options.supervised {
        return serve_supervised(options);
    }
    let mut config = match &options.tenant {
        Some(tenant) => config::load_tenant(file, tenant, &ProcessEnvironment)?,
        None => config::load(file, listen, &ProcessEnvironment)?,
    };
    name_modules(&mut config, options.modules.as_deref())?;
    match (config.isolation, &options.tenant) {
        (Isolation::Process, None) => keep_processes(options, &config),
        _ => serve_here(options, config, Sockets::Own),
    }
}

/// One process for each tenant.
fn keep_processes(options: &ServeOptions, config: &Config) -> Result<()> {
    let tenants: Vec<Tenant> = config.tenants.iter().map(|of| of.tenant.clone()).collect();
    let log = telemetry::start(config.log_level, config.log_format, &tenants);
    block_on(async {
        let supervision = Supervision {
            watch: options.watch,
            dropped: log.dropped(),
            lines: log.lines(),
        };
        supervisor::keep(config, supervision, &ProcessEnvironment, stop_signal()?).await
    })
}

/// The process of one tenant, with the configuration as the supervisor has read
/// it: what was changed in the file since then is for the next supervisor.
fn serve_supervised(options: &ServeOptions) -> Result<()> {
    parent_process::wake_at_its_end();
    let (sockets, text) = Sockets::handed_over()?;
    let supervisor = sockets.supervisor()?;
    let name = options.config.as_deref().unwrap_or(Path::new("")).display();
    let tenant = options.tenant.as_deref().unwrap_or_default();
    let config = config::settle_tenant(&name.to_string(), text, tenant, &ProcessEnvironment);
    let served = config
        .map_err(anyhow::Error::from)
        .and_then(|config| serve_here(options, config, sockets));
    if let (Err(error), Some(supervisor)) = (&served, supervisor) {
        handover::say_why(&supervisor, &format!("{error:#}"));
    }
    served
}

/// In this one.
fn serve_here(options: &ServeOptions, config: Config, sockets: Sockets) -> Result<()> {
    register_for_barriers();
    let idle = if options.watch { REMEMBERED } else { IDLE };
    let launched = match config.compile {
        Compile::Apart => Some(Launched::start(idle, config.tenants.len())),
        Compile::Inside => None,
    };
    let authorities = Authorities::read(&config);
    // A thread that is there already would stay outside of it.
    let wall = second_wall::of(&config, !options.supervised);
    let raised = wall.as_ref().map(confinement::Wall::raise_early);
    let tenants = config.tenants.iter().filter(|_| config.names_tenants);
    let tenants: Vec<Tenant> = tenants.map(|of| of.tenant.clone()).collect();
    let log = telemetry::start(config.log_level, config.log_format, &tenants);
    if let [only] = &tenants[..] {
        telemetry::this_thread_is_of(only);
    }
    if let Some(raised) = &raised {
        second_wall::say(&config, raised)?;
    }
    block_on(async {
        let circumstances = Circumstances {
            watch: options.watch,
            sockets,
            launched,
            authorities,
            wall,
            dropped: log.dropped(),
        };
        serving::serve(config, circumstances, stop_signal()?).await
    })
}

/// On a runtime that accepts connections and hears signals; others serve.
fn block_on(serving: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // It would end the process; once somebody has asked for it, it does not.
        drop(signal(SignalKind::hangup())?);
        serving.await
    })
}

/// How long a compiler waits for a component before its memory is given back.
const IDLE: Duration = Duration::from_secs(60);

/// The same where an author may change a filter now and then, and should not
/// wait for the language's interpreter to be compiled each time.
const REMEMBERED: Duration = Duration::from_secs(900);

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

/// Done when the runner is told to stop. From here on SIGHUP ends nothing, though
/// whoever looks for new modules then may not be there yet.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    drop(signal(SignalKind::hangup())?);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
    })
}
