//! One configuration in memory: its text as it was written, and the errors that
//! point into it. Must not know any key.

use std::cell::RefCell;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::env::Environment;
use super::{ConfigError, place};

/// A configuration file, read.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
    /// What this machine lacks of what is written.
    missing: RefCell<Vec<String>>,
}

impl Source {
    pub(super) fn new(name: String, text: String) -> Self {
        let missing = RefCell::default();
        Source {
            name,
            text,
            missing,
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Source::new(name, text)),
            Err(source) => Err(ConfigError::Unreadable { file: name, source }),
        }
    }

    pub(super) fn parse<T: DeserializeOwned + Default>(&self) -> Result<T, ConfigError> {
        // An empty file, or one with comments only, is null and not a mapping.
        match serde_yaml::from_str::<Option<T>>(&self.text) {
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

    /// `$env.NAME` stands for the variable NAME.
    pub(super) fn expand(
        &self,
        key: &str,
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

    pub(super) fn at_least_one(&self, key: &str, value: u32) -> Result<u32, ConfigError> {
        match value {
            0 => Err(self.value_error(key, "must be at least 1".into())),
            _ => Ok(value),
        }
    }

    /// An error about the value of a key such as `socket.file`.
    pub(super) fn value_error(&self, key: &str, message: String) -> ConfigError {
        // Within a tenant: where the tenant is, at least.
        let around = || match key.strip_prefix("tenants.")?.split_once('.') {
            Some((number, _)) => self.place_of(&format!("tenants.{number}")),
            None => None,
        };
        let place = self.place_of(key).or_else(around);
        ConfigError::Value {
            place: place.unwrap_or_else(|| self.name.clone()),
            key: key.to_owned(),
            message,
        }
    }

    /// What is written is right, and this machine lacks what it names: a user, a
    /// secret. Another may have it.
    pub(super) fn note_missing(&self, key: &str, message: String) {
        let error = self.value_error(key, message).to_string();
        let mut missing = self.missing.borrow_mut();
        // What holds for all plugins is looked at for each.
        if !missing.contains(&error) {
            missing.push(error);
        }
    }

    /// All that was noted since this was asked last.
    pub(super) fn take_missing(&self) -> Vec<String> {
        self.missing.take()
    }

    /// File and line of a key, where it is written.
    pub(super) fn place_of(&self, key: &str) -> Option<String> {
        let line = place::line_of(&self.text, key)?;
        Some(format!("{}:{line}", self.name))
    }
}

/// A text, settled without any environment.
#[cfg(test)]
pub(super) fn check(text: &str) -> Result<super::Config, String> {
    let source = Source::new("c.yaml".into(), text.into());
    let environment: &[(&str, &str)] = &[];
    let config = source.check(super::checked::Whose::default(), &environment);
    config.map_err(|error| error.to_string())
}
