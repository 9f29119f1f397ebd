//! One connection to a runner, from the gateway's end.
//!
//! Must not know what the frames are about.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use protocol::frame;
use protocol::gateway_side::{Reply, decode_reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// As long the gateway waits for each read and write (`ext-plugin/init.lua`).
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    #[error("nobody listens: {0}")]
    Refused(ErrorKind),
    #[error("the connection ended: {0}")]
    Closed(String),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("no message of a runner: {0}")]
    Nonsense(String),
}

pub(crate) struct Connection {
    stream: UnixStream,
    inbox: BytesMut,
}

impl Connection {
    pub(crate) async fn open(socket: &Path) -> Result<Self, Lost> {
        let stream = UnixStream::connect(socket).await;
        Ok(Connection {
            stream: stream.map_err(|error| Lost::Refused(error.kind()))?,
            inbox: BytesMut::new(),
        })
    }

    /// Sends bytes, be they a frame or less.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        match tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await {
            Ok(sent) => sent.map_err(|error| Lost::Closed(error.to_string())),
            Err(_) => Err(Lost::Silent),
        }
    }

    /// Waits for the next message.
    pub(crate) async fn receive(&mut self) -> Result<Reply, Lost> {
        let nonsense = |text: String| Lost::Nonsense(text);
        loop {
            match frame::decode(&mut self.inbox) {
                Ok(Some(frame)) => {
                    return decode_reply(frame).map_err(|error| nonsense(error.to_string()));
                }
                Ok(None) => {}
                Err(error) => return Err(nonsense(error.to_string())),
            }
            let read = self.stream.read_buf(&mut self.inbox);
            match tokio::time::timeout(PATIENCE, read).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return Err(Lost::Closed("by the runner".into())),
                Ok(Err(error)) => return Err(Lost::Closed(error.to_string())),
                Err(_) => return Err(Lost::Silent),
            }
        }
    }

    /// Whether it can be kept for another call: the runner has neither closed
    /// it nor sent more than it owes.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let read = self.stream.try_read(&mut byte);
        let nothing = matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock);
        nothing && self.inbox.is_empty()
    }
}
