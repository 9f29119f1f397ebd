//! The configuration as it is written. Unknown keys are refused; every key has
//! a default, and `conf/config.yaml` shows each of them with it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of sections")]
pub struct RawConfig {
    /// Where the gateway finds us.
    pub socket: RawSocket,
    /// What is written to stderr.
    pub logging: RawLogging,
    /// What a filter may use.
    pub limits: RawLimits,
    /// What is different for single plugins, by name.
    pub plugins: BTreeMap<String, RawPlugin>,
    /// What is kept for the next start.
    pub cache: RawCache,
}

/// `socket`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `file: PATH`"
)]
pub struct RawSocket {
    /// A path, `unix:PATH`, or `$env.NAME`.
    pub file: String,
    /// Permissions, octal, as for chmod.
    pub mode: String,
    /// `auto`, or a user's name or number.
    pub owner: String,
    /// A group's name or number; null leaves ours.
    pub group: Option<String>,
}

impl Default for RawSocket {
    fn default() -> Self {
        RawSocket {
            file: "/tmp/runner.sock".into(),
            mode: "0660".into(),
            owner: "auto".into(),
            group: None,
        }
    }
}

/// `logging`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `level: info`"
)]
pub struct RawLogging {
    /// `error`, `warn`, `info`, `debug`, `trace`, or `$env.NAME`.
    pub level: String,
}

impl Default for RawLogging {
    fn default() -> Self {
        RawLogging {
            level: "info".into(),
        }
    }
}

/// `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping of limits to numbers"
)]
pub struct RawLimits {
    /// Memory of one instance, MiB.
    pub memory_mib: u32,
    /// Computing time of one handler, ms.
    pub handler_ms: u32,
    /// Start and `configure` of one instance, ms.
    pub configure_ms: u32,
    /// How long a handler may take by the wall clock, ms.
    pub handler_wall_ms: u32,
    /// How long starting and `configure` may take by the wall clock, ms.
    pub configure_wall_ms: u32,
    /// Waiting for the gateway's answers in one call, ms.
    pub gateway_ms: u32,
    /// Questions to the gateway in one call.
    pub questions: u32,
    /// Waiting for a plugin that is still being prepared, ms.
    pub prepare_ms: u32,
    /// Instances at the same time.
    pub instances: u32,
    /// Memory for configurations, MiB.
    pub configurations_mib: u32,
    /// Memory for snapshots of configured instances, MiB.
    pub snapshots_mib: u32,
}

impl Default for RawLimits {
    fn default() -> Self {
        RawLimits {
            memory_mib: 64,
            handler_ms: 50,
            configure_ms: 1000,
            handler_wall_ms: 1000,
            configure_wall_ms: 2000,
            gateway_ms: 55_000,
            questions: 64,
            prepare_ms: 10_000,
            instances: 1000,
            configurations_mib: 64,
            snapshots_mib: 64,
        }
    }
}

/// One plugin of `plugins`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `instances: warm`"
)]
pub struct RawPlugin {
    /// When the configured state is captured.
    pub snapshot: RawSnapshot,
    /// How long an instance lives.
    pub instances: RawInstances,
    /// Calls that a warm instance serves.
    pub warm_uses: u32,
    /// How long a warm instance waits for a call, s.
    pub warm_idle_s: u32,
}

impl Default for RawPlugin {
    fn default() -> Self {
        RawPlugin {
            snapshot: RawSnapshot::Auto,
            instances: RawInstances::Fresh,
            warm_uses: 10_000,
            warm_idle_s: 60,
        }
    }
}

/// `plugins.NAME.snapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum RawSnapshot {
    Auto,
    Always,
    Off,
}

/// `plugins.NAME.instances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum RawInstances {
    Fresh,
    Warm,
}

/// `cache`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `dir: PATH`"
)]
pub struct RawCache {
    /// A folder, or `$env.NAME`; null finds one.
    pub dir: Option<String>,
    /// Compiled components on disk, MiB; 0 keeps none.
    pub max_mib: u32,
}

impl Default for RawCache {
    fn default() -> Self {
        RawCache {
            dir: None,
            max_mib: 512,
        }
    }
}
