//! What can go wrong, once for whoever asked (a guest may read it) and once for
//! the operator who set it up.

use std::path::PathBuf;

/// Why an operation failed. The text names no path and no address, so that a
/// guest may read it; what an operator needs beyond it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No key is empty, and none is longer than the limit.
    #[error("a key has 1 to {limit} bytes, and this one has {bytes}")]
    InvalidKey {
        /// How long it is.
        bytes: usize,
        /// `max_key_bytes`.
        limit: usize,
    },
    /// The value is larger than one value may be.
    #[error("a value has at most {limit} bytes (max_value_bytes), and this one has {bytes}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// `max_value_bytes`.
        limit: usize,
    },
    /// All values together would be larger than they may be.
    #[error("the store is full: its entries may take {limit} bytes (max_bytes)")]
    Full {
        /// `max_bytes`.
        limit: usize,
    },
    /// Only a decimal integer of 64 bits can be incremented.
    #[error("the value of this key is not a decimal integer of 64 bits, so nothing can be added")]
    NotANumber,
    /// The sum has no place in 64 bits; the value stays what it was.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
    /// The store cannot be asked now. Where Redis took too long, what was asked
    /// may have been done all the same.
    #[error("{0}")]
    Unavailable(&'static str),
    /// Too many operations wait for the store already.
    #[error("too many operations wait for the store; try again later")]
    Busy,
}

/// Why there is no store. For the operator: it names paths and addresses.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It becomes part of a file's name and of every key in Redis.
    #[error("{0:?} is no name of a tenant: it has 1 to 63 of a-z, 0-9 and '-'")]
    Tenant(String),
    /// It cannot be made or looked at.
    #[error("{}: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could read or change what is kept in it.
    #[error("{} {objection}", .folder.display())]
    UnsafeFolder {
        /// The folder.
        folder: PathBuf,
        /// What speaks against it.
        objection: String,
    },
    /// The address of Redis means nothing.
    #[error("the address of redis {0}; write redis://HOST:PORT/DATABASE or unix:///PATH")]
    Address(String),
    /// The system gives no thread for the file.
    #[error("no thread for the store of tenant {tenant}: {source}")]
    Thread {
        /// Whose store.
        tenant: String,
        /// Why.
        source: std::io::Error,
    },
}
