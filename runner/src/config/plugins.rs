//! What the operator says of plugins: of all, and of those named otherwise. A
//! plugin that is named need not be there, and this must not know whether it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sandbox::{InstancePolicy, PluginSettings, SnapshotPolicy};

use super::ConfigError;
use super::limits::mib;
use super::raw::{RawConfig, RawInstances, RawPlugin, RawSnapshot};
use super::source::Source;
use crate::failure_policy::{FailurePolicies, FailurePolicy};

/// How plugins run: all of them, and those named otherwise.
#[derive(Debug, Clone)]
pub struct Plugins {
    /// Those that are not named.
    pub others: PluginSettings,
    /// By name.
    pub named: BTreeMap<String, PluginSettings>,
    /// Bytes of the largest module that is loaded.
    pub module_size: u64,
}

impl Plugins {
    /// How the plugin of this name runs.
    #[must_use]
    pub fn of(&self, name: &str) -> PluginSettings {
        self.named.get(name).unwrap_or(&self.others).clone()
    }
}

/// Everything that is said of plugins.
pub(super) struct OfPlugins {
    pub(super) plugins: Plugins,
    pub(super) failure_policies: FailurePolicies,
}

impl Source {
    pub(super) fn plugins(&self, raw: &RawConfig) -> Result<OfPlugins, ConfigError> {
        let limits = self.limits("limits", &raw.limits, &raw.ceilings)?;
        let policy = raw.on_error.over(&FailurePolicy::default());
        let settings = PluginSettings {
            limits,
            snapshot: SnapshotPolicy::Auto,
            instances: InstancePolicy::Fresh,
            keep_failed_calls: policy.needs_failed_calls(),
            grants: Arc::default(),
        };
        let (mut named, mut policies) = (BTreeMap::new(), BTreeMap::new());
        for (name, plugin) in &raw.plugins {
            let section = format!("plugins.{name}.limits");
            let own_limits = raw.limits.with(&plugin.limits);
            let limits = self.limits(&section, &own_limits, &raw.ceilings)?;
            let own = plugin.on_error.unwrap_or_default().over(&policy);
            let settings = PluginSettings {
                limits,
                snapshot: snapshot(plugin),
                instances: self.instances(name, plugin)?,
                keep_failed_calls: own.needs_failed_calls(),
                grants: Arc::default(),
            };
            named.insert(name.clone(), settings);
            policies.insert(name.clone(), own);
        }
        let module_mib = self.at_least_one("limits.module_mib", raw.limits.module_mib)?;
        Ok(OfPlugins {
            plugins: Plugins {
                others: settings,
                named,
                module_size: mib(module_mib) as u64,
            },
            failure_policies: FailurePolicies::new(policy, policies),
        })
    }

    fn instances(&self, name: &str, plugin: &RawPlugin) -> Result<InstancePolicy, ConfigError> {
        Ok(match plugin.instances {
            RawInstances::Fresh => InstancePolicy::Fresh,
            RawInstances::Warm => InstancePolicy::Warm {
                uses: self.at_least_one(&format!("plugins.{name}.warm_uses"), plugin.warm_uses)?,
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
