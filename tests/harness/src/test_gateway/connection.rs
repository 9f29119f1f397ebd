//! One connection to the runner: frames out, frames in, and a look at whether
//! it may be used again.
//!
//! Must not know what the frames mean.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use protocol::{Frame, frame};

use super::fault::Fault;

pub(super) struct Connection {
    stream: UnixStream,
    buffer: BytesMut,
}

/// Why a connection cannot be kept.
pub(super) enum Spent {
    Closed,
    Unread(usize),
}

impl Connection {
    pub(super) fn open(socket: &Path, timeout: Duration) -> Result<Self, Fault> {
        let stream = UnixStream::connect(socket).map_err(|error| Fault::Connect(error.kind()))?;
        let timeouts = stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| stream.set_write_timeout(Some(timeout)));
        timeouts.map_err(|error| Fault::from_io(&error))?;
        Ok(Self {
            stream,
            buffer: BytesMut::new(),
        })
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> Result<(), Fault> {
        self.stream
            .write_all(frame)
            .map_err(|error| Fault::from_io(&error))
    }

    /// The next frame. As in the gateway, the timeout is for each read.
    pub(super) fn receive(&mut self) -> Result<Frame, Fault> {
        loop {
            if let Some(frame) = frame::decode(&mut self.buffer)? {
                return Ok(frame);
            }
            if self.read().map_err(|error| Fault::from_io(&error))? == 0 {
                return Err(Fault::Closed);
            }
        }
    }

    /// Looks without waiting whether the runner has left the connection alone.
    pub(super) fn quiet(&mut self) -> Result<(), Spent> {
        let looked = self
            .stream
            .set_nonblocking(true)
            .and_then(|()| self.read())
            .and_then(|read| self.stream.set_nonblocking(false).map(|()| read));
        match looked {
            Ok(0) if self.buffer.is_empty() => Err(Spent::Closed),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.stream
                    .set_nonblocking(false)
                    .map_err(|_| Spent::Closed)?;
                if self.buffer.is_empty() {
                    Ok(())
                } else {
                    Err(Spent::Unread(self.buffer.len()))
                }
            }
            Ok(_) => Err(Spent::Unread(self.buffer.len())),
            Err(_) => Err(Spent::Closed),
        }
    }

    fn read(&mut self) -> std::io::Result<usize> {
        let start = self.buffer.len();
        self.buffer
            .resize(start + frame::next_read(&self.buffer), 0);
        let read = self.stream.read(&mut self.buffer[start..]);
        self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }
}
