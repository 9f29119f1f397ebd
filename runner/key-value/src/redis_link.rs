//! The connection to a Redis: one for all operations of a store, made when it is
//! needed, and made anew when it ended. Must not know what is sent.
//!
//! The crate's own `ConnectionManager` would do for most of it, but keeps a
//! connection attempt that Redis refused (while it loads its data, say) as the
//! answer to everything that comes later, and learns of a connection that ended
//! only from the operation that it loses.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use redis::{RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::OpenError;

/// After a connection failed the next one is not tried before this, so that a
/// Redis that is down costs one attempt and not one for each call.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A connection that can be used by many at once.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    /// What reads and writes for it.
    driver: JoinHandle<()>,
}

impl Link {
    /// A handle to send with. The link must be kept until the answer is there.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

/// Waits for no answer that nobody else waits for.
impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// This attempt failed.
    #[error("{0}")]
    Failed(#[from] RedisError),
    /// One failed a moment ago.
    #[error("the last attempt to connect failed a moment ago")]
    TooSoon,
}

/// See the head of this file.
pub(crate) struct Redis {
    address: ConnectionAddr,
    login: RedisConnectionInfo,
    state: Mutex<State>,
}

enum State {
    Down { not_before: Instant },
    Up(Arc<Link>),
}

impl Redis {
    pub(crate) fn at(address: &str) -> Result<Self, OpenError> {
        let parsed = address.into_connection_info();
        let info: ConnectionInfo = parsed.map_err(|error| OpenError::Address(error.to_string()))?;
        if !matches!(
            info.addr(),
            ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_)
        ) {
            return Err(OpenError::Address(
                "asks for TLS, which is not built in".into(),
            ));
        }
        Ok(Redis {
            address: info.addr().clone(),
            login: info.redis_settings().clone(),
            state: Mutex::new(State::Down {
                not_before: Instant::now(),
            }),
        })
    }

    /// Where it is, without the password.
    pub(crate) fn address(&self) -> &ConnectionAddr {
        &self.address
    }

    /// A connection of which nobody knows that it ended. Whoever comes while one
    /// is being made waits for it.
    pub(crate) async fn link(&self) -> Result<Arc<Link>, LinkError> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Up(link) if !link.driver.is_finished() => return Ok(link.clone()),
            State::Down { not_before } if Instant::now() < *not_before => {
                return Err(LinkError::TooSoon);
            }
            _ => {}
        }
        // For the case that the attempt is given up: it takes too long.
        *state = down();
        let link = match self.connect().await {
            Ok(link) => Arc::new(link),
            Err(error) => {
                *state = down();
                return Err(error.into());
            }
        };
        *state = State::Up(link.clone());
        Ok(link)
    }

    /// Has the next operation make a new connection, unless somebody did. Waits
    /// for nobody: whoever has the state just now may be doing that.
    pub(crate) fn give_up(&self, link: &Arc<Link>) {
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        if matches!(&*state, State::Up(current) if Arc::ptr_eq(current, link)) {
            *state = State::Down {
                not_before: Instant::now(),
            };
        }
    }

    async fn connect(&self) -> Result<Link, RedisError> {
        match &self.address {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // A command is one write, and its answer is waited for.
                stream.set_nodelay(true)?;
                self.log_in(stream).await
            }
            ConnectionAddr::Unix(path) => self.log_in(UnixStream::connect(path).await?).await,
            _ => Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into()),
        }
    }

    async fn log_in<S>(&self, stream: S) -> Result<Link, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Whoever asks has a limit of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = MultiplexedConnection::new_with_config(&self.login, stream, config);
        let (connection, driver) = connection.await?;
        Ok(Link {
            connection,
            driver: tokio::spawn(driver),
        })
    }
}

fn down() -> State {
    State::Down {
        not_before: Instant::now() + RETRY_INTERVAL,
    }
}
