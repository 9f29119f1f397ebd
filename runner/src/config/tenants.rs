//! Whose filters there are, and what each tenant has for itself. Without
//! `tenants` the rest of the file is about one, the default. Must not know what
//! is done with any of it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::checked::Whose;
use super::env::Environment;
use super::grants::RawGrants;
use super::integrity::{Integrity, RawIntegrity};
use super::limit_keys::{RawLimits, RawPluginLimits, RawTenantLimits};
use super::limits::{mib, millis};
use super::on_error::RawOnError;
use super::plugins::{OfPlugins, Plugins, Said};
use super::raw::{Isolation, RawConfig, RawPlugin, RawSocket};
use super::socket::{SocketSettings, given_address};
use super::source::Source;
use crate::failure_policy::FailurePolicies;
use crate::tenant::Tenant;

/// One of `tenants`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as `name: NAME, modules: DIR, sockets: [{file: PATH}]`"
)]
pub struct RawTenant {
    /// 1 to 63 of a to z, 0 to 9 and `-`.
    pub name: String,
    /// The folder with its modules, or `$env.NAME`.
    pub modules: String,
    /// Where its gateways connect.
    pub sockets: Vec<RawSocket>,
    /// Its part of what all have together, beside those of the others.
    #[serde(default = "one")]
    pub share: u32,
    /// What is different of `limits`.
    #[serde(default)]
    pub limits: RawTenantLimits,
    /// What is lower of `ceilings`.
    #[serde(default)]
    pub ceilings: RawPluginLimits,
    /// What becomes of calls that its filters fail on.
    #[serde(default)]
    pub on_error: Option<RawOnError>,
    /// What is different for single plugins, by name.
    #[serde(default)]
    pub plugins: BTreeMap<String, RawPlugin>,
    /// What its filters may reach.
    #[serde(default)]
    pub grants: RawGrants,
    /// Which modules may be loaded.
    #[serde(default)]
    pub integrity: RawIntegrity,
}

fn one() -> u32 {
    1
}

/// Everything that one tenant has for itself.
#[derive(Debug, Clone)]
pub struct TenantConfig {
    /// Who it is.
    pub tenant: Tenant,
    /// Where its modules are; `None`: `--modules` says so.
    pub modules: Option<PathBuf>,
    /// Where its gateways connect; one at least.
    pub sockets: Vec<SocketSettings>,
    /// How much it has of what all have together.
    pub share: Share,
    /// How its plugins run.
    pub plugins: Plugins,
    /// What becomes of calls that they fail on.
    pub failure_policies: FailurePolicies,
    /// Which modules may be loaded.
    pub integrity: Integrity,
    /// Instances at the same time, over all its filters.
    pub instances: u32,
    /// Connections at the same time.
    pub connections: u32,
    /// How long a call waits for a plugin that is still being prepared.
    pub prepare_time: Duration,
    /// Bytes that its configurations may take.
    pub configuration_memory: usize,
    /// Bytes that the memories of all its instances may take.
    pub guest_memory: usize,
    /// Bytes that snapshots of configured instances may take.
    pub snapshot_memory: usize,
    /// How long compiling one component may take.
    pub compile_time: Duration,
    /// Bytes that a compiler may take.
    pub compile_memory: usize,
    /// Bytes that its key-value storage may take.
    pub key_value_size: usize,
    /// What this machine lacks of what is written: users, secrets. It is not
    /// served then.
    pub missing: Vec<String>,
}

/// One tenant's part of what all have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Its own.
    pub own: u32,
    /// The largest that any tenant has.
    pub largest: u32,
    /// All of them together.
    pub all: u32,
}

/// More would not tell tenants further apart: the processor is shared out in
/// steps of a quarter.
const LARGEST_SHARE: u32 = 1_000;

/// As for a DNS label: it is part of paths and of names in other stores.
const LONGEST_NAME: usize = 63;

/// Sections that are about one tenant. Where there are several, each has its
/// own.
const OF_ONE_TENANT: [&str; 4] = ["socket", "modules", "plugins", "grants"];

impl Source {
    pub(super) fn tenants(
        &self,
        raw: &RawConfig,
        whose: Whose<'_>,
        env: &dyn Environment,
    ) -> Result<Vec<TenantConfig>, ConfigError> {
        if raw.tenants.is_empty() && raw.isolation == Isolation::Process {
            let message = "is process, and there are no tenants; add some, see conf/tenants.yaml";
            return Err(self.value_error("isolation", message.into()));
        }
        if raw.tenants.is_empty() && whose.only.is_none_or(|only| only == Tenant::sole().name()) {
            return Ok(vec![self.sole_tenant(raw, whose.listen, env)?]);
        }
        self.check_sections(whose.listen)?;
        let shares = raw.tenants.iter().map(|tenant| tenant.share);
        let largest = shares.clone().max().unwrap_or(1);
        let all = shares.fold(0, u32::saturating_add);
        let mut tenants = Vec::new();
        for (number, tenant) in raw.tenants.iter().enumerate() {
            if whose.only.is_some_and(|only| only != tenant.name) {
                continue;
            }
            let share = Share {
                own: tenant.share,
                largest,
                all,
            };
            tenants.push(self.tenant(raw, number, tenant, share, env)?);
        }
        self.check_distinct(&tenants)?;
        match (whose.only, tenants.is_empty()) {
            (Some(only), true) => {
                let names: Vec<&str> = raw.tenants.iter().map(|of| &*of.name).collect();
                let message = format!("there is no tenant {only}; there are {}", names.join(", "));
                Err(self.value_error("tenants", message))
            }
            _ => Ok(tenants),
        }
    }

    /// The file is about one tenant.
    fn sole_tenant(
        &self,
        raw: &RawConfig,
        listen: Option<&str>,
        env: &dyn Environment,
    ) -> Result<TenantConfig, ConfigError> {
        let given = given_address(listen, env);
        let said = Said {
            section: String::new(),
            limits: &raw.limits,
            ceilings: &raw.ceilings,
            on_error: &raw.on_error,
            plugins: &raw.plugins,
            grants: &raw.grants,
        };
        let share = Share {
            own: 1,
            largest: 1,
            all: 1,
        };
        let modules = match &raw.modules {
            Some(folder) => Some(self.folder("modules", folder, env)?),
            None => None,
        };
        let socket = self.socket("socket", &raw.socket, given, env)?;
        self.settled(&said, share, env, |of| {
            Ok(TenantConfig {
                tenant: Tenant::sole(),
                modules,
                sockets: vec![socket],
                integrity: self.integrity("", &raw.integrity, &raw.integrity)?,
                ..of
            })
        })
    }

    fn tenant(
        &self,
        raw: &RawConfig,
        number: usize,
        tenant: &RawTenant,
        share: Share,
        env: &dyn Environment,
    ) -> Result<TenantConfig, ConfigError> {
        let section = format!("tenants.{number}.");
        let key = |name: &str| format!("{section}{name}");
        self.check_name(&key("name"), &tenant.name)?;
        if !(1..=LARGEST_SHARE).contains(&tenant.share) {
            let message = format!("{} is not between 1 and {LARGEST_SHARE}", tenant.share);
            return Err(self.value_error(&key("share"), message));
        }
        let limits = raw.limits.of_tenant(&tenant.limits, share.own, share.all);
        self.check_parts(&section, &limits, &raw.limits)?;
        let ceilings = raw.ceilings.with(&tenant.ceilings);
        for ((name, own), (_, all)) in ceilings.by_name().iter().zip(raw.ceilings.by_name()) {
            if *own > all {
                let message = format!("{own} is above the ceiling of all tenants, {all}");
                return Err(self.value_error(&key(&format!("ceilings.{name}")), message));
            }
        }
        let all = raw.on_error;
        let said = Said {
            limits: &limits,
            ceilings: &ceilings,
            on_error: &tenant.on_error.map_or(all, |own| own.or(&all)),
            plugins: &tenant.plugins,
            grants: &tenant.grants,
            section: section.clone(),
        };
        if tenant.sockets.is_empty() {
            let message = "names no socket; add - file: PATH".into();
            return Err(self.value_error(&key("sockets"), message));
        }
        let sockets = tenant.sockets.iter().enumerate().map(|(number, socket)| {
            self.socket(&key(&format!("sockets.{number}")), socket, None, env)
        });
        let sockets = sockets.collect::<Result<_, _>>()?;
        let modules = self.folder(&key("modules"), &tenant.modules, env)?;
        self.settled(&said, share, env, |of| {
            Ok(TenantConfig {
                tenant: Tenant::named(&tenant.name),
                modules: Some(modules),
                sockets,
                integrity: self.integrity(&section, &tenant.integrity, &raw.integrity)?,
                ..of
            })
        })
    }

    /// What is settled in the same way for every tenant.
    fn settled(
        &self,
        said: &Said<'_>,
        share: Share,
        env: &dyn Environment,
        of: impl FnOnce(TenantConfig) -> Result<TenantConfig, ConfigError>,
    ) -> Result<TenantConfig, ConfigError> {
        let OfPlugins {
            plugins,
            failure_policies,
        } = self.plugins(said, env)?;
        let limits = said.limits;
        let key = |name: &str| format!("{}limits.{name}", said.section);
        let at_least_one = |name: &str, value| self.at_least_one(&key(name), value);
        self.check_time(&key("prepare_ms"), limits.prepare_ms)?;
        of(TenantConfig {
            tenant: Tenant::sole(),
            modules: None,
            sockets: Vec::new(),
            share,
            plugins,
            failure_policies,
            integrity: Integrity::default(),
            instances: at_least_one("instances", limits.instances)?,
            connections: at_least_one("connections", limits.connections)?,
            prepare_time: millis(at_least_one("prepare_ms", limits.prepare_ms)?),
            configuration_memory: mib(at_least_one(
                "configurations_mib",
                limits.configurations_mib,
            )?),
            guest_memory: mib(at_least_one("guest_memory_mib", limits.guest_memory_mib)?),
            snapshot_memory: mib(at_least_one("snapshots_mib", limits.snapshots_mib)?),
            compile_time: Duration::from_secs(at_least_one("compile_s", limits.compile_s)?.into()),
            compile_memory: mib(at_least_one("compile_mib", limits.compile_mib)?),
            key_value_size: mib(at_least_one("key_value_mib", limits.key_value_mib)?),
            missing: self.take_missing(),
        })
    }

    /// Sections that say nothing where there are several tenants are not to be
    /// taken for ones that do.
    fn check_sections(&self, listen: Option<&str>) -> Result<(), ConfigError> {
        if listen.is_some() {
            let message = "the configuration has tenants, and each has sockets of its own".into();
            let from = "--listen";
            return Err(ConfigError::Address { from, message });
        }
        for section in OF_ONE_TENANT {
            if self.place_of(section).is_some() {
                let message = "there are tenants, so this belongs to one of them; move it there";
                return Err(self.value_error(section, message.into()));
            }
        }
        Ok(())
    }

    fn check_name(&self, key: &str, name: &str) -> Result<(), ConfigError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed) {
            return Ok(());
        }
        let message = format!("{name:?} is not a name of 1 to {LONGEST_NAME} of a-z, 0-9 and -");
        Err(self.value_error(key, message))
    }

    /// No tenant has more than all have together.
    fn check_parts(
        &self,
        section: &str,
        own: &RawLimits,
        all: &RawLimits,
    ) -> Result<(), ConfigError> {
        for ((name, own), (_, all)) in own.together().iter().zip(all.together()) {
            if *own > all {
                let message = format!("{own} is more than all tenants have together, {all}");
                return Err(self.value_error(&format!("{section}limits.{name}"), message));
            }
        }
        Ok(())
    }

    fn check_distinct(&self, tenants: &[TenantConfig]) -> Result<(), ConfigError> {
        let (mut names, mut paths) = (HashSet::new(), HashSet::new());
        for (number, tenant) in tenants.iter().enumerate() {
            if !names.insert(&tenant.tenant) {
                let message = format!("there is a tenant {} already", tenant.tenant);
                return Err(self.value_error(&format!("tenants.{number}.name"), message));
            }
            for (of_tenant, socket) in tenant.sockets.iter().enumerate() {
                if !paths.insert(spelled_once(&socket.path)) {
                    let key = format!("tenants.{number}.sockets.{of_tenant}.file");
                    let message = format!(
                        "{} is a socket of this file already; a gateway finds one tenant at each",
                        socket.path.display()
                    );
                    return Err(self.value_error(&key, message));
                }
            }
        }
        Ok(())
    }

    fn folder(&self, key: &str, text: &str, env: &dyn Environment) -> Result<PathBuf, ConfigError> {
        match self.expand(key, text, env)? {
            folder if folder.is_empty() => {
                Err(self.value_error(key, "is empty; give a folder".into()))
            }
            folder => Ok(PathBuf::from(folder)),
        }
    }
}

/// One spelling of a path, by whatever links its folder is named.
fn spelled_once(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    let folder = plain.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, plain.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::check;

    const TWO: &str = "tenants:\n\
        - name: a\n  modules: /m/a\n  share: 3\n  sockets:\n  - file: /s/a\n\
        - name: b\n  modules: /m/b\n  sockets:\n  - file: /s/b\n";

    #[test]
    fn without_tenants_there_should_be_one_that_has_everything() {
        let config = check("limits: {instances: 7}").expect("a configuration");
        let [tenant] = &config.tenants[..] else {
            panic!("{:?}", config.tenants)
        };
        assert_eq!(tenant.tenant, Tenant::sole());
        assert_eq!((tenant.instances, tenant.connections), (7, 4096));
        assert_eq!(tenant.modules, None);
    }

    #[test]
    fn tenants_should_share_what_they_have_together() {
        let text = format!(
            "limits: {{instances: 100, memory_mib: 32}}\n{TWO}  limits: {{instances: 50, memory_mib: 8}}\n"
        );
        let config = check(&text).expect("a configuration");
        let shown = |number: usize| {
            let tenant = &config.tenants[number];
            let memory = tenant.plugins.others.settings.limits.memory >> 20;
            (tenant.instances, tenant.connections, memory)
        };
        assert_eq!(shown(0), (75, 3072, 32));
        assert_eq!(shown(1), (50, 1024, 8));
    }

    #[test]
    fn what_a_tenant_says_should_be_before_what_holds_for_all() {
        let text = format!(
            "on_error: {{default: 502, trap: open}}\n{TWO}  on_error: {{memory: 503}}\n  plugins: {{p: {{on_error: {{limit: open}}}}}}\n"
        );
        let config = check(&text).expect("a configuration");
        let said = |plugin: &str| format!("{:?}", config.tenants[1].failure_policies.of(plugin));
        let expected = check(
            "on_error: {default: 502, trap: open, memory: 503}\nplugins: {p: {on_error: {limit: open}}}",
        );
        let expected = expected.expect("a configuration");
        for plugin in ["p", "q"] {
            let policy = expected.tenants[0].failure_policies.of(plugin);
            assert_eq!(said(plugin), format!("{policy:?}"), "{plugin}");
        }
    }

    #[test]
    fn a_mistake_in_a_tenant_should_be_named_with_its_line() {
        let rows = [
            (
                "tenants: [{name: a, sockets: []}]".to_owned(),
                "tenants[0]: missing field `modules`",
            ),
            (
                "tenants:\n- name: A_b\n  modules: m\n  sockets: [{file: s}]\n".into(),
                "c.yaml:2: tenants.0.name: \"A_b\" is not a name of 1 to 63 of a-z, 0-9 and -",
            ),
            (
                format!("{TWO}  share: 0\n"),
                "c.yaml:11: tenants.1.share: 0 is not between",
            ),
            (
                format!("{TWO}- name: a\n  modules: m\n  sockets:\n  - file: x\n"),
                "c.yaml:11: tenants.2.name: there is a tenant a already",
            ),
            (
                format!("{TWO}  - file: /s/a\n"),
                "c.yaml:11: tenants.1.sockets.1.file: /s/a is a socket of this file already",
            ),
            (
                format!("{TWO}  - file: /s/x/../a\n"),
                "c.yaml:11: tenants.1.sockets.1.file: /s/x/../a is a socket of this file already",
            ),
            (
                format!("{TWO}  limits: {{connections: 5000}}\n"),
                "c.yaml:11: tenants.1.limits.connections: 5000 is more than all tenants have",
            ),
            (
                format!("{TWO}  ceilings:\n    memory_mib: 2000\n"),
                "c.yaml:12: tenants.1.ceilings.memory_mib: 2000 is above the ceiling of all",
            ),
            (
                format!("{TWO}  ceilings:\n    memory_mib: 20\n"),
                "tenants.1.limits.memory_mib: 64, which it is unless the file says otherwise, is \
                 above its ceiling of 20",
            ),
            (
                format!("{TWO}  plugins: {{p: {{limits: {{memory_mib: 0}}}}}}\n"),
                "c.yaml:11: tenants.1.plugins.p.limits.memory_mib: must be at least 1",
            ),
            (
                format!("{TWO}  grants: {{http: {{}}}}\n"),
                "c.yaml:11: tenants.1.grants.http: allows nothing",
            ),
            (
                format!("{TWO}plugins: {{}}\n"),
                "c.yaml:11: plugins: there are tenants, so this belongs to one of them",
            ),
            (
                "isolation: process\n".into(),
                "c.yaml:1: isolation: is process, and there are no tenants",
            ),
            (format!("{TWO}  shares: 1\n"), "did you mean `share`?"),
            (
                format!("{TWO}  integrity: {{require_signed: true}}\n"),
                "c.yaml:11: tenants.1.integrity.require_signed: needs trusted_keys",
            ),
        ];
        for (text, expected) in rows {
            let error = check(&text).expect_err(&text);
            assert!(error.contains(expected), "{text}\ngave {error:?}");
        }
    }
}
