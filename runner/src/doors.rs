//! The sockets of all tenants: made here, or handed over by a supervisor, each
//! with who may connect to it.
//!
//! Must not know what is served behind them.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::config::{Config, SocketSettings};
use crate::listener::Listener;
use crate::server::Door;
use crate::socket_owner::{self, Owner, Ownership};
use crate::supervisor::handover;
use crate::telemetry;
use crate::tenant_service::TenantService;

/// Where this process's sockets come from.
pub enum Sockets {
    /// It makes them.
    Own,
    /// A supervisor has made them, and is at the other end of the way.
    HandedOver(Vec<OwnedFd>, UnixStream),
}

impl Sockets {
    /// Takes them from the supervisor.
    ///
    /// # Errors
    /// Where there is none.
    pub fn handed_over() -> Result<Self> {
        let way = handover::own_end();
        let received = way.and_then(|way| Ok((handover::receive_sockets(&way)?, way)));
        let (sockets, way) = received.context("--supervised is for a supervisor to give")?;
        Ok(Sockets::HandedOver(sockets, way))
    }
}

impl Sockets {
    /// The way to the supervisor, where there is one.
    ///
    /// # Errors
    /// Where descriptors are short.
    pub fn supervisor(&self) -> Result<Option<UnixStream>> {
        match self {
            Sockets::Own => Ok(None),
            Sockets::HandedOver(_, way) => Ok(Some(way.try_clone()?)),
        }
    }
}

/// Who may connect to each socket, in order.
#[must_use]
pub fn ownerships(config: &Config) -> Vec<Ownership> {
    let workers = std::cell::LazyCell::new(socket_owner::workers);
    let sockets = config.tenants.iter().flat_map(|tenant| &tenant.sockets);
    sockets
        .map(|socket| Ownership::settle(&socket.owner, socket.group, || *workers))
        .collect()
}

/// Opens the sockets of those tenants that are served.
///
/// # Errors
/// Where one cannot be made.
pub fn open_doors<'a>(
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
            let named = config.names_tenants.then_some(&of.tenant);
            let listen = || listen(settings, &ownership);
            let listener = telemetry::on_behalf_of(named, listen)?;
            let peers = settings.peers.clone();
            doors.push((Door { listener, peers }, &**service));
        }
    }
    Ok(doors)
}

/// The sockets that a supervisor has opened for its one tenant.
///
/// # Errors
/// Where they are not those of the configuration.
pub fn inherit_doors<'a>(
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

/// Listens where a tenant's gateways connect.
///
/// # Errors
/// The system's.
pub fn listen(settings: &SocketSettings, ownership: &Ownership) -> Result<Listener> {
    let mode = settings.mode;
    let listener = Listener::bind(&settings.path, mode, ownership)
        .with_context(|| format!("cannot listen on unix:{}", settings.path.display()))?;
    let path = listener.path().display();
    tracing::info!("listening on unix:{path}; may connect: {ownership} (mode {mode:04o})");
    if ownership.workers_unknown && mode & 0o006 == 0 {
        let giving = give_to_workers(listener.path().to_owned());
        tokio::spawn(telemetry::turns_of(telemetry::whose(), giving));
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
