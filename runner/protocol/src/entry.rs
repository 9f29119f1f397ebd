//! Names with values: a header, a query argument, a plugin's configuration.
//!
//! Must not know what the names mean.

use std::fmt;

use crate::EncodeError;

/// One `TextEntry` of the schema. Bytes, not text: the gateway sends what the
/// client sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry<'a> {
    /// Empty if the entry has none.
    pub name: &'a [u8],
    /// `None` is not an empty value: `?z` against `?z=`, or "remove the header"
    /// against "send it empty".
    pub value: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// An entry with a value.
    #[must_use]
    pub fn new(
        name: &'a (impl AsRef<[u8]> + ?Sized),
        value: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self {
            name: name.as_ref(),
            value: Some(value.as_ref()),
        }
    }

    /// An entry without a value.
    #[must_use]
    pub fn bare(name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            name: name.as_ref(),
            value: None,
        }
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name.escape_ascii())?;
        match self.value {
            Some(value) => write!(f, "={}", value.escape_ascii()),
            None => Ok(()),
        }
    }
}

/// Refuses a nameless entry in an outgoing list: the gateway would fail on it
/// with a 500, at the client's expense.
pub(crate) fn check_names(list: &'static str, entries: &[Entry<'_>]) -> Result<(), EncodeError> {
    if entries.iter().any(|entry| entry.name.is_empty()) {
        return Err(EncodeError::EmptyName { list });
    }
    Ok(())
}
