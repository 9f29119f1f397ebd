//! One connection to a runner, from the gateway's end, at the least cost: one
//! write and one read for a call, no allocation, no copy.
//!
//! Must not know what frames mean.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;

use protocol::frame::{self, HEADER_LEN};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;

use super::failure::Failure;

/// Most replies are far smaller; more room is made for those that are not.
const INBOX: usize = 16 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    /// Bytes in the inbox.
    filled: usize,
    /// Those of them that belong to the frame that was handed out last.
    taken: usize,
}

/// A frame in the inbox.
#[derive(Debug)]
pub(super) struct Received<'a> {
    /// The header's first byte.
    pub(super) rpc_type: u8,
    /// What is behind the header.
    pub(super) payload: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(super) async fn open(socket: &Path) -> std::io::Result<Self> {
        Ok(Self {
            stream: UnixStream::connect(socket).await?,
            inbox: vec![0; INBOX],
            filled: 0,
            taken: 0,
        })
    }

    /// The process that listens at the other end, where that can be known.
    pub(super) fn peer(&self) -> Option<u32> {
        let pid = self.stream.peer_cred().ok()?.pid()?;
        u32::try_from(pid).ok().filter(|pid| *pid != 0)
    }

    /// Sends a whole frame.
    pub(super) async fn send(&self, mut frame: &[u8]) -> Result<(), Failure> {
        while !frame.is_empty() {
            match self.stream.try_write(frame) {
                Ok(written) => frame = &frame[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the next frame.
    pub(super) async fn receive(&mut self) -> Result<Received<'_>, Failure> {
        self.drop_taken();
        loop {
            let missing = frame::missing(&self.inbox[..self.filled]);
            if missing == 0 {
                return self.take();
            }
            if self.inbox.len() < self.filled + missing {
                let room = frame::next_read(&self.inbox[..self.filled]);
                self.inbox.resize(self.filled + room, 0);
            }
            match self.read_some().await? {
                0 if self.filled == 0 => return Err(Failure::Closed),
                0 => return Err(Failure::Torn),
                read => self.filled += read,
            }
        }
    }

    /// Whether more has arrived than was handed out.
    pub(super) fn has_surplus(&self) -> bool {
        self.filled > self.taken
    }

    fn drop_taken(&mut self) {
        self.inbox.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
    }

    fn take(&mut self) -> Result<Received<'_>, Failure> {
        let header = self.inbox.first_chunk::<HEADER_LEN>();
        let [rpc_type, high, middle, low] = *header.ok_or(Failure::Malformed)?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length == 0 {
            return Err(Failure::Malformed);
        }
        self.taken = HEADER_LEN + length;
        Ok(Received {
            rpc_type,
            payload: &self.inbox[HEADER_LEN..self.taken],
        })
    }

    /// Not `try_read`: this one knows that a short read has emptied the socket,
    /// and saves the read that would say so.
    async fn read_some(&mut self) -> std::io::Result<usize> {
        poll_fn(|context| {
            let mut room = ReadBuf::new(&mut self.inbox[self.filled..]);
            Pin::new(&mut self.stream)
                .poll_read(context, &mut room)
                .map_ok(|()| room.filled().len())
        })
        .await
    }
}
