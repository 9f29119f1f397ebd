//! Writes one message after the other into the same memory, each as one
//! contiguous frame.
//!
//! Must not know which messages exist.

use std::fmt;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::EncodeError;
use crate::entry::Entry;
use crate::frame::{self, HEADER_LEN, MAX_PAYLOAD, RpcType};
use crate::wire::a6::{TextEntry, TextEntryArgs};

/// Memory kept between messages, so that a rare 16 MiB body is not paid for by
/// an idle connection; see [`FrameBuilder::trim`].
const KEPT: usize = 64 * 1024;

/// Room for the tables around a large body.
const SLACK: usize = 1024;

pub(crate) type BytesOffset = WIPOffset<Vector<'static, u8>>;
pub(crate) type EntriesOffset = WIPOffset<Vector<'static, ForwardsUOffset<TextEntry<'static>>>>;

/// Reusable memory for outgoing frames; one per connection is enough. The
/// `encode` functions of this crate fill it and return the finished frame,
/// header included, ready for a single write.
#[derive(Default)]
pub struct FrameBuilder {
    buffer: FlatBufferBuilder<'static>,
    list: Vec<WIPOffset<TextEntry<'static>>>,
}

impl FrameBuilder {
    /// A builder that has not allocated yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives back the memory of a large message; to be called when it is sent.
    pub fn trim(&mut self) {
        if self.buffer.mut_finished_buffer().0.len() > KEPT {
            self.buffer = FlatBufferBuilder::new();
        }
    }

    /// Forgets the last message and makes sure that the next one is not far
    /// beyond what a frame can carry: past 2 GiB the builder would panic.
    pub(crate) fn begin(&mut self, floor: Floor) -> Result<(), EncodeError> {
        floor.check()?;
        if self.capacity() > KEPT {
            *self = Self::new();
        }
        self.buffer.reset();
        if floor.0 > KEPT {
            // At once, because growing copies a large body several times over.
            self.buffer = FlatBufferBuilder::with_capacity(floor.0 + floor.0 / 8 + SLACK);
        }
        Ok(())
    }

    fn capacity(&mut self) -> usize {
        // The buffer is whole whether or not the message in it is finished.
        self.buffer.mut_finished_buffer().0.len()
    }

    pub(crate) fn tables(&mut self) -> &mut FlatBufferBuilder<'static> {
        &mut self.buffer
    }

    /// A byte vector, or the string it is upstream: with a NUL behind it.
    pub(crate) fn bytes(&mut self, bytes: Option<&[u8]>) -> Option<BytesOffset> {
        let written = self.buffer.create_byte_string(bytes?);
        Some(WIPOffset::new(written.value()))
    }

    /// A list of entries; an empty one is left out.
    pub(crate) fn entries(&mut self, entries: &[Entry<'_>]) -> Option<EntriesOffset> {
        if entries.is_empty() {
            return None;
        }
        self.list.clear();
        for entry in entries {
            let name = self.bytes(Some(entry.name));
            let value = self.bytes(entry.value);
            self.list.push(TextEntry::create(
                &mut self.buffer,
                &TextEntryArgs { name, value },
            ));
        }
        Some(self.buffer.create_vector(&self.list))
    }

    /// Closes the message with its root table.
    pub(crate) fn finish<T>(
        &mut self,
        rpc_type: RpcType,
        root: WIPOffset<T>,
    ) -> Result<&[u8], EncodeError> {
        // FlatBuffers can put a size of four bytes in front of a message. So
        // long is the header too: it takes that place, and nothing is copied.
        self.buffer.finish_size_prefixed(root, None);
        let (buffer, start) = self.buffer.mut_finished_buffer();
        let framed = &mut buffer[start..];
        let header = frame::header(rpc_type, framed.len() - HEADER_LEN)?;
        framed[..HEADER_LEN].copy_from_slice(&header);
        Ok(framed)
    }
}

/// Not the bytes: they are a client's.
impl fmt::Debug for FrameBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameBuilder").finish_non_exhaustive()
    }
}

/// What a message takes at the very least: its content, the lengths and the
/// offsets, without padding. Cheap to sum, and a message built of a sum within
/// the limit is a few times as large at worst.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Floor(usize);

impl Floor {
    pub(crate) fn bytes(self, bytes: Option<&[u8]>) -> Self {
        bytes.map_or(self, |bytes| {
            Self(self.0.saturating_add(bytes.len()).saturating_add(4))
        })
    }

    pub(crate) fn entries(self, entries: &[Entry<'_>]) -> Self {
        entries.iter().fold(self, |sum, entry| {
            let entry_alone = Self(8).bytes(Some(entry.name)).bytes(entry.value);
            Self(sum.0.saturating_add(entry_alone.0))
        })
    }

    fn check(self) -> Result<(), EncodeError> {
        if self.0 > MAX_PAYLOAD {
            return Err(EncodeError::TooLarge { at_least: self.0 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extra_info::{Question, encode_question};

    #[test]
    fn memory_is_reused_while_it_is_small() {
        let mut frame = FrameBuilder::new();
        let mut capacity_after = |length| {
            let name = vec![b'x'; length];
            assert!(encode_question(&mut frame, Question::Var(&name)).is_ok());
            frame.capacity()
        };
        let small = capacity_after(1000);
        assert_eq!(capacity_after(10), small, "kept");
        assert!(capacity_after(1_000_000) > KEPT);
        assert!(capacity_after(10) <= KEPT, "given back");
    }
}
