//! From what was written to what is needed. Errors name the file, the key and
//! the line, and what would have been accepted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::ConfigError;
use super::admin::AdminAddress;
use super::cache::{self, CacheSettings};
use super::env::Environment;
use super::key_value::KeyValueSettings;
use super::raw::{
    Compile, Isolation, LogFormat, RawCache, RawConfig, RawConfinementMapping,
    RawConfinementSection,
};
use super::socket::socket_path;
use super::source::Source;
use super::tenants::{Share, TenantConfig};

/// Set by the gateway for the runner it starts: how long the gateway keeps a token, in seconds
/// (`ext-plugin/helper.lua`).
const CONF_EXPIRE_TIME: &str = "APISIX_CONF_EXPIRE_TIME";

/// What the gateway names where it names anything.
const DEFAULT_CONF_EXPIRE_TIME: Duration = Duration::from_secs(3600);

/// The text of a configuration, which may hold passwords.
#[derive(Clone)]
pub struct ConfigText(pub Arc<str>);

impl fmt::Debug for ConfigText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(text)")
    }
}

/// What the program needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where it was read.
    pub name: String,
    /// As it was written.
    pub text: ConfigText,
    /// Whether the file names tenants, rather than being about one.
    pub names_tenants: bool,
    /// Whose filters there are; one at least.
    pub tenants: Vec<TenantConfig>,
    /// Whether each has a process of its own.
    pub isolation: Isolation,
    /// Where modules are compiled.
    pub compile: Compile,
    /// Whether the process gives up what it does not need.
    pub confinement: RawConfinementMapping,
    /// What is logged.
    pub log_level: LevelFilter,
    /// And how it is written.
    pub log_format: LogFormat,
    /// How long a configuration lives after its last use.
    pub configuration_lifetime: Duration,
    /// Compiled components on disk.
    pub cache: CacheSettings,
    /// Where filters keep what outlives a call.
    pub key_value: KeyValueSettings,
    /// Where operators find its figures, if anywhere.
    pub admin: Option<AdminAddress>,
}

impl Config {
    /// The tenant of this name; the only one, where none is named.
    ///
    /// # Errors
    /// A sentence with the names there are.
    pub fn tenant(&self, name: Option<&str>) -> Result<&TenantConfig, String> {
        let found = match (name, &self.tenants[..]) {
            (None, [sole]) => Some(sole),
            (None, _) => None,
            (Some(name), all) => all.iter().find(|of| of.tenant.name() == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.tenants.iter().map(|of| of.tenant.name()).collect();
            let names = names.join(", ");
            match name {
                None => format!("{} has several tenants; give --tenant: {names}", self.name),
                Some(name) => format!("{} has no tenant {name}; it has {names}", self.name),
            }
        })
    }

    /// Where the compiled components of a tenant are: in a folder of its own, so
    /// that what one fills, no other loses.
    #[must_use]
    pub fn cache_of(&self, tenant: &TenantConfig) -> CacheSettings {
        let mut cache = self.cache.clone();
        if self.names_tenants {
            for folder in &mut cache.folders {
                *folder = folder.join(tenant.tenant.name());
            }
            let Share { own, all, .. } = tenant.share;
            cache.max_bytes = cache.max_bytes / u64::from(all.max(1)) * u64::from(own);
        }
        cache
    }
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
    source(file)?.check(Whose { listen, only: None }, env)
}

/// Likewise, and settles of the tenants only this one: what the others name of
/// the environment and of secrets is not looked at.
///
/// # Errors
/// [`ConfigError`], also where there is no such tenant.
pub fn load_tenant(
    file: Option<&Path>,
    tenant: &str,
    env: &dyn Environment,
) -> Result<Config, ConfigError> {
    let whose = Whose {
        listen: None,
        only: Some(tenant),
    };
    source(file)?.check(whose, env)
}

/// Likewise, of a text.
///
/// # Errors
/// [`ConfigError`], also where there is no such tenant.
pub fn settle_tenant(
    name: &str,
    text: String,
    tenant: &str,
    env: &dyn Environment,
) -> Result<Config, ConfigError> {
    let whose = Whose {
        listen: None,
        only: Some(tenant),
    };
    Source::new(name.to_owned(), text).check(whose, env)
}

/// What the command line says of a configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whose<'a> {
    /// `--listen`.
    pub(super) listen: Option<&'a str>,
    /// The one tenant that is wanted.
    pub(super) only: Option<&'a str>,
}

fn source(file: Option<&Path>) -> Result<Source, ConfigError> {
    match file {
        Some(path) => Source::read(path),
        None => Ok(Source::new(
            "the built-in configuration".into(),
            String::new(),
        )),
    }
}

/// Settles a configuration that is text already, under a name for its errors.
///
/// # Errors
/// [`ConfigError`].
pub fn settle(name: &str, text: String, env: &dyn Environment) -> Result<Config, ConfigError> {
    Source::new(name.to_owned(), text).check(Whose::default(), env)
}

impl Source {
    pub(super) fn check(
        &self,
        whose: Whose<'_>,
        env: &dyn Environment,
    ) -> Result<Config, ConfigError> {
        let raw: RawConfig = self.parse()?;
        let level = self.expand("logging.level", &raw.logging.level, env)?;
        let log_level = level.parse().map_err(|_| {
            let message = format!("{level:?} is not one of error, warn, info, debug, trace");
            self.value_error("logging.level", message)
        })?;
        let tenants = self.tenants(&raw, whose, env)?;
        let sockets = tenants.iter().flat_map(|tenant| &tenant.sockets);
        let sockets: Vec<&Path> = sockets.map(|socket| &*socket.path).collect();
        // That of the whole file, also where only one tenant is wanted: folders
        // beside it are the same for all.
        let first = raw
            .tenants
            .first()
            .and_then(|tenant| tenant.sockets.first());
        let first = first.and_then(|socket| self.expand("", &socket.file, env).ok());
        let first = first.and_then(|file| socket_path(&file).ok());
        let first = first.as_deref().unwrap_or(sockets[0]);
        Ok(Config {
            name: self.name.clone(),
            text: ConfigText(self.text.as_str().into()),
            names_tenants: !raw.tenants.is_empty(),
            isolation: raw.isolation,
            compile: raw.compile,
            confinement: match raw.confinement {
                RawConfinementSection::Mapping(mapping) => mapping,
                RawConfinementSection::Mode(mode) => RawConfinementMapping {
                    mode,
                    read: Vec::new(),
                },
            },
            cache: self.cache(&raw.cache, first, env)?,
            key_value: self.key_value(&raw.key_value, first, env)?,
            admin: self.admin(&raw.admin, &sockets, env)?,
            tenants,
            log_level,
            log_format: raw.logging.format,
            configuration_lifetime: configuration_lifetime(env)?,
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
        let source = Source::new("c.yaml".into(), text.into());
        source
            .check(Whose { listen, only: None }, &env)
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
                config.tenants[0].sockets[0].path,
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
            ("socket", &["file", "mode", "owner", "group", "peers"][..]),
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
