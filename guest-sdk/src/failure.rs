//! Why a filter gives up: one text for the operator's log.

use std::fmt;

use crate::{Error, http, key_value};

/// The reason a filter could not do its work. It goes to the runner's log,
/// never to the client.
///
/// `?` makes one from a host [`Error`]; texts convert with `.into()`, any
/// other error with [`Failure::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure from anything that can be shown, for `map_err`.
    pub fn new(reason: impl fmt::Display) -> Self {
        Failure(reason.to_string())
    }

    /// Not `to_string`: formatting machinery would be a third of a small filter.
    fn of(kind: &str, text: &str) -> Self {
        Failure([kind, ": ", text].concat())
    }

    /// The reason.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The reason, without a copy.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::of(error.kind(), error.text())
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        Failure::of(error.kind(), error.text())
    }
}

impl From<key_value::Error> for Failure {
    fn from(error: key_value::Error) -> Self {
        Failure::of(error.kind(), error.text())
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Failure(reason.to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
