//! What the operator grants to one plugin beyond its calls: nothing, unless it
//! is written down. Each grant is a port, so that this room knows neither
//! sockets nor stores, or a value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{KeyValue, Outbound, Secrets};

/// The grants of one plugin. The default is none.
#[derive(Clone)]
pub struct Grants {
    /// Requests to other servers (`apisix:filter/http`, `wasi:http`).
    pub http: Option<Arc<dyn Outbound>>,
    /// Values that outlive a call (`apisix:filter/key-value`). Whoever makes it
    /// keeps plugins apart.
    pub key_value: Option<Arc<dyn KeyValue>>,
    /// Texts by name (`apisix:filter/secrets`).
    pub secrets: Option<Arc<Secrets>>,
    /// The shortest time that the plugin's clocks tell apart, of the interface
    /// and of WASI: they are rounded down to a multiple of it. A guest that
    /// could tell shorter times apart could measure what others do on the same
    /// processor. Zero is taken for a nanosecond.
    pub clock_resolution: Duration,
    /// Where its random numbers come from.
    pub random: Randomness,
}

/// Where random numbers come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Randomness {
    /// The system; nobody can foretell them.
    #[default]
    Real,
    /// Every instance draws the same ones, which anybody can know: for filters
    /// in languages that draw as they start and need none. What `configure`
    /// drew may be captured.
    Fixed,
}

impl Grants {
    /// Nothing: no request, no store, no secret; clocks tell milliseconds, and
    /// random numbers are random.
    #[must_use]
    pub fn none() -> Self {
        Grants {
            http: None,
            key_value: None,
            secrets: None,
            clock_resolution: Duration::from_millis(1),
            random: Randomness::Real,
        }
    }

    pub(crate) fn has(&self, grant: Grant) -> bool {
        match grant {
            Grant::Http => self.http.is_some(),
            Grant::KeyValue => self.key_value.is_some(),
            Grant::Secrets => self.secrets.is_some(),
        }
    }
}

impl Default for Grants {
    fn default() -> Self {
        Grants::none()
    }
}

/// Without anything that a grant holds.
impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("http", &self.http.is_some())
            .field("key_value", &self.key_value.is_some())
            .field("secrets", &self.secrets)
            .field("clock_resolution", &self.clock_resolution)
            .field("random", &self.random)
            .finish()
    }
}

/// What a filter can be granted before it may import something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Requests to other servers.
    Http,
    /// Values that outlive a call.
    KeyValue,
    /// Texts by name.
    Secrets,
}

impl Grant {
    /// What an import asks for, if it asks for a grant.
    pub(crate) fn of_import(import: &str) -> Option<Self> {
        let interface = import.split_once('@').map_or(import, |(name, _)| name);
        match interface {
            "apisix:filter/http" => Some(Grant::Http),
            "apisix:filter/key-value" => Some(Grant::KeyValue),
            "apisix:filter/secrets" => Some(Grant::Secrets),
            _ if interface.starts_with("wasi:http/") => Some(Grant::Http),
            _ => None,
        }
    }

    /// The line of the configuration that grants it to a plugin.
    #[must_use]
    pub fn line(self, plugin: &str) -> String {
        let grant = match self {
            Grant::Http => r#"http: {allow: [{url: "https://HOST/"}]}"#,
            Grant::KeyValue => "key_value: {}",
            Grant::Secrets => "secrets: {NAME: {env: VARIABLE}}",
        };
        format!("plugins.{plugin}.grants.{grant}")
    }
}
