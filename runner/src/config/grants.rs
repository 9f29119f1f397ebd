//! What filters may reach beyond their call, as it is written and as it is
//! needed. What is not written is not granted. Must not know how anything is
//! reached.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outbound::AllowRule;
use serde::Deserialize;

use super::ConfigError;
use super::env::Environment;
use super::limits::millis;
use super::source::Source;

/// `grants`, of a tenant or of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `key_value: {}`"
)]
pub struct RawGrants {
    /// HTTP requests of their own.
    pub http: Option<RawHttp>,
    /// The tenant's key-value storage.
    pub key_value: Option<RawKeyValueGrant>,
    /// Secrets and configuration values, by the name that filters ask for.
    pub secrets: Option<BTreeMap<String, RawSecret>>,
    /// The shortest time that clocks tell apart, microseconds.
    pub clock_resolution_us: Option<u32>,
    /// Which numbers are random.
    pub random: Option<RawRandom>,
}

/// `grants.http`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `allow: [{url: \"https://HOST/\"}]`"
)]
pub struct RawHttp {
    /// Where to.
    pub allow: Vec<RawAllow>,
    /// How long a request may take in all, ms.
    pub timeout_ms: u32,
    /// How long making a connection may take of that, ms.
    pub connect_ms: u32,
    /// The longest body of a request, KiB.
    pub request_kib: u32,
    /// The longest body of a response, KiB.
    pub response_kib: u32,
    /// Requests at the same time.
    pub concurrent: u32,
    /// Authorities that are trusted in place of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Name servers in place of the system's, `ADDRESS:PORT`.
    pub nameservers: Vec<std::net::SocketAddr>,
}

impl Default for RawHttp {
    fn default() -> Self {
        RawHttp {
            allow: Vec::new(),
            timeout_ms: 1_000,
            connect_ms: 500,
            request_kib: 1_024,
            response_kib: 1_024,
            concurrent: 64,
            ca_file: None,
            nameservers: Vec::new(),
        }
    }
}

/// One of `grants.http.allow`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as `url: https://HOST/PATH`"
)]
pub struct RawAllow {
    /// Scheme, host, port and the beginning of the path.
    pub url: String,
    /// Methods; GET and HEAD where none is named.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Networks, closed otherwise, in which the host may be.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// `grants.key_value`: nothing is said of it but that it is granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an empty mapping: {}")]
pub struct RawKeyValueGrant {}

/// Where a secret comes from; one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`file: PATH`, `env: NAME` or `value: TEXT`"
)]
pub struct RawSecret {
    /// A file; one line feed at its end does not belong to it.
    pub file: Option<PathBuf>,
    /// A variable of the environment.
    pub env: Option<String>,
    /// A value that is no secret.
    pub value: Option<String>,
}

/// `grants.random`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawRandom {
    /// Nobody can guess them.
    #[default]
    Secure,
    /// The same in each instance, for filters that need none but whose language
    /// draws some at its start.
    Fixed,
}

/// What a plugin may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// HTTP requests of its own.
    pub http: Option<Arc<HttpGrant>>,
    /// The tenant's key-value storage.
    pub key_value: bool,
    /// By name: the value, or why there is none.
    pub secrets: Option<Arc<Secrets>>,
    /// The shortest time that clocks tell apart.
    pub clock_resolution: Duration,
    /// Whether random numbers are the same in each instance.
    pub fixed_random: bool,
}

/// Secrets by name.
pub type Secrets = BTreeMap<String, Result<SecretText, String>>;

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Arc<str>);

impl SecretText {
    /// The text itself, for whom it was granted.
    #[must_use]
    pub fn reveal(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where to, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// What is allowed.
    pub allow: Vec<AllowRule>,
    /// For a whole request.
    pub time: Duration,
    /// For making a connection.
    pub connect_time: Duration,
    /// Bytes of a request's body.
    pub request_body: usize,
    /// Bytes of a response's body.
    pub response_body: usize,
    /// Requests at the same time.
    pub concurrent: u32,
    /// Authorities that are trusted in place of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// In place of the system's.
    pub nameservers: Vec<std::net::SocketAddr>,
}

/// Microseconds that a clock tells apart where nobody says.
const RESOLUTION_US: u32 = 1_000;

/// The coarsest clock, one second.
const COARSEST_US: u32 = 1_000_000;

/// Bytes of a secret's file: a certificate chain fits.
const LARGEST_SECRET: u64 = 64 << 10;

impl Source {
    /// What a plugin may reach, `own` in `section` before `all` in
    /// `all_section`.
    pub(super) fn grants(
        &self,
        (section, own): (&str, &RawGrants),
        (all_section, all): (&str, &RawGrants),
        env: &dyn Environment,
    ) -> Result<Grants, ConfigError> {
        let http = match (&own.http, &all.http) {
            (Some(http), _) => Some(self.http(&format!("{section}.http"), http)?),
            (None, Some(http)) => Some(self.http(&format!("{all_section}.http"), http)?),
            (None, None) => None,
        };
        let secrets = match (&own.secrets, &all.secrets) {
            (Some(secrets), _) => {
                Some(self.secrets(&format!("{section}.secrets"), secrets, env)?)
            }
            (None, Some(secrets)) => {
                Some(self.secrets(&format!("{all_section}.secrets"), secrets, env)?)
            }
            (None, None) => None,
        };
        let resolution = own.clock_resolution_us.or(all.clock_resolution_us);
        let resolution = resolution.unwrap_or(RESOLUTION_US);
        if !(1..=COARSEST_US).contains(&resolution) {
            let message = format!("{resolution} is not between 1 and {COARSEST_US}");
            return Err(self.value_error(&format!("{section}.clock_resolution_us"), message));
        }
        let random = own.random.or(all.random).unwrap_or_default();
        Ok(Grants {
            http: http.map(Arc::new),
            key_value: own.key_value.or(all.key_value).is_some(),
            secrets: secrets.map(Arc::new),
            clock_resolution: Duration::from_micros(resolution.into()),
            fixed_random: random == RawRandom::Fixed,
        })
    }

    fn http(&self, section: &str, raw: &RawHttp) -> Result<HttpGrant, ConfigError> {
        if raw.allow.is_empty() {
            let message = "allows nothing; add allow: [{url: \"https://HOST/\"}]";
            return Err(self.value_error(section, message.into()));
        }
        let key = |name: &str| format!("{section}.{name}");
        let rules = raw.allow.iter().enumerate().map(|(number, rule)| {
            let parsed = AllowRule::parse(&rule.url, &rule.methods, &rule.networks);
            parsed.map_err(|message| self.value_error(&key(&format!("allow.{number}")), message))
        });
        let allow = rules.collect::<Result<_, _>>()?;
        self.check_time(&key("timeout_ms"), raw.timeout_ms)?;
        Ok(HttpGrant {
            allow,
            time: millis(self.at_least_one(&key("timeout_ms"), raw.timeout_ms)?),
            connect_time: millis(self.at_least_one(&key("connect_ms"), raw.connect_ms)?),
            request_body: (raw.request_kib as usize) << 10,
            response_body: (raw.response_kib as usize) << 10,
            concurrent: self.at_least_one(&key("concurrent"), raw.concurrent)?,
            ca_file: raw.ca_file.clone(),
            nameservers: raw.nameservers.clone(),
        })
    }

    fn secrets(
        &self,
        section: &str,
        raw: &BTreeMap<String, RawSecret>,
        env: &dyn Environment,
    ) -> Result<Secrets, ConfigError> {
        let secrets = raw.iter().map(|(name, secret)| {
            let key = format!("{section}.{name}");
            let value = match (&secret.file, &secret.env, &secret.value) {
                (Some(file), None, None) => read_secret(file),
                (None, Some(variable), None) => {
                    let unset = || format!("the environment variable {variable} is not set");
                    env.get(variable).ok_or_else(unset)
                }
                (None, None, Some(value)) => Ok(value.clone()),
                _ => {
                    let message = "takes one of file: PATH, env: NAME and value: TEXT";
                    return Err(self.value_error(&key, message.into()));
                }
            };
            if let Err(message) = &value {
                self.note_missing(&key, message.clone());
            }
            let value = value.map(|text| SecretText(Arc::from(text)));
            Ok((name.clone(), value))
        });
        secrets.collect()
    }
}

fn read_secret(file: &std::path::Path) -> Result<String, String> {
    use std::io::Read as _;
    let shown = file.display();
    let unreadable = |error| format!("{shown} cannot be read: {error}");
    let mut text = String::new();
    // A pipe would hold up the start.
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(format!("{shown} is no file"));
    }
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let mut whole = opened.take(LARGEST_SECRET + 1);
    whole.read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST_SECRET {
        return Err(format!(
            "{shown} is larger than {} KiB",
            LARGEST_SECRET >> 10
        ));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::config::source::check;

    #[test]
    fn a_plugin_should_have_its_own_grants_and_of_the_rest_those_of_all() {
        let text = "grants: {key_value: {}, secrets: {a: {value: x}}}\n\
                    plugins: {p: {grants: {secrets: {b: {value: y}}, random: fixed}}}";
        let config = check(text).expect(text);
        let plugins = &config.tenants[0].plugins;
        let names = |name: &str| {
            let secrets = plugins.of(name).grants.secrets.as_deref();
            let names = secrets.map(|secrets| secrets.keys().cloned().collect::<Vec<_>>());
            names.unwrap_or_default()
        };
        assert_eq!(
            (names("p"), names("q")),
            (vec!["b".into()], vec!["a".into()])
        );
        assert!(plugins.of("p").grants.key_value && plugins.of("q").grants.key_value);
        assert!(plugins.of("p").grants.fixed_random && !plugins.of("q").grants.fixed_random);
        assert!(plugins.of("p").grants.http.is_none());
        assert!(
            !format!("{config:?}").contains("\"x\""),
            "a secret is shown"
        );
    }

    #[test]
    fn a_grant_that_means_nothing_should_be_refused() {
        let rows = [
            (
                "grants:\n  http: {}\n",
                "c.yaml:2: grants.http: allows nothing",
            ),
            ("grants: {key_value: {size: 1}}", "unknown field `size`"),
            (
                "grants:\n  secrets:\n    a: {}\n",
                "c.yaml:3: grants.secrets.a: takes one of",
            ),
            (
                "grants: {secrets: {a: {file: x, env: Y}}}",
                "grants.secrets.a: takes one of",
            ),
            (
                "grants: {clock_resolution_us: 0}",
                "grants.clock_resolution_us: 0 is not",
            ),
            ("plugins: {p: {grants: {htp: {}}}}", "did you mean `http`?"),
        ];
        for (text, expected) in rows {
            let error = check(text).expect_err(text);
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn a_secret_that_is_not_there_should_be_said() {
        let text = "grants: {secrets: {a: {env: NOPE}, b: {file: /nowhere/b}}}";
        let config = check(text).expect(text);
        let missing = &config.tenants[0].missing;
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(missing[0].contains("grants.secrets.a: the environment variable NOPE"));
        assert!(missing[1].contains("grants.secrets.b: /nowhere/b cannot be read"));
    }
}
