//! A client that sends whatever bytes it is given: for frames as they were
//! captured, and for what no gateway would send. Blocking, with a time limit.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use protocol::frame::{self, Frame};
use protocol::gateway_side::{HttpReqCall, PrepareConf, Reply, decode_reply};
use protocol::{Entry, FrameBuilder};

/// How long a read may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct WireClient {
    stream: UnixStream,
    inbox: BytesMut,
}

/// What a runner did instead of sending a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReply {
    /// It closed the connection.
    Closed,
    /// It sent something a runner may not send.
    Nonsense(String),
    /// It said nothing in time, or the socket failed.
    Failed(String),
}

impl WireClient {
    /// Connects.
    ///
    /// # Errors
    /// The socket's.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            inbox: BytesMut::new(),
        })
    }

    /// Sends bytes, whatever they are.
    ///
    /// # Errors
    /// The socket's.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that no more will be sent; the other direction stays open.
    ///
    /// # Errors
    /// The socket's.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Waits for one whole frame and reads it as a runner's.
    ///
    /// # Errors
    /// [`NoReply`].
    pub fn receive(&mut self) -> Result<Reply, NoReply> {
        let frame = self.receive_frame()?;
        decode_reply(frame).map_err(|error| NoReply::Nonsense(error.to_string()))
    }

    /// Sends a frame and waits for the reply.
    ///
    /// # Errors
    /// [`NoReply`]; a frame that cannot be sent counts as closed.
    pub fn exchange(&mut self, frame: &[u8]) -> Result<Reply, NoReply> {
        self.send(frame).map_err(|_| NoReply::Closed)?;
        self.receive()
    }

    /// Prepares a configuration and returns its token.
    ///
    /// # Errors
    /// [`NoReply`], also for a reply without a token.
    pub fn prepare(&mut self, plugins: &[(&str, &str)]) -> Result<u32, NoReply> {
        let conf: Vec<Entry<'_>> = plugins
            .iter()
            .map(|(name, value)| Entry::new(name, value))
            .collect();
        let mut builder = FrameBuilder::new();
        let request = PrepareConf {
            key: Some(b"route#1#test#1"),
            conf: &conf,
        };
        let frame = request
            .encode(&mut builder)
            .map_err(|error| NoReply::Failed(error.to_string()))?;
        match self.exchange(frame)? {
            Reply::PrepareConf { conf_token } => Ok(conf_token),
            other => Err(NoReply::Nonsense(format!("{other:?} instead of a token"))),
        }
    }

    /// Calls with the simplest request there is.
    ///
    /// # Errors
    /// [`NoReply`].
    pub fn call(&mut self, conf_token: u32) -> Result<Reply, NoReply> {
        self.exchange(&Self::simplest_call(conf_token))
    }

    /// The frame of such a call.
    ///
    /// # Panics
    /// Never: forty bytes fit into a frame.
    #[must_use]
    pub fn simplest_call(conf_token: u32) -> Vec<u8> {
        let call = HttpReqCall {
            path: b"/",
            conf_token,
            ..HttpReqCall::default()
        };
        let mut builder = FrameBuilder::new();
        call.encode(&mut builder).expect("a frame").to_vec()
    }

    fn receive_frame(&mut self) -> Result<Frame, NoReply> {
        loop {
            match frame::decode(&mut self.inbox) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(NoReply::Nonsense(error.to_string())),
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(NoReply::Closed),
                Ok(length) => self.inbox.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(NoReply::Closed);
                }
                Err(error) => return Err(NoReply::Failed(error.to_string())),
            }
        }
    }
}
