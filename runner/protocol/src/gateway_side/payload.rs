//! The generated reader behind its verifier: slower than ours and independent
//! of it, which is what the gateway's side is there for.
//!
//! Must not know which messages exist, except through [`Root`].

use flatbuffers::{Follow, Verifiable, VerifierOptions};

use crate::DecodeError;

/// A table that may be the root of a payload.
pub(super) trait Root {
    /// The generated reader.
    type View<'a>: Follow<'a, Inner = Self::View<'a>> + Verifiable + 'a;
    /// The table's name, for error texts.
    const NAME: &'static str;
}

/// The root table, after a check of every table, offset and length that a
/// reader will follow.
pub(super) fn verified_root<R: Root>(bytes: &[u8]) -> Result<R::View<'_>, DecodeError> {
    flatbuffers::root_with_opts::<R::View<'_>>(&limits(bytes.len()), bytes)
        .map_err(|invalid| DecodeError::verified(R::NAME, &invalid))
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

/// Declares the tables that one file reads.
macro_rules! roots {
    ($($root:ident: $view:ident :: $table:ident = $name:literal;)*) => {$(
        struct $root;

        impl Root for $root {
            type View<'a> = a6::$view::$table<'a>;
            const NAME: &'static str = $name;
        }
    )*};
}
pub(super) use roots;
