//! A FlatBuffer that was checked once and can be read for as long as it lives.
//!
//! Must not know which messages exist, except through [`Root`].

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use flatbuffers::{Follow, Verifiable, VerifierOptions};

use crate::DecodeError;

/// A table that may be the root of a payload.
pub(crate) trait Root {
    /// The generated reader.
    type View<'a>: Follow<'a, Inner = Self::View<'a>> + Verifiable + 'a;
    /// The table's name, for error texts.
    const NAME: &'static str;
}

/// Verified bytes with the root table `R`. Owns them (no borrow, `Send` and
/// `Sync`), so a decoded call can be shared with the filters and read lazily.
pub(crate) struct Payload<R> {
    bytes: Bytes,
    root: PhantomData<fn() -> R>,
}

impl<R: Root> Payload<R> {
    /// Checks every table, offset and length that a reader will follow.
    pub(crate) fn verify(bytes: Bytes) -> Result<Self, DecodeError> {
        verified_root::<R>(&bytes)?;
        Ok(Self {
            bytes,
            root: PhantomData,
        })
    }

    /// The root table. Costs two additions: nothing is checked again.
    pub(crate) fn root(&self) -> R::View<'_> {
        // SAFETY: `verify` is the only constructor and ran the verifier for
        // this very view over these very bytes, and `Bytes` never change. The
        // checked twin of this call, `root_with_opts`, is a safe function that
        // ends in the same read, at any alignment: scalars are copied out
        // bytewise.
        #[allow(unsafe_code)]
        unsafe {
            flatbuffers::root_unchecked::<R::View<'_>>(&self.bytes)
        }
    }

    /// `part`, which must have been read from this payload, as bytes that keep
    /// the payload alive. Nothing is copied.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }
}

impl<R> Clone for Payload<R> {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            root: PhantomData,
        }
    }
}

/// Only the size: the content is a client's, and may be megabytes.
impl<R: Root> fmt::Debug for Payload<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} bytes", R::NAME, self.bytes.len())
    }
}

/// The root table of borrowed bytes, after the same check.
pub(crate) fn verified_root<R: Root>(bytes: &[u8]) -> Result<R::View<'_>, DecodeError> {
    flatbuffers::root_with_opts::<R::View<'_>>(&limits(bytes.len()), bytes)
        .map_err(|invalid| DecodeError::new(R::NAME, &invalid))
}

/// Bounds that grow with the bytes that really arrived, so that checking and
/// walking a payload costs time in proportion to it. Without them a few
/// megabytes of offsets to one large table would read as terabytes.
fn limits(len: usize) -> VerifierOptions {
    VerifierOptions {
        // Resp, Rewrite, TextEntry.
        max_depth: 3,
        // A table in a list takes 4 bytes there and 4 itself.
        max_tables: len / 8 + 1,
        // A table counts its field list each time, although many share one. An
        // entry with one-letter strings reads as 44 bytes and takes 32.
        max_apparent_size: len.saturating_mul(2).saturating_add(64),
        // The gateway leaves the NUL out behind an empty string.
        ignore_missing_null_terminator: true,
    }
}
