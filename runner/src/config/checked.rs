//! From what was written to what is needed. Errors name the file, the key and
//! the line, and what would have been accepted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Gid;
use tracing::level_filters::LevelFilter;

use super::ConfigError;
use super::admin::AdminAddress;
use super::cache::{self, CacheSettings};
use super::env::Environment;
use super::limits::{mib, millis};
use super::plugins::{OfPlugins, Plugins};
use super::raw::{LogFormat, RawCache, RawConfig, RawSocket};
use super::source::Source;
use crate::failure_policy::FailurePolicies;
use crate::socket_owner::{self, Owner};

/// Set by the gateway for the runner it starts
/// (`apisix/plugins/ext-plugin/init.lua`).
const LISTEN_ADDRESS: &str = "APISIX_LISTEN_ADDRESS";

/// Likewise: how long the gateway keeps a token, in seconds
/// (`ext-plugin/helper.lua`).
const CONF_EXPIRE_TIME: &str = "APISIX_CONF_EXPIRE_TIME";

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
    /// And how it is written.
    pub log_format: LogFormat,
    /// How plugins run.
    pub plugins: Plugins,
    /// What becomes of calls that they fail on.
    pub failure_policies: FailurePolicies,
    /// Instances at the same time, over all filters.
    pub instances: u32,
    /// Connections at the same time.
    pub connections: u32,
    /// How long a call waits for a plugin that is still being prepared.
    pub prepare_time: Duration,
    /// How long a configuration lives after its last use.
    pub configuration_lifetime: Duration,
    /// Bytes that configurations may take, over all tenants.
    pub configuration_memory: usize,
    /// Bytes that the memories of all instances may take.
    pub guest_memory: usize,
    /// Bytes that snapshots of configured instances may take, likewise.
    pub snapshot_memory: usize,
    /// How long compiling one component may take.
    pub compile_time: Duration,
    /// Bytes that a compiler may take.
    pub compile_memory: usize,
    /// Compiled components on disk.
    pub cache: CacheSettings,
    /// Where operators find its figures, if anywhere.
    pub admin: Option<AdminAddress>,
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

/// Settles a configuration that is text already, under a name for its errors.
///
/// # Errors
/// [`ConfigError`].
pub fn settle(name: &str, text: String, env: &dyn Environment) -> Result<Config, ConfigError> {
    let name = name.to_owned();
    Source { name, text }.check(None, env)
}

impl Source {
    pub(super) fn check(
        &self,
        listen: Option<&str>,
        env: &dyn Environment,
    ) -> Result<Config, ConfigError> {
        let raw: RawConfig = self.parse()?;
        let level = self.expand("logging.level", &raw.logging.level, env)?;
        let log_level = level.parse().map_err(|_| {
            let message = format!("{level:?} is not one of error, warn, info, debug, trace");
            self.value_error("logging.level", message)
        })?;
        let listen = self.address(&raw, listen, env)?;
        let OfPlugins {
            plugins,
            failure_policies,
        } = self.plugins(&raw)?;
        let limits = &raw.limits;
        self.check_time("limits.prepare_ms", limits.prepare_ms)?;
        let at_least_one = |key, value| self.at_least_one(key, value);
        let (configurations_mib, guest_memory_mib) =
            (limits.configurations_mib, limits.guest_memory_mib);
        Ok(Config {
            cache: self.cache(&raw.cache, &listen, env)?,
            admin: self.admin(&raw.admin, &listen, env)?,
            listen,
            log_level,
            log_format: raw.logging.format,
            plugins,
            failure_policies,
            instances: at_least_one("limits.instances", limits.instances)?,
            connections: at_least_one("limits.connections", limits.connections)?,
            prepare_time: millis(at_least_one("limits.prepare_ms", limits.prepare_ms)?),
            configuration_lifetime: configuration_lifetime(env)?,
            configuration_memory: mib(at_least_one(
                "limits.configurations_mib",
                configurations_mib,
            )?),
            guest_memory: mib(at_least_one("limits.guest_memory_mib", guest_memory_mib)?),
            snapshot_memory: mib(at_least_one("limits.snapshots_mib", limits.snapshots_mib)?),
            compile_time: Duration::from_secs(
                at_least_one("limits.compile_s", limits.compile_s)?.into(),
            ),
            compile_memory: mib(at_least_one("limits.compile_mib", limits.compile_mib)?),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limit_keys::{ALL_TOGETHER, EACH_PLUGINS};

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
                "logging:\n  format: xml\n",
                "c.yaml:2: logging.format: unknown variant `xml`, expected `text` or `json`",
            ),
            (
                "limits:\n  connections: 0\n",
                "c.yaml:2: limits.connections: must be at least 1",
            ),
            (
                "admin:\n  listen: 0.0.0.0:9095\n",
                "c.yaml:2: admin.listen: \"0.0.0.0:9095\" can be reached from other machines",
            ),
            (
                "admin:\n  listen: unix:/tmp/runner.sock\n",
                "c.yaml:2: admin.listen: is the gateway's socket already",
            ),
            (
                "admin:\n  port: 1\n",
                "c.yaml:2: admin: unknown field `port`, expected `listen`",
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
        assert!(written.get("on_error").is_some(), "on_error is not shown");
        for (section, keys) in [
            ("socket", &["file", "mode", "owner", "group"][..]),
            ("logging", &["level", "format"]),
            ("limits", EACH_PLUGINS),
            ("limits", ALL_TOGETHER),
            ("ceilings", EACH_PLUGINS),
            ("cache", &["dir", "max_mib"]),
            ("admin", &["listen"]),
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
