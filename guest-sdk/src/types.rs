//! What filter and host say to each other: errors, headers, arguments.
//! Mirrors `wit/types.wit` case by case, because the generated bindings build
//! these types directly; it must not know which function uses them.

/// Why the host did not do what was asked. The text names the function and
/// what would have been accepted; it is meant for the filter's author.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// This runner, or this phase of this gateway, does not offer the function.
    Unsupported(String),
    /// There was nothing to act on: for example a request function called
    /// from [`Filter::configure`](crate::Filter::configure).
    WrongPhase(String),
    /// An argument cannot be sent as HTTP, or the gateway's protocol cannot
    /// express it. Nothing was changed.
    Invalid(String),
    /// A limit of the runner was reached. Nothing was changed.
    Limit(String),
    /// The gateway did not answer a question, or answered it wrongly.
    Gateway(String),
    /// The operator did not grant this filter what it asked for.
    Denied(String),
    /// Anything that a later runner cannot say with the cases above.
    Other(String),
}

crate::error_kinds::error_kinds! {
    Unsupported = "unsupported",
    WrongPhase = "wrong-phase",
    Invalid = "invalid",
    Limit = "limit",
    Gateway = "gateway",
    Denied = "denied",
    Other = "other",
}

/// One header line. A header that was sent twice is two entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEntry {
    /// The name; of a request always in lower case.
    pub name: String,
    /// The value; bytes that are not UTF-8 show as U+FFFD.
    pub value: String,
}

/// [`HeaderEntry`] without a change of any byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEntryBytes {
    /// The name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// One query argument, percent-decoded by the gateway. `?a=1&a=2` is two
/// entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgEntry {
    /// The name; bytes that are not UTF-8 show as U+FFFD.
    pub name: String,
    /// `None` for a value-less argument (`?a`), empty for `?a=`.
    pub value: Option<String>,
}

/// [`ArgEntry`] without a change of any byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgEntryBytes {
    /// The name.
    pub name: Vec<u8>,
    /// `None` for a value-less argument (`?a`), empty for `?a=`.
    pub value: Option<Vec<u8>>,
}

/// How much a log line matters, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step; off almost everywhere.
    Trace,
    /// What one needs to find a fault.
    Debug,
    /// Worth knowing in normal operation.
    Info,
    /// Something unexpected that the filter coped with.
    Warn,
    /// Something that the filter could not do.
    Error,
}
