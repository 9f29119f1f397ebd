//! Why a payload could not be read and why a message could not be written.
//! (What breaks the framing itself is [`crate::FrameError`].)
//!
//! Must not know which reply an error becomes.

use flatbuffers::InvalidFlatbuffer;

use crate::frame::MAX_PAYLOAD;
use crate::reader::Fault;

/// A payload that is not the FlatBuffer its frame type asks for. The stream is
/// still in step: the next frame can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is not a {table}: {fault}")]
pub struct DecodeError {
    table: &'static str,
    fault: &'static str,
}

impl DecodeError {
    /// `table`: the root as the schema calls it, without its outer namespace.
    pub(crate) fn new(table: &'static str, fault: Fault) -> Self {
        let fault = match fault {
            Fault::Outside => OUTSIDE,
            Fault::NoFields => NO_FIELDS,
            Fault::TooOften => TOO_OFTEN,
        };
        Self { table, fault }
    }

    /// The finding of the generated verifier.
    pub(crate) fn verified(table: &'static str, invalid: &InvalidFlatbuffer) -> Self {
        Self {
            table,
            fault: fault(invalid),
        }
    }
}

const OUTSIDE: &str = "something in it lies outside of it";
const NO_FIELDS: &str = "a table has no field list";
const TOO_OFTEN: &str = "it refers to the same bytes too often";

/// The verifier's finding in a few words. Its own text has several lines and
/// positions that mean nothing without the payload.
fn fault(invalid: &InvalidFlatbuffer) -> &'static str {
    match invalid {
        InvalidFlatbuffer::RangeOutOfBounds { .. } => OUTSIDE,
        InvalidFlatbuffer::SignedOffsetOutOfBounds { .. } => NO_FIELDS,
        InvalidFlatbuffer::Unaligned { .. } => "a number stands at an odd place",
        InvalidFlatbuffer::InconsistentUnion { .. } => "a choice and its content do not match",
        InvalidFlatbuffer::TooManyTables => "it refers to more tables than it can hold",
        InvalidFlatbuffer::ApparentSizeTooLarge => TOO_OFTEN,
        InvalidFlatbuffer::DepthLimitReached => "its tables are nested too deeply",
        // The schema has neither strings nor required fields.
        InvalidFlatbuffer::MissingRequiredField { .. }
        | InvalidFlatbuffer::Utf8Error { .. }
        | InvalidFlatbuffer::MissingNullTerminator { .. } => "it breaks the schema",
    }
}

/// A message the wire, or the gateway behind it, has no room for. Nothing was
/// written; the builder is ready for another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// More than 24 bits can say. A corrupt length would make the gateway lose
    /// step with the stream.
    #[error("the message needs at least {at_least} bytes, a frame carries {MAX_PAYLOAD}")]
    TooLarge {
        /// Bytes of payload; the true number may be higher.
        at_least: usize,
    },
    /// The gateway would call the upstream with no path at all.
    #[error("an empty path cannot be sent")]
    EmptyPath,
    /// The gateway fails on an entry without a name.
    #[error("an entry without a name cannot be sent in {list}")]
    EmptyName {
        /// Which list, as the schema calls it.
        list: &'static str,
    },
    /// Removing `host` would leave the gateway without an upstream host.
    #[error("the request header host can be replaced, not removed")]
    HostRemoved,
    /// The gateway reads an empty body as "leave the body alone".
    #[error("a body cannot be replaced by an empty one")]
    EmptyBody,
}
