//! Structure out of bytes: each value takes some from the front, and when there
//! are none left everything is zero, empty or absent.
//!
//! Must not know what the values are for.

use protocol::gateway_side::NamedValue;

/// The bytes that are left.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of them.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { rest: bytes }
    }

    /// What nobody has taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether anything is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// A number below `limit`, which is 1 to 256.
    pub fn below(&mut self, limit: u16) -> u8 {
        (u16::from(self.u8()) % limit) as u8
    }

    /// A byte of length and so many bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.u8();
        self.take(usize::from(length))
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// Something, or nothing.
    pub fn maybe<T>(&mut self, take: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match self.u8() % 2 {
            0 => None,
            _ => Some(take(self)),
        }
    }

    /// A byte of length and so many entries, with names of any length.
    pub fn entries(&mut self) -> Vec<NamedValue> {
        let count = self.u8() % 16;
        let entry = |_| NamedValue {
            name: self.bytes().to_vec(),
            value: self.maybe(|input| input.bytes().to_vec()),
        };
        (0..count).map(entry).collect()
    }
}
