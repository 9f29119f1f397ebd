//! What this process keeps when it gives up everything else: the folders and
//! ports that its configuration names. Raised in two halves, the first before
//! there is a second thread, the second when everything has started.
//!
//! Must not know how the kernel is told.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use confinement::{Report, Tcp, Wall};
use nix::unistd::geteuid;
use sandbox::DiskCache;

use crate::config::{AdminAddress, Config, HttpGrant, KeyValueStore, RawConfinement, TenantConfig};
use crate::granting;
use crate::socket_owner::Owner;

/// The port of name servers, which are asked by TCP where an answer is long.
const DNS: u16 = 53;

/// The port of Redis, where its address names none.
const REDIS: u16 = 6379;

/// What a process needs that serves these tenants. `makes_sockets`: nobody has
/// made them for it. `None` where the operator wants no wall.
#[must_use]
pub fn of(config: &Config, makes_sockets: bool) -> Option<Wall> {
    if config.confinement.mode == RawConfinement::Off {
        return None;
    }
    let mut wall = Wall {
        read_only: config.confinement.read.clone(),
        ..Wall::default()
    };
    for tenant in &config.tenants {
        add_tenant(&mut wall, config, tenant, makes_sockets);
    }
    if makes_sockets {
        match &config.admin {
            Some(AdminAddress::Unix(path)) => wall.sockets.push(folder_of(path)),
            Some(AdminAddress::Loopback(address)) => wall.listen = Tcp::Ports(vec![address.port()]),
            None => {}
        }
    }
    Some(wall)
}

/// Says what came of a half.
///
/// # Errors
/// Where something is missing that the operator wants in any case.
pub fn say(config: &Config, report: &Report) -> Result<()> {
    tracing::info!("{report}");
    for remark in report.remarks() {
        tracing::info!("second wall: {remark}");
    }
    let missing = report.missing();
    if config.confinement.mode == RawConfinement::Required && !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        bail!(
            "confinement is required, and there is no {}; use a newer kernel, or set confinement \
             to auto",
            missing.join("; no ")
        );
    }
    for missing in missing {
        tracing::warn!("the second wall has a gap: {missing}");
    }
    Ok(())
}

fn add_tenant(wall: &mut Wall, config: &Config, tenant: &TenantConfig, makes_sockets: bool) {
    if let Some(modules) = &tenant.modules {
        add_modules(wall, modules);
    }
    // The start reads them behind the first half.
    let keys = &tenant.integrity.trusted_keys;
    wall.read_only.extend(keys.iter().cloned());
    wall.read_write.extend(cache_folder(config, tenant));
    if makes_sockets {
        let auto = tenant
            .sockets
            .iter()
            .any(|socket| socket.owner == Owner::Auto);
        // The gateway's workers may not be there yet when the socket is made.
        let looks_for_workers = auto && geteuid().is_root();
        wall.give_files_away |= looks_for_workers;
        wall.other_processes |= looks_for_workers;
        let folders = tenant.sockets.iter().map(|socket| folder_of(&socket.path));
        wall.sockets.extend(folders);
    }
    let named = tenant.plugins.named.values();
    for plugin in named.chain([&tenant.plugins.others]) {
        if let Some(http) = &plugin.grants.http {
            add_http(wall, http);
        }
        if plugin.grants.key_value {
            add_store(wall, config, tenant);
        }
    }
}

/// The folder, and where links lead: a folder that is a link is replaced by
/// turning the link to a neighbour of what it leads to.
fn add_modules(wall: &mut Wall, modules: &Path) {
    wall.read_only.push(modules.to_owned());
    let is_link = |path: &Path| {
        path.symlink_metadata()
            .is_ok_and(|found| found.is_symlink())
    };
    let mut links = Vec::new();
    if is_link(modules) {
        links.push(modules.to_owned());
    }
    if let Ok(entries) = std::fs::read_dir(modules) {
        let paths = entries.flatten().map(|entry| entry.path());
        links.extend(paths.filter(|path| is_link(path)));
    }
    for link in links {
        if let Ok(target) = link.canonicalize() {
            wall.read_only.push(folder_of(&target));
        }
    }
    wall.read_only.dedup();
}

/// Where its compiled components are: the first folder that can be used, as it
/// will be found again.
fn cache_folder(config: &Config, tenant: &TenantConfig) -> Option<PathBuf> {
    let settings = config.cache_of(tenant);
    if settings.max_bytes == 0 {
        return None;
    }
    let opens = |folder: &&PathBuf| {
        // Each tenant's is within one that may be missing yet.
        if let (true, Some(parent)) = (config.names_tenants, folder.parent()) {
            granting::make(parent);
        }
        DiskCache::open(folder, settings.max_bytes).is_ok()
    };
    settings.folders.iter().find(opens).cloned()
}

fn add_http(wall: &mut Wall, http: &HttpGrant) {
    let mut ports = vec![DNS];
    ports.extend(http.allow.iter().map(outbound::AllowRule::port));
    ports.extend(http.nameservers.iter().map(std::net::SocketAddr::port));
    open_ports(wall, ports);
    wall.read_only.extend(http.ca_file.clone());
    wall.host_names = true;
}

fn add_store(wall: &mut Wall, config: &Config, tenant: &TenantConfig) {
    match &config.key_value.store {
        KeyValueStore::Embedded(folders) => {
            // Only the first that can be made will be used.
            for folder in folders {
                let own = granting::own_folder(folder, &tenant.tenant);
                granting::make(&own);
                if own.is_dir() {
                    wall.read_write.push(own);
                    return;
                }
            }
        }
        KeyValueStore::Redis(address) if address.starts_with("redis://") => {
            let authority = address.trim_start_matches("redis://");
            let authority = authority.split(['/', '?']).next().unwrap_or_default();
            let port = authority
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            open_ports(wall, vec![port.unwrap_or(REDIS), DNS]);
            wall.host_names = true;
        }
        KeyValueStore::Redis(_) => wall.unix_connect = true,
    }
}

fn open_ports(wall: &mut Wall, more: Vec<u16>) {
    let mut ports = match std::mem::take(&mut wall.connect) {
        Tcp::Ports(ports) => ports,
        Tcp::Closed | Tcp::Any => Vec::new(),
    };
    ports.extend(more);
    ports.sort_unstable();
    ports.dedup();
    wall.connect = Tcp::Ports(ports);
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
