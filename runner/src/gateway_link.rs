//! One connection of the gateway: bytes in, frames out, and the question that
//! a filter may ask in the middle of a call. Knows frames, not what they mean.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::{Frame, FrameBuilder, FrameError, RpcType, extra_info, frame};
use sandbox::{Answer, Gateway, GatewayError, Question};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;

/// Memory an idle connection keeps for its next frame. A larger frame's memory
/// is given back when its call is over.
const KEPT: usize = 64 * 1024;

/// Questions that may be unanswered at the same time.
const OUTSTANDING: usize = 32;

/// One connection. A call in flight shares it with the filter it runs, which
/// may use it to ask; nobody else reads or writes meanwhile.
#[derive(Debug)]
pub struct GatewayLink {
    outgoing: OwnedWriteHalf,
    incoming: tokio::sync::Mutex<Incoming>,
    /// Bytes of the frame that was read last; its memory goes with it.
    last_frame: AtomicUsize,
    /// The rest of a frame whose sender gave up in the middle: it goes before
    /// anything else.
    rest: Mutex<Vec<u8>>,
    /// The gateway sent something else than an answer: nothing that follows can
    /// be trusted, but it may still be told.
    confused: AtomicBool,
    /// Milliseconds from `opened` to the last frame in either direction.
    last_word: AtomicU64,
    opened: Instant,
    /// Answers that are still to come: one that a call did not wait for comes
    /// before the next call.
    owed: AtomicUsize,
}

/// What the gateway sends.
#[derive(Debug)]
struct Incoming {
    stream: OwnedReadHalf,
    /// What was read and is not yet a frame.
    inbox: BytesMut,
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
        let (stream, outgoing) = stream.into_split();
        let inbox = BytesMut::new();
        GatewayLink {
            outgoing,
            incoming: tokio::sync::Mutex::new(Incoming { stream, inbox }),
            last_frame: AtomicUsize::new(0),
            rest: Mutex::default(),
            confused: AtomicBool::new(false),
            last_word: AtomicU64::new(0),
            opened: Instant::now(),
            owed: AtomicUsize::new(0),
        }
    }

    /// Waits for the next call; `None` when the gateway closed the connection
    /// between two frames. There is no time limit: the gateway keeps idle
    /// connections for 180 s and opens some it does not use at once.
    ///
    /// # Errors
    /// [`ReadError`]; the connection is of no further use.
    pub async fn read_frame(&self) -> Result<Option<Frame>, ReadError> {
        loop {
            let frame = self.next_frame().await?;
            let is_answer = frame
                .as_ref()
                .is_some_and(|frame| frame.known_type() == Some(RpcType::ExtraInfo));
            if !is_answer {
                // The gateway reads one of our frames after the other: one that
                // calls again has answered what it is going to answer.
                self.owed.store(0, Ordering::Relaxed);
            }
            if !is_answer || self.owed.load(Ordering::Relaxed) == 0 {
                return Ok(frame);
            }
            // The call that asked for it was given up meanwhile.
            self.owed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn next_frame(&self) -> Result<Option<Frame>, ReadError> {
        let mut incoming = self.incoming.lock().await;
        let Incoming { stream, inbox } = &mut *incoming;
        if inbox.is_empty() && self.last_frame.load(Ordering::Relaxed) > KEPT {
            *inbox = BytesMut::new();
        }
        loop {
            if let Some(frame) = frame::decode(inbox)? {
                self.last_frame
                    .store(frame.payload.len(), Ordering::Relaxed);
                self.note_word();
                return Ok(Some(frame));
            }
            let room = frame::next_read(inbox);
            inbox.reserve(room);
            // Unlike a try, this remembers that a short read took all there
            // was, and so saves the next one that would find nothing.
            if stream.read_buf(inbox).await? == 0 {
                return match inbox.is_empty() {
                    true => Ok(None),
                    false => Err(ReadError::Torn {
                        missing: frame::missing(inbox),
                    }),
                };
            }
        }
    }

    /// Writes a whole frame, behind what another sender left half written.
    ///
    /// # Errors
    /// The socket's; the gateway is gone.
    pub async fn write(&self, frame: &[u8]) -> std::io::Result<()> {
        self.send(frame, &|| {}).await
    }

    /// The same; calls `begun` when there is no way back.
    async fn send(&self, frame: &[u8], begun: &(dyn Fn() + Sync)) -> std::io::Result<()> {
        let left = std::mem::take(&mut *self.rest());
        Sending::new(self, &left, true).finish(&|| {}).await?;
        Sending::new(self, frame, false).finish(begun).await
    }

    fn rest(&self) -> MutexGuard<'_, Vec<u8>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the connection has to be closed after the reply.
    pub fn is_confused(&self) -> bool {
        self.confused.load(Ordering::Relaxed)
    }

    /// Done when the gateway has heard nothing and said nothing for so long.
    pub async fn silence(&self, limit: Duration) {
        loop {
            let last_word = Duration::from_millis(self.last_word.load(Ordering::Relaxed));
            let silent = self.opened.elapsed().saturating_sub(last_word);
            if silent >= limit {
                return;
            }
            tokio::time::sleep(limit - silent).await;
        }
    }

    fn note_word(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_word.store(now, Ordering::Relaxed);
    }

    /// Writes and reads at the same time: the gateway answers one question
    /// after the other, and with many of them both directions would fill up
    /// if the answers had to wait for the last question.
    async fn exchange(&self, questions: &[Question<'_>]) -> Result<Vec<Answer>, GatewayError> {
        self.drop_late_answers().await?;
        let window = Semaphore::new(OUTSTANDING);
        let writing = self.write_questions(questions, &window);
        let reading = self.read_answers(questions.len(), &window);
        let ((), answers) = tokio::try_join!(writing, reading)?;
        Ok(answers)
    }

    /// A call that went on after one of its filters was given up must not take
    /// the answer to that one's question for its own.
    async fn drop_late_answers(&self) -> Result<(), GatewayError> {
        while self.owed.load(Ordering::Relaxed) > 0 {
            // What of the question is still here goes first.
            self.write(&[]).await.map_err(|_| GatewayError::Gone)?;
            let answer = self.read_answer().await;
            answer.inspect_err(|_| self.confused.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    async fn write_questions(
        &self,
        questions: &[Question<'_>],
        window: &Semaphore,
    ) -> Result<(), GatewayError> {
        let mut builder = FrameBuilder::new();
        for question in questions {
            // Never closed.
            if let Ok(place) = window.acquire().await {
                place.forget();
            }
            let frame = extra_info::encode_question(&mut builder, on_the_wire(*question))
                .map_err(|error| GatewayError::NotAskable(error.to_string()))?;
            let begun = || {
                self.owed.fetch_add(1, Ordering::Relaxed);
            };
            let sent = self.send(frame, &begun).await;
            sent.map_err(|_| GatewayError::Gone)?;
            self.note_word();
        }
        Ok(())
    }

    async fn read_answers(
        &self,
        count: usize,
        window: &Semaphore,
    ) -> Result<Vec<Answer>, GatewayError> {
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            answers.push(self.read_answer().await.inspect_err(|_| {
                self.confused.store(true, Ordering::Relaxed);
            })?);
            window.add_permits(1);
        }
        Ok(answers)
    }

    async fn read_answer(&self) -> Result<Answer, GatewayError> {
        let wrong = |what: String| GatewayError::WrongAnswer(what);
        let frame = match self.next_frame().await {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(ReadError::Torn { .. } | ReadError::Io(_)) => {
                return Err(GatewayError::Gone);
            }
            Err(ReadError::Frame(error)) => return Err(wrong(error.to_string())),
        };
        self.owed.fetch_sub(1, Ordering::Relaxed);
        if frame.known_type() != Some(RpcType::ExtraInfo) {
            return Err(wrong(format!(
                "a frame of type {} instead of type 3",
                frame.rpc_type
            )));
        }
        extra_info::decode_answer(frame.payload).map_err(|error| wrong(error.to_string()))
    }
}

/// A frame on its way out. Given up in the middle, it leaves the rest of it with
/// the link.
struct Sending<'a> {
    link: &'a GatewayLink,
    rest: &'a [u8],
    begun: bool,
}

impl<'a> Sending<'a> {
    fn new(link: &'a GatewayLink, rest: &'a [u8], begun: bool) -> Self {
        Sending { link, rest, begun }
    }

    async fn finish(mut self, begun: &(dyn Fn() + Sync)) -> std::io::Result<()> {
        while !self.rest.is_empty() {
            match self.link.outgoing.try_write(self.rest) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    if !std::mem::replace(&mut self.begun, true) {
                        begun();
                    }
                    self.rest = &self.rest[written..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.link.outgoing.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.begun && !self.rest.is_empty() {
            *self.link.rest() = self.rest.to_vec();
        }
    }
}

fn on_the_wire(question: Question<'_>) -> extra_info::Question<'_> {
    match question {
        Question::Variable(name) => extra_info::Question::Var(name),
        Question::RequestBody => extra_info::Question::ReqBody,
        Question::ResponseBody => extra_info::Question::RespBody,
    }
}

impl Gateway for GatewayLink {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question<'a>],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>> {
        Box::pin(self.exchange(questions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn silence_should_begin_with_the_last_frame_and_not_with_the_connection() {
        let (ours, gateways) = UnixStream::pair().expect("sockets");
        let (link, gateway) = (GatewayLink::new(ours), GatewayLink::new(gateways));
        tokio::time::sleep(120 * MS).await;
        gateway.write(&[2, 0, 0, 1, 0]).await.expect("sent");
        link.read_frame().await.expect("readable").expect("a frame");
        assert!(
            tokio::time::timeout(50 * MS, link.silence(100 * MS))
                .await
                .is_err(),
            "too early"
        );
        assert!(
            tokio::time::timeout(5000 * MS, link.silence(100 * MS))
                .await
                .is_ok(),
            "in the end"
        );
    }

    #[tokio::test]
    async fn a_connection_should_not_keep_the_memory_of_a_large_frame() {
        let (ours, gateways) = UnixStream::pair().expect("sockets");
        let (link, gateway) = (GatewayLink::new(ours), GatewayLink::new(gateways));
        let large = [&[2, 0x10, 0, 0][..], &vec![0; 1 << 20]].concat();
        let (written, read) = tokio::join!(gateway.write(&large), link.read_frame());
        written.expect("written");
        drop(read.expect("readable"));
        let waiting = tokio::time::timeout(20 * MS, link.read_frame()).await;
        assert!(waiting.is_err(), "nothing more comes");
        let kept = link.incoming.lock().await.inbox.capacity();
        assert!(kept <= KEPT, "{kept} bytes are kept");
    }
}
