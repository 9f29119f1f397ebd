//! The port through which a filter's requests reach other servers. Whoever
//! implements it knows connections, names, certificates, and which addresses
//! the operator allows; this room knows only that there are answers.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// A request of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundRequest {
    /// An HTTP token (RFC 9110 section 5.6.2).
    pub method: String,
    /// As the filter wrote it: an absolute URL, unless the filter is wrong.
    pub url: String,
    /// In order. Names are tokens, values free of CR, LF and NUL. Neither `host`
    /// nor what says where the message ends is among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// `None` for a request without one.
    pub body: Option<Bytes>,
    /// What is left to wait; whoever asked gives up after it.
    pub time: Duration,
    /// Bytes of a response's body that are accepted; more is
    /// [`OutboundError::Limit`].
    pub response_body: usize,
}

/// A server's whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The status code.
    pub status: u16,
    /// In the order received.
    pub headers: Vec<(String, Vec<u8>)>,
    /// All of it.
    pub body: Bytes,
}

/// Why there is no response. Each text is one sentence for the filter's author
/// and the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The operator did not allow this target; nothing was sent.
    #[error("{0}")]
    Denied(String),
    /// It is no request that could be sent.
    #[error("{0}")]
    Invalid(String),
    /// The response is larger than it may be, or too many requests are under
    /// way.
    #[error("{0}")]
    Limit(String),
    /// The host's name is not known.
    #[error("{0}")]
    Unresolvable(String),
    /// No connection, or it was lost.
    #[error("{0}")]
    Unreachable(String),
    /// No whole response in time.
    #[error("{0}")]
    Timeout(String),
    /// What came is no HTTP, or the certificate is not trusted.
    #[error("{0}")]
    Protocol(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What a request comes to, some time.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<OutboundResponse, OutboundError>> + Send + 'a>>;

/// Sends requests of one plugin.
pub trait Outbound: Send + Sync {
    /// Sends a request and waits for the whole response, without following
    /// redirects. The caller limits the time, and may drop the future at any
    /// moment.
    ///
    /// # Errors
    /// Any [`OutboundError`].
    fn send(&self, request: OutboundRequest) -> Sending<'_>;
}
