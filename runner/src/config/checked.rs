//! From what was written to what is needed. Errors name the file, the key and
//! the line, and what would have been accepted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Gid;
use sandbox::{InstancePolicy, PluginSettings, SnapshotPolicy};
use tracing::level_filters::LevelFilter;

use super::cache::{self, CacheSettings};
use super::env::Environment;
use super::place;
use super::raw::{RawCache, RawConfig, RawInstances, RawLimits, RawPlugin, RawSnapshot, RawSocket};
use crate::socket_owner::{self, Owner};

/// Set by the gateway for the runner it starts
/// (`apisix/plugins/ext-plugin/init.lua`).
const LISTEN_ADDRESS: &str = "APISIX_LISTEN_ADDRESS";

/// Likewise: how long the gateway keeps a token, in seconds
/// (`ext-plugin/helper.lua`).
const CONF_EXPIRE_TIME: &str = "APISIX_CONF_EXPIRE_TIME";

/// How long the gateway waits for the next frame (`ext-plugin/init.lua`).
const GATEWAY_PATIENCE_MS: u32 = 60_000;

/// What the gateway names where it names anything.
const DEFAULT_CONF_EXPIRE_TIME: Duration = Duration::from_secs(3600);

/// What the program needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The socket's path.
    pub listen: PathBuf,
    /// Its permissions.
    pub socket_mode: u32,
    /// Its owner.
    pub socket_owner: Owner,
    /// Its group, unless it stays ours.
    pub socket_group: Option<Gid>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// How plugins run.
    pub plugins: Plugins,
    /// Instances at the same time, over all filters.
    pub instances: u32,
    /// How long a call waits for a plugin that is still being prepared.
    pub prepare_time: Duration,
    /// How long a configuration lives after its last use.
    pub configuration_lifetime: Duration,
    /// Bytes that configurations may take, over all tenants.
    pub configuration_memory: usize,
    /// Bytes that snapshots of configured instances may take, likewise.
    pub snapshot_memory: usize,
    /// Compiled components on disk.
    pub cache: CacheSettings,
}

/// How plugins run: all of them, and those named otherwise.
#[derive(Debug, Clone)]
pub struct Plugins {
    /// Those that are not named.
    pub others: PluginSettings,
    /// By name.
    pub named: BTreeMap<String, PluginSettings>,
}

impl Plugins {
    /// How the plugin of this name runs.
    #[must_use]
    pub fn of(&self, name: &str) -> PluginSettings {
        *self.named.get(name).unwrap_or(&self.others)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML, or a key is unknown or of the wrong type.
    #[error("{file}:{line}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong, and what was probably meant.
        message: String,
    },
    /// A value cannot be used.
    #[error("{place}: {key}: {message}")]
    Value {
        /// File and line.
        place: String,
        /// The key.
        key: String,
        /// What is wrong and what would do.
        message: String,
    },
    /// The gateway's variable is no number of seconds.
    #[error("APISIX_CONF_EXPIRE_TIME is {0:?}; it takes a whole number of seconds")]
    ExpireTime(String),
    /// An address from elsewhere that cannot be used.
    #[error("{from}: {message}")]
    Address {
        /// Where it was given.
        from: &'static str,
        /// What is wrong and what would do.
        message: String,
    },
}

/// Reads the file, if there is one, and settles every value.
///
/// # Errors
/// [`ConfigError`].
pub fn load(
    file: Option<&Path>,
    listen: Option<&str>,
    env: &dyn Environment,
) -> Result<Config, ConfigError> {
    let source = match file {
        Some(path) => Source::read(path)?,
        None => Source {
            name: "the built-in configuration".into(),
            text: String::new(),
        },
    };
    source.check(listen, env)
}

/// One configuration file in memory.
struct Source {
    name: String,
    text: String,
}

impl Source {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Source { name, text }),
            Err(source) => Err(ConfigError::Unreadable { file: name, source }),
        }
    }

    fn check(&self, listen: Option<&str>, env: &dyn Environment) -> Result<Config, ConfigError> {
        let raw = self.parse()?;
        let level = self.expand("logging.level", &raw.logging.level, env)?;
        let log_level = level.parse().map_err(|_| {
            let message = format!("{level:?} is not one of error, warn, info, debug, trace");
            self.value_error("logging.level", message)
        })?;
        let listen = self.address(&raw, listen, env)?;
        Ok(Config {
            cache: self.cache(&raw.cache, &listen, env)?,
            listen,
            log_level,
            plugins: self.plugins(&raw)?,
            instances: self.at_least_one("limits.instances", raw.limits.instances)?,
            prepare_time: self.time("limits.prepare_ms", raw.limits.prepare_ms)?,
            configuration_lifetime: configuration_lifetime(env)?,
            configuration_memory: self
                .mib("limits.configurations_mib", raw.limits.configurations_mib)?,
            snapshot_memory: self.mib("limits.snapshots_mib", raw.limits.snapshots_mib)?,
            socket_mode: self.mode(&raw.socket)?,
            socket_owner: self.owner(&raw.socket)?,
            socket_group: self.group(&raw.socket)?,
        })
    }

    fn mode(&self, raw: &RawSocket) -> Result<u32, ConfigError> {
        match u32::from_str_radix(&raw.mode, 8) {
            Ok(mode) if mode <= 0o777 => Ok(mode),
            _ => {
                let message = format!("{:?} is not a mode such as \"0660\"", raw.mode);
                Err(self.value_error("socket.mode", message))
            }
        }
    }

    fn owner(&self, raw: &RawSocket) -> Result<Owner, ConfigError> {
        if raw.owner == "auto" {
            return Ok(Owner::Auto);
        }
        let user = socket_owner::user(&raw.owner);
        user.map(Owner::User)
            .map_err(|message| self.value_error("socket.owner", message))
    }

    fn group(&self, raw: &RawSocket) -> Result<Option<Gid>, ConfigError> {
        let group = raw.group.as_deref().map(socket_owner::group).transpose();
        group.map_err(|message| self.value_error("socket.group", message))
    }

    fn parse(&self) -> Result<RawConfig, ConfigError> {
        // An empty file, or one with comments only, is null and not a mapping.
        match serde_yaml::from_str::<Option<RawConfig>>(&self.text) {
            Ok(raw) => Ok(raw.unwrap_or_default()),
            Err(error) => Err(self.syntax_error(&error)),
        }
    }

    fn syntax_error(&self, error: &serde_yaml::Error) -> ConfigError {
        let mut message = error.to_string();
        if let Some(at) = message.rfind(" at line ") {
            message.truncate(at);
        }
        if let Some(nearest) = place::nearest_key(&message) {
            message = format!("{message}; did you mean `{nearest}`?");
        }
        let line = error.location().map_or(1, |location| location.line());
        ConfigError::Invalid {
            file: self.name.clone(),
            line,
            message,
        }
    }

    /// `--listen`, then the gateway's variable, then the file.
    fn address(
        &self,
        raw: &RawConfig,
        listen: Option<&str>,
        env: &dyn Environment,
    ) -> Result<PathBuf, ConfigError> {
        let (given, from) = match (listen, env.get(LISTEN_ADDRESS)) {
            (Some(listen), _) => (listen.to_owned(), "--listen"),
            (None, Some(address)) => (address, LISTEN_ADDRESS),
            (None, None) => {
                let file = self.expand("socket.file", &raw.socket.file, env)?;
                let path = socket_path(&file);
                return path.map_err(|message| self.value_error("socket.file", message));
            }
        };
        socket_path(&given).map_err(|message| ConfigError::Address { from, message })
    }

    fn plugins(&self, raw: &RawConfig) -> Result<Plugins, ConfigError> {
        let limits = self.limits(&raw.limits)?;
        let settle = |name: &str, plugin: &RawPlugin| {
            Ok(PluginSettings {
                limits,
                keep_failed_calls: false,
                snapshot: match plugin.snapshot {
                    RawSnapshot::Auto => SnapshotPolicy::Auto,
                    RawSnapshot::Always => SnapshotPolicy::Always,
                    RawSnapshot::Off => SnapshotPolicy::Off,
                },
                instances: match plugin.instances {
                    RawInstances::Fresh => InstancePolicy::Fresh,
                    RawInstances::Warm => InstancePolicy::Warm {
                        uses: self
                            .at_least_one(&format!("plugins.{name}.warm_uses"), plugin.warm_uses)?,
                        idle: Duration::from_secs(plugin.warm_idle_s.into()),
                    },
                },
            })
        };
        let named = raw.plugins.iter();
        Ok(Plugins {
            others: settle("", &RawPlugin::default())?,
            named: named
                .map(|(name, plugin)| Ok((name.clone(), settle(name, plugin)?)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn cache(
        &self,
        raw: &RawCache,
        socket: &Path,
        env: &dyn Environment,
    ) -> Result<CacheSettings, ConfigError> {
        let folders = match &raw.dir {
            None => cache::automatic_folders(socket, env),
            Some(dir) => match self.expand("cache.dir", dir, env)? {
                dir if dir.is_empty() => {
                    let message = "is empty; give a folder, or null to find one".into();
                    return Err(self.value_error("cache.dir", message));
                }
                dir => vec![PathBuf::from(dir)],
            },
        };
        let max_bytes = u64::from(raw.max_mib) << 20;
        Ok(CacheSettings { folders, max_bytes })
    }

    fn limits(&self, raw: &RawLimits) -> Result<sandbox::Limits, ConfigError> {
        Ok(sandbox::Limits {
            memory: self.mib("limits.memory_mib", raw.memory_mib)?,
            handler_time: self.time("limits.handler_ms", raw.handler_ms)?,
            configure_time: self.time("limits.configure_ms", raw.configure_ms)?,
            handler_wall_time: self.time("limits.handler_wall_ms", raw.handler_wall_ms)?,
            configure_wall_time: self.time("limits.configure_wall_ms", raw.configure_wall_ms)?,
            gateway_time: self.time("limits.gateway_ms", raw.gateway_ms)?,
            questions: self.at_least_one("limits.questions", raw.questions)?,
            table_elements: 100_000,
            handles: 1024,
            host_call: 20 << 20,
            body: 16 << 20,
            headers: 1000,
            header: 64 << 10,
            log_per_call: 64 << 10,
            log_per_second: 1 << 20,
            concurrent_calls: 500,
            waiting_calls: 1000,
            wait: Duration::from_secs(1),
        })
    }

    fn time(&self, key: &str, ms: u32) -> Result<Duration, ConfigError> {
        if ms >= GATEWAY_PATIENCE_MS {
            let message = format!("must be below {GATEWAY_PATIENCE_MS}: the gateway gives up then");
            return Err(self.value_error(key, message));
        }
        Ok(millis(self.at_least_one(key, ms)?))
    }

    fn mib(&self, key: &str, value: u32) -> Result<usize, ConfigError> {
        Ok((self.at_least_one(key, value)? as usize) << 20)
    }

    fn at_least_one(&self, key: &str, value: u32) -> Result<u32, ConfigError> {
        match value {
            0 => Err(self.value_error(key, "must be at least 1".into())),
            _ => Ok(value),
        }
    }

    /// `$env.NAME` stands for the variable NAME.
    fn expand(&self, key: &str, value: &str, env: &dyn Environment) -> Result<String, ConfigError> {
        let Some(name) = value.strip_prefix("$env.") else {
            return Ok(value.to_owned());
        };
        env.get(name).ok_or_else(|| {
            let message =
                format!("the environment variable {name} is not set; set it or write a value");
            self.value_error(key, message)
        })
    }

    fn value_error(&self, key: &str, message: String) -> ConfigError {
        let place = match place::line_of(&self.text, key) {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        };
        ConfigError::Value {
            place,
            key: key.to_owned(),
            message,
        }
    }
}

/// The path in `unix:PATH`. Anything else with a colon was meant for another
/// kind of socket.
fn socket_path(address: &str) -> Result<PathBuf, String> {
    match address.strip_prefix("unix:").unwrap_or(address) {
        "" => Err("the address is empty; give unix:PATH".into()),
        path if address == path && path.contains(':') => Err(format!(
            "{address:?} is not an address of a unix socket; give unix:PATH"
        )),
        path => Ok(PathBuf::from(path)),
    }
}

/// The gateway may use a token for almost twice the time it names: it fetches
/// one from its shared cache just before that forgets it, and keeps it as long
/// again.
fn configuration_lifetime(env: &dyn Environment) -> Result<Duration, ConfigError> {
    let Some(text) = env.get(CONF_EXPIRE_TIME) else {
        return Ok(2 * DEFAULT_CONF_EXPIRE_TIME);
    };
    match text.parse() {
        Ok(seconds) => Ok(2 * Duration::from_secs(u32::into(seconds))),
        Err(_) => Err(ConfigError::ExpireTime(text)),
    }
}

fn millis(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Environment for &[(&str, &str)] {
        fn get(&self, name: &str) -> Option<String> {
            self.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    fn check(text: &str, listen: Option<&str>, env: &[(&str, &str)]) -> Result<Config, String> {
        let source = Source {
            name: "c.yaml".into(),
            text: text.into(),
        };
        source
            .check(listen, &env)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_address_should_come_from_the_first_that_names_one() {
        let gateway: &[(&str, &str)] = &[("APISIX_LISTEN_ADDRESS", "unix:/g.sock")];
        let own: &[(&str, &str)] = &[("MY", "unix:/m.sock")];
        let rows: &[(&str, Option<&str>, &[(&str, &str)], &str)] = &[
            ("", None, &[], "/tmp/runner.sock"),
            ("socket: {file: /f.sock}", None, &[], "/f.sock"),
            ("socket: {file: $env.MY}", None, own, "/m.sock"),
            ("socket: {file: /f.sock}", None, gateway, "/g.sock"),
            // Unset, but not needed.
            ("socket: {file: $env.MY}", None, gateway, "/g.sock"),
            (
                "socket: {file: /f.sock}",
                Some("unix:/l.sock"),
                gateway,
                "/l.sock",
            ),
            ("", Some("/l.sock"), &[], "/l.sock"),
        ];
        for (text, listen, env, expected) in rows {
            let config = check(text, *listen, env).expect(text);
            assert_eq!(
                config.listen,
                Path::new(expected),
                "{text} {listen:?} {env:?}"
            );
        }
    }

    #[test]
    fn a_configuration_should_live_twice_what_the_gateway_names() {
        for (env, seconds) in [(&[][..], 7200), (&[("APISIX_CONF_EXPIRE_TIME", "12")], 24)] {
            let config = check("", None, env).expect("a configuration");
            assert_eq!(config.configuration_lifetime, Duration::from_secs(seconds));
        }
        let error = check("", None, &[("APISIX_CONF_EXPIRE_TIME", "1a")]).expect_err("no number");
        assert!(error.contains("\"1a\""), "{error}");
    }

    #[test]
    fn a_cache_folder_that_is_named_should_be_the_only_one() {
        let env: &[(&str, &str)] = &[("HOME", "/home/u"), ("MY", "/my")];
        for (text, folder) in [
            ("cache: {dir: /c}", "/c"),
            ("cache: {dir: $env.MY, max_mib: 3}", "/my"),
        ] {
            let config = check(text, None, env).expect(text);
            assert_eq!(config.cache.folders, [Path::new(folder)], "{text}");
        }
        let config = check("cache: {max_mib: 3}", None, env).expect("a configuration");
        assert_eq!(config.cache.max_bytes, 3 << 20);
        assert_eq!(config.cache.folders.len(), 2);
    }

    #[test]
    fn a_mistake_should_be_named_with_file_key_and_line() {
        let rows = [
            (
                "socket:\n  fil: x\n",
                "c.yaml:2: socket: unknown field `fil`, expected one of `file`,",
            ),
            (
                "\nlogging:\n  level: loud\n",
                "c.yaml:3: logging.level: \"loud\" is not one of",
            ),
            (
                "logging:\n  level: [a]\n",
                "c.yaml:2: logging.level: invalid type: sequence",
            ),
            (
                "socket:\n  file: $env.NOPE\n",
                "c.yaml:2: socket.file: the environment variable NOPE",
            ),
            (
                "limits:\n  instances: 0\n",
                "c.yaml:2: limits.instances: must be at least 1",
            ),
            (
                "limits:\n  memory_mib: -1\n",
                "c.yaml:2: limits.memory_mib: invalid type",
            ),
            (
                "limits:\n  gateway_ms: 60000\n",
                "c.yaml:2: limits.gateway_ms: must be below 60000",
            ),
            (
                "cache:\n  dir: ''\n",
                "c.yaml:2: cache.dir: is empty; give a folder",
            ),
            (
                "cache:\n  dir: $env.NOPE\n",
                "c.yaml:2: cache.dir: the environment variable NOPE",
            ),
            (
                "socket: /s\n",
                "c.yaml:1: socket: invalid type: string \"/s\", expected a mapping such as",
            ),
            ("socket: 'x\n", "c.yaml:"),
            ("scoket: {}\n", "did you mean `socket`?"),
        ];
        for (text, expected) in rows {
            let error = check(text, None, &[]).expect_err(text);
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn the_shipped_file_should_hold_every_key_with_its_default() {
        let text = include_str!("../../../conf/config.yaml");
        let shipped: RawConfig = serde_yaml::from_str(text).expect("conf/config.yaml");
        assert_eq!(shipped, RawConfig::default());
        let written: serde_yaml::Value = serde_yaml::from_str(text).expect("conf/config.yaml");
        for (section, keys) in [
            ("socket", &["file", "mode", "owner", "group"][..]),
            ("logging", &["level"]),
            (
                "limits",
                &[
                    "memory_mib",
                    "handler_ms",
                    "configure_ms",
                    "gateway_ms",
                    "questions",
                    "prepare_ms",
                    "instances",
                    "configurations_mib",
                ],
            ),
            ("cache", &["dir", "max_mib"]),
        ] {
            for key in keys {
                assert!(
                    written[section].get(key).is_some(),
                    "{section}.{key} is not shown"
                );
            }
        }
    }
}
