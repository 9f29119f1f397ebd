//! One connection to a checked address: TCP, TLS where the scheme says so, and
//! HTTP/1.1 on it. Must not know names beyond the one that a certificate must
//! prove, nor rules.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::answer;
use crate::connecting;
use crate::error::{Reason, SendError};
use crate::target::{Scheme, Target};
use crate::tasks::OwnedTask;

/// Least bytes of the buffer for reading that hyper takes.
const LEAST_BUFFER: usize = 8 * 1024;

/// What is sent on a connection.
pub(crate) type Outgoing = hyper::Request<Full<Bytes>>;

/// An open connection, ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Whom it is to: the address that was checked.
    pub(crate) address: SocketAddr,
    /// Since when.
    pub(crate) opened: Instant,
    _task: OwnedTask<()>,
}

/// Why a request that was given to a connection has no answer.
pub(crate) enum Unanswered {
    /// Nothing of it was sent: the connection had ended.
    Unsent(hyper::Error),
    /// It may have been acted upon, and nothing came back.
    Sent(hyper::Error),
    /// What came back is not what the filter may have.
    Answered(SendError),
}

impl From<SendError> for Unanswered {
    fn from(error: SendError) -> Self {
        Unanswered::Answered(error)
    }
}

impl Unanswered {
    /// Whether to send the same request once more is to send it once (RFC 9110,
    /// 9.2.2), where a kept connection may just have been closed.
    pub(crate) fn may_be_repeated(&self, method: &Method) -> bool {
        match self {
            Unanswered::Unsent(_) => true,
            // What cannot be read is an answer.
            Unanswered::Sent(error) => !error.is_parse() && method.is_idempotent(),
            Unanswered::Answered(_) => false,
        }
    }

    pub(crate) fn into_error(self) -> SendError {
        match self {
            Unanswered::Unsent(error) | Unanswered::Sent(error) => answer::broken(&error),
            Unanswered::Answered(error) => error,
        }
    }
}

impl Connection {
    /// Connects to the first of these addresses that answers, on the current
    /// runtime.
    pub(crate) async fn open(
        target: &Target,
        addresses: &[SocketAddr],
        tls: &TlsConnector,
        response_headers: usize,
    ) -> Result<Self, SendError> {
        let (stream, address) = connecting::first(addresses)
            .await
            .map_err(|failure| unreachable(target, failure.address, &failure.error))?;
        match target.scheme() {
            Scheme::Http => Self::speak(stream, address, response_headers).await,
            Scheme::Https => {
                let name = server_name(target)?;
                let stream = tls
                    .connect(name, stream)
                    .await
                    .map_err(|error| unreachable(target, Some(address), &error))?;
                Self::speak(stream, address, response_headers).await
            }
        }
    }

    async fn speak(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        response_headers: usize,
    ) -> Result<Self, SendError> {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(response_headers)
            .max_buf_size(response_headers.max(LEAST_BUFFER))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| SendError::protocol(format!("no HTTP connection: {error}")))?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error.
            let _ = connection.await;
        });
        Ok(Connection {
            sender,
            address,
            opened: Instant::now(),
            _task: OwnedTask::new(task),
        })
    }

    /// Whether it can take a request, as soon as the last one is wholly over.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: Outgoing,
    ) -> Result<hyper::Response<Incoming>, Unanswered> {
        let answer = self.sender.try_send_request(request).await;
        answer.map_err(|mut failed| match failed.take_message() {
            Some(_) => Unanswered::Unsent(failed.into_error()),
            None => Unanswered::Sent(failed.into_error()),
        })
    }
}

/// The name that the server's certificate must be for.
fn server_name(target: &Target) -> Result<ServerName<'static>, SendError> {
    if let Some(address) = target.address() {
        return Ok(ServerName::from(address));
    }
    ServerName::try_from(target.host().to_owned())
        .map_err(|_| SendError::invalid("the URL's host is no name that a certificate can have"))
}

fn unreachable(target: &Target, address: Option<SocketAddr>, error: &std::io::Error) -> SendError {
    let text = format!(
        "cannot connect to {}:{}: {error}",
        target.host(),
        target.port()
    );
    SendError::Unreachable(match address {
        Some(address) => Reason::with_secret(text, address),
        None => Reason::new(text),
    })
}
