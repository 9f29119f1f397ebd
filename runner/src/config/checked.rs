//! From what was written to what is needed. Errors name the file, the key and
//! the line, and what would have been accepted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::env::Environment;
use super::place;
use super::raw::{RawConfig, RawLimits};

/// Set by the gateway for the runner it starts
/// (`apisix/plugins/ext-plugin/init.lua`).
const LISTEN_ADDRESS: &str = "APISIX_LISTEN_ADDRESS";

/// What the program needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The socket's path.
    pub listen: PathBuf,
    /// What is logged.
    pub log_level: LevelFilter,
    /// What each filter may use.
    pub limits: sandbox::Limits,
    /// Instances at the same time, over all filters.
    pub instances: u32,
    /// How long a call waits for a plugin that is still being prepared.
    pub prepare_time: Duration,
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
        key: &'static str,
        /// What is wrong and what would do.
        message: String,
    },
    /// An address that is empty.
    #[error("{0} is empty; give unix:PATH")]
    EmptyAddress(&'static str),
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
        Ok(Config {
            listen: self.address(&raw, listen, env)?,
            log_level,
            limits: self.limits(&raw.limits)?,
            instances: self.at_least_one("limits.instances", raw.limits.instances)?,
            prepare_time: Duration::from_millis(raw.limits.prepare_ms.into()),
        })
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
            (None, None) => (
                self.expand("socket.file", &raw.socket.file, env)?,
                "socket.file",
            ),
        };
        let path = given.strip_prefix("unix:").unwrap_or(&given);
        match path.is_empty() {
            true => Err(ConfigError::EmptyAddress(from)),
            false => Ok(PathBuf::from(path)),
        }
    }

    fn limits(&self, raw: &RawLimits) -> Result<sandbox::Limits, ConfigError> {
        let at_least_one = |key, value| self.at_least_one(key, value);
        if raw.gateway_ms >= 60_000 {
            let message = "must be below 60000: the gateway gives up after 60 s".into();
            return Err(self.value_error("limits.gateway_ms", message));
        }
        Ok(sandbox::Limits {
            memory: (at_least_one("limits.memory_mib", raw.memory_mib)? as usize) << 20,
            guest_time: millis(at_least_one("limits.handler_ms", raw.handler_ms)?),
            configure_time: millis(at_least_one("limits.configure_ms", raw.configure_ms)?),
            gateway_time: millis(at_least_one("limits.gateway_ms", raw.gateway_ms)?),
        })
    }

    fn at_least_one(&self, key: &'static str, value: u32) -> Result<u32, ConfigError> {
        match value {
            0 => Err(self.value_error(key, "must be at least 1".into())),
            _ => Ok(value),
        }
    }

    /// `$env.NAME` stands for the variable NAME.
    fn expand(
        &self,
        key: &'static str,
        value: &str,
        env: &dyn Environment,
    ) -> Result<String, ConfigError> {
        let Some(name) = value.strip_prefix("$env.") else {
            return Ok(value.to_owned());
        };
        env.get(name).ok_or_else(|| {
            let message =
                format!("the environment variable {name} is not set; set it or write a value");
            self.value_error(key, message)
        })
    }

    fn value_error(&self, key: &'static str, message: String) -> ConfigError {
        let place = match place::line_of(&self.text, key) {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        };
        ConfigError::Value {
            place,
            key,
            message,
        }
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
    fn a_mistake_should_be_named_with_file_key_and_line() {
        let rows = [
            (
                "socket:\n  fil: x\n",
                "c.yaml:2: socket: unknown field `fil`, expected `file`; did you mean `file`?",
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
            ("socket", &["file"][..]),
            ("logging", &["level"]),
            (
                "limits",
                &[
                    "memory_mib",
                    "handler_ms",
                    "configure_ms",
                    "gateway_ms",
                    "prepare_ms",
                    "instances",
                ],
            ),
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
