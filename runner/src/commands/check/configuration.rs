//! What a configuration comes to: for each tenant who may reach it, what each of
//! its modules is and may do, and what is wrong. What only this machine lacks (a
//! folder, a user, a secret) is a warning, since another may have it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use integrity::{Policy, TrustedKey};
use nix::unistd::{Uid, User};
use outbound::AllowRule;
use sandbox::Grant;
use tracing::Level;

use crate::commands::try_filter::bytes;
use crate::config::{
    Config, Grants, Isolation, KeyValueStore, PluginConfig, RawConfinement, SocketSettings,
    TenantConfig,
};
use crate::module_folder::{self, Listing};
use crate::socket_owner::Owner;
use crate::trial::Workshop;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const WRONG: Style = AnsiColor::Red.on_default().bold();
const LACKING: Style = AnsiColor::Yellow.on_default();

/// Writes, and counts what is wrong.
struct Report<W> {
    out: W,
    errors: usize,
    warnings: usize,
}

/// Prints it.
///
/// # Errors
/// Where something cannot be used anywhere; all of it was printed then.
pub(super) fn run(config: &Config) -> Result<()> {
    let mut report = Report {
        out: anstream::stdout(),
        errors: 0,
        warnings: 0,
    };
    report.runner(config)?;
    let mut workshop = None;
    for tenant in &config.tenants {
        report.tenant(config, tenant, &mut workshop)?;
    }
    let Report {
        errors, warnings, ..
    } = report;
    writeln!(report.out, "\nerrors: {errors}, warnings: {warnings}")?;
    match errors {
        0 => Ok(()),
        _ => bail!("{} cannot be served as it is", config.name),
    }
}

impl<W: Write> Report<W> {
    fn line(&mut self, key: &str, text: &str) -> std::io::Result<()> {
        writeln!(self.out, "  {key:<13} {text}")
    }

    fn error(&mut self, text: &str) -> std::io::Result<()> {
        self.errors += 1;
        writeln!(self.out, "  {WRONG}error{WRONG:#}         {text}")
    }

    fn warning(&mut self, text: &str) -> std::io::Result<()> {
        self.warnings += 1;
        writeln!(self.out, "  {LACKING}warning{LACKING:#}       {text}")
    }

    fn runner(&mut self, config: &Config) -> std::io::Result<()> {
        writeln!(self.out, "{BOLD}{}{BOLD:#}", config.name)?;
        let processes = match config.isolation {
            Isolation::Process => "one for each tenant",
            Isolation::Shared => "one",
        };
        self.line("processes", processes)?;
        let wall = match config.confinement.mode {
            RawConfinement::Auto => "as far as the kernel can",
            RawConfinement::Required => "required",
            RawConfinement::Off => "off",
        };
        self.line("confinement", wall)?;
        match &config.admin {
            Some(address) => self.line("pages", &format!("{address}")),
            None => self.line("pages", "none (admin.listen)"),
        }
    }

    fn tenant(
        &mut self,
        config: &Config,
        tenant: &TenantConfig,
        workshop: &mut Option<Workshop>,
    ) -> Result<()> {
        writeln!(self.out, "\n{BOLD}tenant {}{BOLD:#}", tenant.tenant)?;
        for socket in &tenant.sockets {
            self.line("reached at", &shown_socket(socket))?;
        }
        let share = tenant.share;
        let (memory, store) = (bytes(tenant.guest_memory), bytes(tenant.key_value_size));
        self.line(
            "has",
            &format!(
                "{} of {} shares: {} instances, {} connections, {memory} for instances",
                share.own, share.all, tenant.instances, tenant.connections
            ),
        )?;
        if keeps_values(tenant) {
            let place = match &config.key_value.store {
                KeyValueStore::Embedded(folders) => match folders.first() {
                    Some(folder) => format!("in {}, at most {store}", folder.display()),
                    None => format!("at most {store}"),
                },
                KeyValueStore::Redis(_) => "in Redis".into(),
            };
            self.line("keeps values", &place)?;
        }
        let one = tenant.plugins.others.settings.limits.memory;
        if tenant.guest_memory < one {
            self.warning(&format!(
                "all its instances together may have {memory}, and one alone {}; raise its \
                 limits.guest_memory_mib, or its share",
                bytes(one)
            ))?;
        }
        for missing in &tenant.missing {
            self.warning(missing)?;
        }
        self.modules(config, tenant, workshop)
    }

    fn modules(
        &mut self,
        config: &Config,
        tenant: &TenantConfig,
        workshop: &mut Option<Workshop>,
    ) -> Result<()> {
        let Some(folder) = &tenant.modules else {
            self.line("modules", "in the folder that --modules names")?;
            return Ok(self.unnamed(tenant, &[])?);
        };
        self.line("modules", &format!("in {}", folder.display()))?;
        let keys = self.keys(tenant)?;
        let listing = match integrity::check_folder(folder) {
            Ok(remarks) => {
                for remark in remarks {
                    self.warning(&remark)?;
                }
                module_folder::list(folder)
            }
            Err(integrity::FolderError::Unreadable { path, reason }) => {
                self.warning(&format!("{}: {reason}", path.display()))?;
                return Ok(self.unnamed(tenant, &[])?);
            }
            Err(error) => {
                self.error(&error.to_string())?;
                return Ok(self.unnamed(tenant, &[])?);
            }
        };
        let Listing {
            modules, refused, ..
        } = match listing {
            Ok(mut listing) => {
                // What is beside the modules keeps none of them from serving.
                for remark in std::mem::take(&mut listing.remarks) {
                    if let (Level::ERROR | Level::WARN, text) = remark.said() {
                        self.warning(text)?;
                    }
                }
                listing.keep(tenant.plugins.most_modules, &BTreeSet::new());
                for remark in &listing.remarks {
                    self.error(remark.said().1)?;
                }
                listing
            }
            Err(error) => {
                self.warning(&format!("{}: {error}", folder.display()))?;
                return Ok(self.unnamed(tenant, &[])?);
            }
        };
        if modules.is_empty() {
            self.warning(&format!("there is no NAME.wasm in {}", folder.display()))?;
        }
        for (name, file) in &modules {
            if workshop.is_none() {
                *workshop = Some(Workshop::open(config, tenant)?);
            }
            let Some(workshop) = workshop.as_ref() else {
                continue;
            };
            self.plugin(tenant, name)?;
            if let Err(error) = self.module(tenant, &keys, name, &file.path, workshop) {
                self.error(&format!("{error:#}"))?;
            }
        }
        let names = modules.keys().chain(&refused).map(|name| &**name);
        let names: Vec<&str> = names.collect();
        Ok(self.unnamed(tenant, &names)?)
    }

    /// Keys that cannot be read are errors: without them nothing is loaded.
    fn keys(&mut self, tenant: &TenantConfig) -> std::io::Result<Vec<TrustedKey>> {
        let mut keys = Vec::new();
        for file in &tenant.integrity.trusted_keys {
            match TrustedKey::read(file) {
                Ok(key) => keys.push(key),
                Err(error) if !file.exists() => self.warning(&error.to_string())?,
                Err(error) => self.error(&error.to_string())?,
            }
        }
        if tenant.integrity.require_signed {
            let ids: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
            let ids = match ids.is_empty() {
                true => "a key that is not here".to_owned(),
                false => format!("a key of {}", ids.join(", ")),
            };
            self.line("signed", &format!("each, with {ids}"))?;
        }
        Ok(keys)
    }

    /// What one module is, and whether it could serve.
    fn module(
        &mut self,
        tenant: &TenantConfig,
        keys: &[TrustedKey],
        name: &str,
        file: &Path,
        workshop: &Workshop,
    ) -> Result<()> {
        let read = module_folder::read(file, tenant.plugins.module_size)?;
        let Some(contents) = read else {
            bail!("{} is being written to; check again", file.display());
        };
        let config = tenant.plugins.of(name);
        let policy = Policy {
            digests: config.digests.clone(),
            trusted_keys: keys.to_vec(),
            require_signed: tenant.integrity.require_signed,
        };
        let signature = contents.signature.as_deref();
        let provenance = policy.verify(name, &contents.wasm, signature)?;
        self.line("  is", &format!("{DIM}{provenance}{DIM:#}"))?;
        let candidate = workshop.load_of(tenant, contents.wasm, name)?;
        for grant in candidate.plugin.describe().grants {
            if !is_granted(&config.grants, grant) {
                let line = grant.line(name);
                self.error(&format!(
                    "it needs what it was not granted, and will be refused; add {line}"
                ))?;
            }
        }
        Ok(())
    }

    /// What a plugin may do.
    fn plugin(&mut self, tenant: &TenantConfig, name: &str) -> std::io::Result<()> {
        let config = tenant.plugins.of(name);
        writeln!(self.out, "  {BOLD}plugin {name}{BOLD:#}")?;
        let may = may(config);
        if may.is_empty() {
            return self.line("  may", "do nothing but see and change calls");
        }
        for may in may {
            self.line("  may", &may)?;
        }
        Ok(())
    }

    /// Plugins that are spoken of and have no module.
    fn unnamed(&mut self, tenant: &TenantConfig, there: &[&str]) -> std::io::Result<()> {
        for name in tenant.plugins.named.keys() {
            if !there.contains(&&**name) {
                self.plugin(tenant, name)?;
                self.warning("there is no module of this name")?;
            }
        }
        Ok(())
    }
}

fn keeps_values(tenant: &TenantConfig) -> bool {
    let named = tenant.plugins.named.values();
    let mut all = named.chain([&tenant.plugins.others]);
    all.any(|plugin| plugin.grants.key_value)
}

fn is_granted(grants: &Grants, grant: Grant) -> bool {
    match grant {
        Grant::Http => grants.http.is_some(),
        Grant::KeyValue => grants.key_value,
        Grant::Secrets => grants.secrets.is_some(),
    }
}

/// A line for each thing beyond its call.
fn may(config: &PluginConfig) -> Vec<String> {
    let grants = &config.grants;
    let http = grants.http.iter().flat_map(|http| &http.allow);
    let mut may: Vec<String> = http.map(shown_rule).collect();
    if grants.key_value {
        may.push("keep values of the tenant".into());
    }
    if let Some(secrets) = &grants.secrets {
        let names: Vec<&str> = secrets.keys().map(String::as_str).collect();
        may.push(format!("read the secrets {}", names.join(", ")));
    }
    may
}

fn shown_rule(rule: &AllowRule) -> String {
    let methods: Vec<&str> = rule.methods().collect();
    let networks: Vec<String> = rule.networks().iter().map(ToString::to_string).collect();
    let networks = match &networks[..] {
        [] => String::new(),
        networks => format!(", which may be in {}", networks.join(", ")),
    };
    format!("send {} {rule}{networks}", methods.join(" "))
}

fn shown_socket(socket: &SocketSettings) -> String {
    let path = socket.path.display();
    let owner = match &socket.owner {
        Owner::Auto => "the gateway's workers (auto)".to_owned(),
        Owner::User(user) => shown_user(*user),
    };
    let peers = match &socket.peers[..] {
        [] => String::new(),
        peers => {
            let peers = peers.iter().map(|peer| shown_user(Uid::from_raw(*peer)));
            format!(
                ", of whom may connect: {}",
                peers.collect::<Vec<_>>().join(", ")
            )
        }
    };
    format!(
        "unix:{path}, mode {:04o}, owner {owner}{peers}",
        socket.mode
    )
}

fn shown_user(user: Uid) -> String {
    match User::from_uid(user) {
        Ok(Some(found)) => format!("{} ({user})", found.name),
        _ => user.to_string(),
    }
}
