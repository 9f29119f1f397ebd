//! The certificate authorities that grants name: read before the process gives
//! up reading files. Must not know who is asked with them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use outbound::{AllowRule, Roots, Scheme};

use crate::config::{Config, HttpGrant};

/// Those that the grants of a configuration need.
#[derive(Debug)]
pub struct Authorities {
    none: Roots,
    /// By file; without one they are the system's.
    read: BTreeMap<Option<PathBuf>, Result<Roots, String>>,
}

impl Authorities {
    /// Reads them. What is wrong with one is told to who needs it.
    #[must_use]
    pub fn read(config: &Config) -> Self {
        let mut read = BTreeMap::new();
        let plugins = config.tenants.iter().map(|tenant| &tenant.plugins);
        let plugins = plugins.flat_map(|all| all.named.values().chain([&all.others]));
        for grant in plugins.filter_map(|plugin| plugin.grants.http.as_ref()) {
            if needs_some(grant) {
                let key = grant.ca_file.clone();
                read.entry(key).or_insert_with_key(|file| match file {
                    Some(file) => Roots::empty().and_of_file(file),
                    None => Roots::of_system(),
                });
            }
        }
        Authorities {
            none: Roots::empty(),
            read,
        }
    }

    /// Those of a grant.
    ///
    /// # Errors
    /// A sentence, where they cannot be used.
    pub(super) fn of(&self, grant: &HttpGrant) -> Result<&Roots, &str> {
        match self.read.get(&grant.ca_file) {
            Some(Ok(roots)) if needs_some(grant) => Ok(roots),
            Some(Err(error)) if needs_some(grant) => Err(error),
            _ => Ok(&self.none),
        }
    }
}

/// A file that is named is read, so that a wrong one is found at the start.
fn needs_some(grant: &HttpGrant) -> bool {
    let mut schemes = grant.allow.iter().map(AllowRule::scheme);
    grant.ca_file.is_some() || schemes.any(|scheme| scheme == Scheme::Https)
}
