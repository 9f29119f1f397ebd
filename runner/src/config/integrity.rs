//! Which modules may be loaded: `integrity` as it is written. Must not know how
//! a signature is checked.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;
use super::source::Source;

/// `integrity`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `require_signed: true`"
)]
pub struct RawIntegrity {
    /// Whether a module needs a signature by a trusted key; null is as for all
    /// tenants.
    pub require_signed: Option<bool>,
    /// Files with public keys (PEM); null is as for all tenants.
    pub trusted_keys: Option<Vec<PathBuf>>,
}

/// What holds for the modules of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Integrity {
    /// Whether each needs a signature by a trusted key.
    pub require_signed: bool,
    /// Files with public keys (PEM).
    pub trusted_keys: Vec<PathBuf>,
}

/// SHA-256 of a module.
pub type ModuleDigest = [u8; 32];

impl Source {
    /// `section` is where the tenant could say so itself.
    pub(super) fn integrity(
        &self,
        section: &str,
        own: &RawIntegrity,
        all: &RawIntegrity,
    ) -> Result<Integrity, ConfigError> {
        let require = own.require_signed.or(all.require_signed);
        let keys = own.trusted_keys.as_ref().or(all.trusted_keys.as_ref());
        let integrity = Integrity {
            require_signed: require.unwrap_or_default(),
            trusted_keys: keys.cloned().unwrap_or_default(),
        };
        if integrity.require_signed && integrity.trusted_keys.is_empty() {
            let message = "needs trusted_keys beside it, or no module can be loaded";
            let key = format!("{section}integrity.require_signed");
            return Err(self.value_error(&key, message.into()));
        }
        Ok(integrity)
    }

    pub(super) fn digests(
        &self,
        key: &str,
        texts: &[String],
    ) -> Result<Vec<ModuleDigest>, ConfigError> {
        let digests = texts.iter().map(|text| {
            let digest = integrity::parse_digest(text);
            digest.map_err(|error| self.value_error(key, error.to_string()))
        });
        digests.collect()
    }
}
