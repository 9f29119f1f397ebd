//! One connection of the gateway: bytes in, frames out, and the question that
//! a filter may ask in the middle of a call. Knows frames, not what they mean.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use protocol::{Frame, FrameBuilder, FrameError, RpcType, extra_info, frame};
use sandbox::{Answer, Gateway, GatewayError, Question};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// Memory an idle connection keeps for its next frame. A larger frame's memory
/// is given back when its call is over.
const KEPT: usize = 64 * 1024;

/// One connection. A call in flight shares it with the filter it runs, which
/// may use it to ask; nobody else reads or writes meanwhile.
#[derive(Debug)]
pub struct GatewayLink {
    stream: UnixStream,
    inbox: Mutex<BytesMut>,
    /// Set when the two sides may have lost step: from then on nothing that is
    /// read or written can be trusted.
    broken: AtomicBool,
}

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The gateway closed the connection inside a frame.
    #[error("the connection ended inside a frame, {missing} bytes short")]
    Torn {
        /// How many bytes were still to come.
        missing: usize,
    },
    /// What came is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] std::io::Error),
}

impl GatewayLink {
    /// Takes over a connection that was just accepted.
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        GatewayLink {
            stream,
            inbox: Mutex::new(BytesMut::new()),
            broken: AtomicBool::new(false),
        }
    }

    /// Waits for the next frame; `None` when the gateway closed the connection
    /// between two frames. There is no time limit: the gateway keeps idle
    /// connections for 180 s and opens some it does not use at once.
    ///
    /// # Errors
    /// [`ReadError`]; the connection is of no further use.
    pub async fn read_frame(&self) -> Result<Option<Frame>, ReadError> {
        let mut inbox = self.inbox.lock().await;
        loop {
            if let Some(frame) = frame::decode(&mut inbox)? {
                return Ok(Some(frame));
            }
            if inbox.is_empty() && inbox.capacity() > KEPT {
                *inbox = BytesMut::new();
            }
            let room = frame::next_read(&inbox);
            inbox.reserve(room);
            if self.read_some(&mut inbox).await? == 0 {
                return match inbox.is_empty() {
                    true => Ok(None),
                    false => Err(ReadError::Torn {
                        missing: frame::missing(&inbox),
                    }),
                };
            }
        }
    }

    /// Writes a whole frame.
    ///
    /// # Errors
    /// The socket's; the gateway is gone.
    pub async fn write(&self, mut frame: &[u8]) -> std::io::Result<()> {
        while !frame.is_empty() {
            match self.stream.try_write(frame) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => frame = &frame[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a question failed, so that the connection has to be closed.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    async fn read_some(&self, inbox: &mut BytesMut) -> std::io::Result<usize> {
        loop {
            match self.stream.try_read_buf(inbox) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.readable().await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn exchange(&self, question: Question<'_>) -> Result<Answer, GatewayError> {
        let mut builder = FrameBuilder::new();
        let question = match question {
            Question::Variable(name) => extra_info::Question::Var(name),
            Question::RequestBody => extra_info::Question::ReqBody,
            Question::ResponseBody => extra_info::Question::RespBody,
        };
        let bytes = extra_info::encode_question(&mut builder, question)
            .map_err(|error| GatewayError::WrongAnswer(error.to_string()))?;
        self.write(bytes).await.map_err(|_| GatewayError::Gone)?;
        let frame = match self.read_frame().await {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(ReadError::Torn { .. } | ReadError::Io(_)) => {
                return Err(GatewayError::Gone);
            }
            Err(ReadError::Frame(error)) => {
                return Err(GatewayError::WrongAnswer(error.to_string()));
            }
        };
        if frame.known_type() != Some(RpcType::ExtraInfo) {
            let text = format!("a frame of type {} instead of type 3", frame.rpc_type);
            return Err(GatewayError::WrongAnswer(text));
        }
        extra_info::decode_answer(frame.payload)
            .map_err(|error| GatewayError::WrongAnswer(error.to_string()))
    }
}

impl Gateway for GatewayLink {
    fn ask<'a>(
        &'a self,
        question: Question<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, GatewayError>> + Send + 'a>> {
        Box::pin(async move {
            // Stays set where the exchange fails, and where the call is given
            // up in the middle of it and this future is dropped.
            self.broken.store(true, Ordering::Relaxed);
            let answer = self.exchange(question).await?;
            self.broken.store(false, Ordering::Relaxed);
            Ok(answer)
        })
    }
}
