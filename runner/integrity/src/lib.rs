//! Whether a module is the one that its operator meant: its content is one of
//! those that were pinned, somebody who is trusted signed it, and not just
//! anybody could have put it there.
//!
//! Must not know what a module does, how it is compiled, or where settings come
//! from. It judges the bytes that it is given: whoever compiles others than
//! these has asked for nothing.

mod digest;
mod folder;
mod policy;
mod trusted_key;

pub use digest::{DigestError, parse_digest, shown_digest};
pub use folder::{FolderError, check_folder, check_module};
pub use policy::{IntegrityError, Policy, Provenance};
pub use trusted_key::{KeyError, KeyId, TrustedKey};
