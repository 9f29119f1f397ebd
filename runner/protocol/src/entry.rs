//! Names with values: a header, a query argument, a plugin's configuration.
//!
//! Must not know what the names mean.

use std::fmt;

use flatbuffers::{ForwardsUOffset, Vector, VectorIter};

use crate::EncodeError;
use crate::wire::a6::TextEntry;

pub(crate) type TextEntries<'a> = Vector<'a, ForwardsUOffset<TextEntry<'a>>>;

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

/// The entries of a list in the order of the wire, read one by one. An absent
/// list reads as an empty one. Reading allocates nothing.
#[derive(Clone)]
pub struct Entries<'a>(VectorIter<'a, ForwardsUOffset<TextEntry<'a>>>);

impl<'a> Entries<'a> {
    pub(crate) fn new(list: Option<TextEntries<'a>>) -> Self {
        Self(list.unwrap_or_default().iter())
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let entry = self.0.next()?;
        Some(Entry {
            name: entry.name().unwrap_or_default().bytes(),
            value: entry.value().map(|value| value.bytes()),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
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
