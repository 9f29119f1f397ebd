//! Whose filters these are. A tenant is part of every key under which
//! anything is shared between calls.

use std::fmt;
use std::sync::Arc;

/// A tenant's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The one that serves where no tenants are configured.
    #[must_use]
    pub fn sole() -> Self {
        Tenant::named("default")
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Tenant(Arc::from(name))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
