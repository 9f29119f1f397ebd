//! What the operator says of plugins: of all, and of those named otherwise. A
//! plugin that is named need not be there, and this must not know whether it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sandbox::{InstancePolicy, PluginSettings, SnapshotPolicy};

use super::ConfigError;
use super::env::Environment;
use super::grants::{Grants, RawGrants};
use super::integrity::ModuleDigest;
use super::limit_keys::{RawCeilings, RawLimits};
use super::limits::mib;
use super::on_error::RawOnError;
use super::raw::{RawInstances, RawPlugin, RawSnapshot};
use super::source::Source;
use crate::failure_policy::{FailurePolicies, FailurePolicy};

/// How plugins run: all of them, and those named otherwise.
#[derive(Debug, Clone)]
pub struct Plugins {
    /// Those that are not named.
    pub others: PluginConfig,
    /// By name.
    pub named: BTreeMap<String, PluginConfig>,
    /// How many modules there may be.
    pub most_modules: usize,
    /// Bytes of the largest module that is loaded.
    pub module_size: u64,
}

/// How one plugin runs.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// What the sandbox knows of it.
    pub settings: PluginSettings,
    /// What it may reach.
    pub grants: Grants,
    /// The modules that it may be; empty is any.
    pub digests: Vec<ModuleDigest>,
}

impl Plugins {
    /// How the plugin of this name runs.
    #[must_use]
    pub fn of(&self, name: &str) -> &PluginConfig {
        self.named.get(name).unwrap_or(&self.others)
    }
}

/// Everything that is said of plugins.
pub(super) struct OfPlugins {
    pub(super) plugins: Plugins,
    pub(super) failure_policies: FailurePolicies,
}

/// Where a tenant's plugins are spoken of, and what is said there.
pub(super) struct Said<'a> {
    /// What comes before its keys: nothing, or `tenants.N.`.
    pub(super) section: String,
    pub(super) limits: &'a RawLimits,
    pub(super) ceilings: &'a RawCeilings,
    pub(super) on_error: &'a RawOnError,
    pub(super) plugins: &'a BTreeMap<String, RawPlugin>,
    pub(super) grants: &'a RawGrants,
}

impl Source {
    pub(super) fn plugins(
        &self,
        said: &Said<'_>,
        env: &dyn Environment,
    ) -> Result<OfPlugins, ConfigError> {
        let key = |name: &str| format!("{}{name}", said.section);
        let limits = self.limits(&key("limits"), said.limits, said.ceilings)?;
        let policy = said.on_error.over(&FailurePolicy::default());
        let of_all = (&*key("grants"), said.grants);
        let others = PluginConfig {
            settings: PluginSettings {
                limits,
                snapshot: SnapshotPolicy::Auto,
                instances: InstancePolicy::Fresh,
                keep_failed_calls: policy.needs_failed_calls(),
                grants: Arc::default(),
            },
            grants: self.grants(of_all, of_all, env)?,
            digests: Vec::new(),
        };
        let (mut named, mut policies) = (BTreeMap::new(), BTreeMap::new());
        for (name, plugin) in said.plugins {
            let section = key(&format!("plugins.{name}"));
            let own_limits = said.limits.with(&plugin.limits);
            let limits = self.limits(&format!("{section}.limits"), &own_limits, said.ceilings)?;
            let own = plugin.on_error.unwrap_or_default().over(&policy);
            let own_grants = (&*format!("{section}.grants"), &plugin.grants);
            let config = PluginConfig {
                settings: PluginSettings {
                    limits,
                    snapshot: snapshot(plugin),
                    instances: self.instances(&section, plugin)?,
                    keep_failed_calls: own.needs_failed_calls(),
                    grants: Arc::default(),
                },
                grants: self.grants(own_grants, of_all, env)?,
                digests: self.digests(&format!("{section}.sha256"), &plugin.sha256)?,
            };
            named.insert(name.clone(), config);
            policies.insert(name.clone(), own);
        }
        let modules = self.at_least_one(&key("limits.modules"), said.limits.modules)?;
        let module_mib = self.at_least_one(&key("limits.module_mib"), said.limits.module_mib)?;
        Ok(OfPlugins {
            plugins: Plugins {
                others,
                named,
                most_modules: modules as usize,
                module_size: mib(module_mib) as u64,
            },
            failure_policies: FailurePolicies::new(policy, policies),
        })
    }

    fn instances(&self, section: &str, plugin: &RawPlugin) -> Result<InstancePolicy, ConfigError> {
        Ok(match plugin.instances {
            RawInstances::Fresh => InstancePolicy::Fresh,
            RawInstances::Warm => InstancePolicy::Warm {
                uses: self.at_least_one(&format!("{section}.warm_uses"), plugin.warm_uses)?,
                idle: Duration::from_secs(plugin.warm_idle_s.into()),
            },
        })
    }
}

fn snapshot(plugin: &RawPlugin) -> SnapshotPolicy {
    match plugin.snapshot {
        RawSnapshot::Auto => SnapshotPolicy::Auto,
        RawSnapshot::Always => SnapshotPolicy::Always,
        RawSnapshot::Off => SnapshotPolicy::Off,
    }
}
