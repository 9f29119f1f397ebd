//! The configuration as it is written. Unknown keys are refused; every key has
//! a default, and `conf/config.yaml` shows each of them with it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::grants::RawGrants;
use super::integrity::RawIntegrity;
use super::limit_keys::{RawCeilings, RawLimits, RawPluginLimits};
use super::on_error::RawOnError;
use super::tenants::RawTenant;
use crate::failure_policy::Action;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of sections")]
pub struct RawConfig {
    /// Where the gateway finds us.
    pub socket: RawSocket,
    /// The folder with the modules, in place of `--modules`.
    pub modules: Option<String>,
    /// What is written to stderr.
    pub logging: RawLogging,
    /// What a filter may use.
    pub limits: RawLimits,
    /// What no filter may be given more of.
    pub ceilings: RawCeilings,
    /// What becomes of calls that a filter fails on.
    pub on_error: RawOnError,
    /// What is different for single plugins, by name.
    pub plugins: BTreeMap<String, RawPlugin>,
    /// What filters may reach beyond their call.
    pub grants: RawGrants,
    /// Which modules may be loaded.
    pub integrity: RawIntegrity,
    /// Where filters keep what outlives a call.
    pub key_value: RawKeyValue,
    /// What is kept for the next start.
    pub cache: RawCache,
    /// Where operators find its figures.
    pub admin: RawAdmin,
    /// Whether the process gives up what it does not need.
    pub confinement: RawConfinementSection,
    /// Whether tenants share a process.
    pub isolation: Isolation,
    /// Where modules are compiled.
    pub compile: Compile,
    /// Whose filters there are.
    pub tenants: Vec<RawTenant>,
}

impl Default for RawConfig {
    fn default() -> Self {
        RawConfig {
            socket: RawSocket::default(),
            modules: None,
            logging: RawLogging::default(),
            limits: RawLimits::default(),
            ceilings: RawCeilings::default(),
            on_error: RawOnError::always(Action::Closed),
            plugins: BTreeMap::new(),
            grants: RawGrants::default(),
            integrity: RawIntegrity::default(),
            key_value: RawKeyValue::default(),
            cache: RawCache::default(),
            admin: RawAdmin::default(),
            confinement: RawConfinementSection::Mode(RawConfinement::Auto),
            isolation: Isolation::Shared,
            compile: Compile::Apart,
            tenants: Vec::new(),
        }
    }
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
    /// Names or numbers of the users who may connect; empty is whoever may open
    /// the file.
    pub peers: Vec<NameOrNumber>,
}

/// A user as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a user's name or number")]
#[allow(missing_docs)]
pub enum NameOrNumber {
    Number(u32),
    Name(String),
}

impl Default for RawSocket {
    fn default() -> Self {
        RawSocket {
            file: "/tmp/runner.sock".into(),
            mode: "0660".into(),
            owner: "auto".into(),
            group: None,
            peers: Vec::new(),
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
    /// How a line is written.
    pub format: LogFormat,
}

/// `logging.format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line, for programs.
    Json,
}

impl Default for RawLogging {
    fn default() -> Self {
        RawLogging {
            level: "info".into(),
            format: LogFormat::Text,
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
    /// What it may use that others may not, or less.
    pub limits: RawPluginLimits,
    /// What becomes of calls that it fails on.
    pub on_error: Option<RawOnError>,
    /// What it may reach, in place of what all plugins may.
    pub grants: RawGrants,
    /// SHA-256 of the modules that it may be, in hexadecimal digits; empty is
    /// any.
    pub sha256: Vec<String>,
}

impl Default for RawPlugin {
    fn default() -> Self {
        RawPlugin {
            snapshot: RawSnapshot::Auto,
            instances: RawInstances::Fresh,
            warm_uses: 10_000,
            warm_idle_s: 60,
            limits: RawPluginLimits::default(),
            on_error: None,
            grants: RawGrants::default(),
            sha256: Vec::new(),
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

/// `key_value`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `store: embedded`"
)]
pub struct RawKeyValue {
    /// Which kind.
    pub store: RawStore,
    /// For `embedded`: the folder with a file for each tenant; null finds one.
    pub folder: Option<String>,
    /// For `redis`: its address, or `$env.NAME`.
    pub redis: Option<String>,
    /// How long an operation may take, ms.
    pub timeout_ms: u32,
}

impl Default for RawKeyValue {
    fn default() -> Self {
        RawKeyValue {
            store: RawStore::Embedded,
            folder: None,
            redis: None,
            timeout_ms: 500,
        }
    }
}

/// `key_value.store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum RawStore {
    Embedded,
    Redis,
}

/// `confinement`: how far, alone or with what may be read beside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "auto, required, off, or a mapping such as `read: [DIR]`"
)]
#[allow(missing_docs)]
pub enum RawConfinementSection {
    Mode(RawConfinement),
    Mapping(RawConfinementMapping),
}

/// `confinement` as a mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `read: [DIR]`"
)]
pub struct RawConfinementMapping {
    /// How far.
    pub mode: RawConfinement,
    /// Folders that may be read beside those that are named elsewhere.
    pub read: Vec<std::path::PathBuf>,
}

/// `confinement.mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawConfinement {
    /// As far as the kernel can; the log says what it cannot.
    #[default]
    Auto,
    /// A start that cannot have all of it fails.
    Required,
    /// Not at all.
    Off,
}

/// `isolation`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// All tenants in one process.
    #[default]
    Shared,
    /// Each in a process of its own.
    Process,
}

/// `compile`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compile {
    /// In processes of their own, with limits.
    #[default]
    Apart,
    /// In the process that serves.
    Inside,
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

/// `admin`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `listen: unix:PATH`"
)]
pub struct RawAdmin {
    /// `unix:PATH`, a loopback address with a port, or `$env.NAME`; null is
    /// nowhere.
    pub listen: Option<String>,
}
