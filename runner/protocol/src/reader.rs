//! Reads the FlatBuffers that the gateway sends, by hand: the generated
//! verifier takes longer over a request than everything else that happens to
//! its bytes. Everything is checked once, when a message is decoded, and every
//! later read is checked again, so that there is nothing unsafe here and
//! nothing that panics.
//!
//! Must not know which messages exist. `fuzz/` holds it against the generated
//! reader.
//!
//! A table begins with the distance back to its field list; that begins with
//! its own length in bytes and the table's, each two bytes, and then has for
//! each field the distance from the table's beginning, or 0. Everything that is
//! not a number stands elsewhere, at a distance from the field; a list begins
//! with its length. (FlatBuffers' "internals" document; all little-endian.)

use std::ops::Range;

use crate::Entry;

/// Why bytes are not the table they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An offset or a length leads outside.
    Outside,
    /// A table's field list cannot be read.
    NoFields,
    /// The same bytes are referred to so often that reading them all would take
    /// longer than receiving them.
    TooOften,
}

/// Where a list of entries stands in its payload, checked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct List {
    start: usize,
    count: usize,
}

/// Where bytes stand in their payload, checked.
pub(crate) type Place = Option<(usize, usize)>;

/// A table in a payload.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The field list behind its two lengths.
    fields: &'a [u8],
}

impl<'a> Table<'a> {
    /// The table that the payload is.
    pub(crate) fn root(bytes: &'a [u8]) -> Result<Self, Fault> {
        Self::at(bytes, follow(bytes, 0)?)
    }

    #[inline]
    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Fault> {
        let back = i32::from_le_bytes(*chunk(bytes, at)?);
        let list = isize::try_from(at)
            .ok()
            .and_then(|at| at.checked_sub(back as isize))
            .and_then(|list| usize::try_from(list).ok())
            .ok_or(Fault::NoFields)?;
        let length = usize::from(u16_at(bytes, list).map_err(|_| Fault::NoFields)?);
        let list = bytes.get(list..list.saturating_add(length));
        Ok(Table {
            bytes,
            at,
            fields: list.ok_or(Fault::NoFields)?.get(4..).unwrap_or_default(),
        })
    }

    /// Where field `slot` stands, counted from 0; `None` if it is absent.
    #[inline]
    pub(crate) fn field(&self, slot: usize) -> Option<usize> {
        match u16_at(self.fields, 2 * slot) {
            Ok(0) | Err(_) => None,
            Ok(distance) => Some(self.at + usize::from(distance)),
        }
    }

    pub(crate) fn u8(&self, slot: usize) -> Result<u8, Fault> {
        self.field(slot).map_or(Ok(0), |at| {
            self.bytes.get(at).copied().ok_or(Fault::Outside)
        })
    }

    pub(crate) fn u16(&self, slot: usize) -> Result<u16, Fault> {
        self.field(slot).map_or(Ok(0), |at| u16_at(self.bytes, at))
    }

    pub(crate) fn u32(&self, slot: usize) -> Result<u32, Fault> {
        self.field(slot).map_or(Ok(0), |at| u32_at(self.bytes, at))
    }

    /// A field of bytes; `None` if it is absent, which differs from empty.
    #[inline]
    pub(crate) fn bytes(&self, slot: usize) -> Result<Option<&'a [u8]>, Fault> {
        match self.range(slot)? {
            Some(range) => self.bytes.get(range).map(Some).ok_or(Fault::Outside),
            None => Ok(None),
        }
    }

    /// Where a field of bytes stands.
    pub(crate) fn place(&self, slot: usize) -> Result<Place, Fault> {
        let range = self.range(slot)?;
        Ok(range.map(|range| (range.start, range.end)))
    }

    #[inline]
    fn range(&self, slot: usize) -> Result<Option<Range<usize>>, Fault> {
        let Some(field) = self.field(slot) else {
            return Ok(None);
        };
        let at = follow(self.bytes, field)?;
        let (start, length) = (at + 4, u32_at(self.bytes, at)? as usize);
        match start.checked_add(length) {
            Some(end) if end <= self.bytes.len() => Ok(Some(start..end)),
            _ => Err(Fault::Outside),
        }
    }

    /// A field that is a list of `TextEntry`, every entry of it checked. An
    /// absent list is an empty one.
    pub(crate) fn list(&self, slot: usize, budget: &mut Budget) -> Result<List, Fault> {
        let Some(field) = self.field(slot) else {
            return Ok(List::default());
        };
        let at = follow(self.bytes, field)?;
        let (start, count) = (at + 4, u32_at(self.bytes, at)? as usize);
        let end = count
            .checked_mul(4)
            .and_then(|size| size.checked_add(start));
        if end.is_none_or(|end| end > self.bytes.len()) {
            return Err(Fault::Outside);
        }
        for number in 0..count {
            let entry = entry(self.bytes, start + 4 * number)?;
            budget.spend(entry.name.len() + entry.value.map_or(0, <[u8]>::len))?;
        }
        Ok(List { start, count })
    }
}

/// How much may be referred to: in proportion to what was received. Without it
/// a few megabytes of offsets to one large entry would read as terabytes.
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Budget(bytes.len().saturating_mul(2).saturating_add(64))
    }

    fn spend(&mut self, size: usize) -> Result<(), Fault> {
        /// What an entry takes beside its texts.
        const ENTRY: usize = 16;
        self.0 = self.0.checked_sub(size + ENTRY).ok_or(Fault::TooOften)?;
        Ok(())
    }
}

/// The bytes at a checked place.
pub(crate) fn at_place(bytes: &[u8], place: Place) -> Option<&[u8]> {
    let (start, end) = place?;
    bytes.get(start..end)
}

/// The entries of a list in the order of the wire, read one by one. An absent
/// list reads as an empty one. Reading allocates nothing.
#[derive(Clone)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    next: usize,
    left: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(bytes: &'a [u8], list: List) -> Self {
        Entries {
            bytes,
            next: list.start,
            left: list.count,
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next += 4;
        // It was checked when the message was decoded.
        entry(self.bytes, at).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Entries<'_> {}

impl std::fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The `TextEntry` to which the offset at `at` leads.
#[inline]
fn entry(bytes: &[u8], at: usize) -> Result<Entry<'_>, Fault> {
    let table = Table::at(bytes, follow(bytes, at)?)?;
    Ok(Entry {
        name: table.bytes(0)?.unwrap_or_default(),
        value: table.bytes(1)?,
    })
}

/// Where the offset at `at` leads.
#[inline]
fn follow(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    at.checked_add(u32_at(bytes, at)? as usize)
        .ok_or(Fault::Outside)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    chunk(bytes, at).map(|chunk| u32::from_le_bytes(*chunk))
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Fault> {
    chunk(bytes, at).map(|chunk| u16::from_le_bytes(*chunk))
}

#[inline]
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Result<&[u8; N], Fault> {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .ok_or(Fault::Outside)
}
