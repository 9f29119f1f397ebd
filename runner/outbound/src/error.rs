//! Why a request was not answered, in two voices: one for the filter that asked,
//! which must not learn the addresses behind names, and one for the operator's
//! log. Must not know what either does about it.

use std::fmt;

/// One sentence for the filter and one for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    guest: String,
    operator: String,
}

impl Reason {
    /// The same sentence for both.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let guest = text.into();
        Reason {
            operator: guest.clone(),
            guest,
        }
    }

    /// The operator's sentence goes on with what the filter must not learn.
    pub(crate) fn with_secret(guest: impl Into<String>, secret: impl fmt::Display) -> Self {
        let guest = guest.into();
        Reason {
            operator: format!("{guest} ({secret})"),
            guest,
        }
    }

    /// For the filter: names neither an address that a name stands for nor a
    /// network.
    #[must_use]
    pub fn for_guest(&self) -> &str {
        &self.guest
    }

    /// For the log: with addresses and networks.
    #[must_use]
    pub fn for_operator(&self) -> &str {
        &self.operator
    }
}

/// Shows what is for the filter, so that a careless use leaks nothing.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.guest)
    }
}

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No rule allows it, or the host lies where no rule allows. Nothing was
    /// sent.
    #[error("{0}")]
    Denied(Reason),
    /// The URL, the method or a header is none, or not the filter's to set.
    /// Nothing was sent.
    #[error("{0}")]
    Invalid(Reason),
    /// A body or the head of the answer is larger than allowed, or too many
    /// requests are under way.
    #[error("{0}")]
    Limit(Reason),
    /// The host's name has no address, or no name server said so.
    #[error("{0}")]
    Unresolvable(Reason),
    /// No connection: refused, no route, or a certificate that is not good.
    #[error("{0}")]
    Unreachable(Reason),
    /// It took longer than allowed, at whichever step.
    #[error("{0}")]
    Timeout(Reason),
    /// What came back is not an HTTP response, or ended before it was whole.
    #[error("{0}")]
    Protocol(Reason),
}

impl SendError {
    /// What to say about it, and to whom.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        match self {
            SendError::Denied(reason)
            | SendError::Invalid(reason)
            | SendError::Limit(reason)
            | SendError::Unresolvable(reason)
            | SendError::Unreachable(reason)
            | SendError::Timeout(reason)
            | SendError::Protocol(reason) => reason,
        }
    }

    /// The kind of failure in one word, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            SendError::Denied(_) => "denied",
            SendError::Invalid(_) => "invalid",
            SendError::Limit(_) => "limit",
            SendError::Unresolvable(_) => "unresolvable",
            SendError::Unreachable(_) => "unreachable",
            SendError::Timeout(_) => "timeout",
            SendError::Protocol(_) => "protocol",
        }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        SendError::Invalid(Reason::new(text))
    }

    pub(crate) fn limit(text: impl Into<String>) -> Self {
        SendError::Limit(Reason::new(text))
    }

    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        SendError::Protocol(Reason::new(text))
    }
}
