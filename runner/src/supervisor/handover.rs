//! The way between the supervisor and the process of a tenant, which is that
//! process's standard input: first the listening sockets go over it
//! (`SCM_RIGHTS`, unix(7)), then questions one way and reports the other. Its end
//! is the end of either side.
//!
//! The process of a tenant is not trusted: what it reports is bounded, and read
//! with a limit of time.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sockets of one tenant; the kernel passes on 253 at once (`SCM_MAX_FD`).
pub const MOST_SOCKETS: usize = 64;

/// Bytes of a report.
const LARGEST_REPORT: u32 = 8 << 20;

/// How long a report may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the supervisor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The figures for Prometheus.
    Metrics,
    /// Whether everything can be called.
    Readiness,
}

impl Topic {
    fn byte(self) -> u8 {
        match self {
            Topic::Metrics => b'm',
            Topic::Readiness => b'r',
        }
    }

    fn of(byte: u8) -> io::Result<Self> {
        match byte {
            b'm' => Ok(Topic::Metrics),
            b'r' => Ok(Topic::Readiness),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Hands sockets over, in order.
///
/// # Errors
/// The system's.
pub fn send_sockets(to: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if sockets.len() > MOST_SOCKETS || !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
        let text = format!("a tenant can have {MOST_SOCKETS} sockets");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let count = [u8::try_from(sockets.len()).unwrap_or(u8::MAX)];
    sendmsg(
        to,
        &[IoSlice::new(&count)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Takes the sockets that were handed over.
///
/// # Errors
/// The system's, and where it is no supervisor that speaks.
pub fn receive_sockets(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut count = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        from,
        &mut [IoSliceMut::new(&mut count)],
        &mut ancillary,
        flags,
    )?;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    match sockets.len() == usize::from(count[0]) && !sockets.is_empty() {
        true => Ok(sockets),
        false => Err(io::Error::other("no sockets were handed over")),
    }
}

/// Sends a text.
///
/// # Errors
/// Where it is not taken in time.
pub fn send_text(mut to: &UnixStream, text: &str) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.set_write_timeout(Some(PATIENCE))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(text.as_bytes())
}

/// Takes a text.
///
/// # Errors
/// Where it does not come, or is none.
pub fn receive_text(mut from: &UnixStream) -> io::Result<String> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LARGEST_REPORT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// This process's end of the way.
///
/// # Errors
/// Where standard input is no socket.
pub fn own_end() -> io::Result<UnixStream> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::net::sockopt::socket_type(&stdin)?;
    Ok(UnixStream::from(stdin))
}

/// Reports on what is asked, until the supervisor is gone.
pub fn report(mut way: UnixStream, report: impl Fn(Topic) -> Result<String, String>) {
    let mut question = [0; 2];
    while way.read_exact(&mut question).is_ok() {
        let [topic, number] = question;
        let Ok(topic) = Topic::of(topic) else { return };
        let (good, text) = match report(topic) {
            Ok(text) => (1, text),
            Err(text) => (0, text),
        };
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut answer = vec![number, good];
        answer.extend(length.to_le_bytes());
        answer.extend(text.as_bytes());
        if way.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Says why this process ends, which nobody has asked.
pub fn say_why(mut way: &UnixStream, reason: &str) {
    let reason = reason.as_bytes();
    let reason = &reason[..reason.len().min(LONGEST_REASON)];
    let mut words = vec![UNASKED, 0];
    words.extend((reason.len() as u32).to_le_bytes());
    words.extend(reason);
    // A supervisor that is gone needs to hear nothing.
    let _ = way.write_all(&words);
}

/// The number of no question.
const UNASKED: u8 = 0;

/// Bytes of a reason.
const LONGEST_REASON: usize = 4 << 10;

/// The supervisor's end of the way to one process.
pub struct Questions {
    way: UnixStream,
    number: u8,
    /// What has come and is no whole report yet.
    inbox: Vec<u8>,
    /// Why it ends, if it said so.
    last_words: Option<String>,
}

impl Questions {
    /// Over this way.
    #[must_use]
    pub fn new(way: UnixStream) -> Self {
        Questions {
            way,
            number: UNASKED,
            inbox: Vec::new(),
            last_words: None,
        }
    }

    /// Asks, and waits for the report.
    ///
    /// # Errors
    /// Where none comes in time, or something else does.
    pub fn ask(&mut self, topic: Topic) -> io::Result<Result<String, String>> {
        let end = Instant::now() + PATIENCE;
        self.number = self.number.checked_add(1).unwrap_or(UNASKED + 1);
        self.way.set_write_timeout(Some(PATIENCE))?;
        self.way.write_all(&[topic.byte(), self.number])?;
        loop {
            let (number, good, text) = self.report(end)?;
            // One that came too late for its question is still to be read.
            if number == self.number {
                return Ok(if good { Ok(text) } else { Err(text) });
            }
        }
    }

    /// Why the process ended, if it said so. Waits for nothing.
    pub fn last_words(&mut self) -> Option<String> {
        let now = Instant::now() + PATIENCE;
        if self.last_words.is_none() && self.way.set_nonblocking(true).is_ok() {
            // What is there is read, and not more.
            while self.report(now).is_ok() {}
            self.way.set_nonblocking(false).ok()?;
        }
        self.last_words.clone()
    }

    /// The next one: its number, whether it is good, its text. What of it came in
    /// vain this time is there the next time.
    fn report(&mut self, end: Instant) -> io::Result<(u8, bool, String)> {
        self.fill(HEAD, end)?;
        let mut head = [0; HEAD];
        head.copy_from_slice(&self.inbox[..HEAD]);
        let [number, good, length @ ..] = head;
        let length = u32::from_le_bytes(length);
        if length > LARGEST_REPORT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let whole = HEAD + length as usize;
        self.fill(whole, end)?;
        let text = String::from_utf8_lossy(&self.inbox[HEAD..whole]).into_owned();
        self.inbox.drain(..whole);
        // A long one is not kept room for.
        self.inbox.shrink_to_fit();
        if number == UNASKED {
            self.last_words = Some(text.chars().take(LONGEST_REASON).collect());
        }
        Ok((number, good == 1, text))
    }

    /// Reads until so many bytes are there.
    fn fill(&mut self, bytes: usize, end: Instant) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        while self.inbox.len() < bytes {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.way.set_read_timeout(Some(left))?;
            match self.way.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.inbox.extend_from_slice(&chunk[..read]),
            }
        }
        Ok(())
    }
}

/// Bytes before the text of a report.
const HEAD: usize = 6;

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn sockets_should_arrive_in_order_and_work() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let listeners = [0, 1].map(|at| UnixListener::bind(&paths[at]).expect("a socket"));
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        send_sockets(&ours, &[listeners[0].as_fd(), listeners[1].as_fd()]).expect("sent");
        let received = receive_sockets(&theirs).expect("received");
        drop(listeners);
        for (path, received) in paths.iter().zip(received) {
            let listener = UnixListener::from(received);
            let address = listener.local_addr().expect("an address");
            assert_eq!(address.as_pathname(), Some(&**path));
            UnixStream::connect(path).expect("connected");
            listener.accept().expect("accepted");
        }
    }

    #[test]
    fn a_report_should_answer_its_own_question() {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let mut late = theirs.try_clone().expect("a socket");
        // An answer to a question that was given up.
        late.write_all(&[200, 1, 2, 0, 0, 0, b'x', b'y'])
            .expect("written");
        let reporter = std::thread::spawn(move || {
            report(theirs, |topic| match topic {
                Topic::Metrics => Ok("figures".into()),
                Topic::Readiness => Err("not yet".into()),
            });
        });
        let mut questions = Questions::new(ours);
        let mut ask = |topic| questions.ask(topic).expect("a report");
        assert_eq!(ask(Topic::Metrics), Ok("figures".into()));
        assert_eq!(ask(Topic::Readiness), Err("not yet".into()));
        drop(questions);
        drop(late);
        reporter.join().expect("it ended");
    }

    #[test]
    fn last_words_should_be_heard_whenever_they_come() {
        for asked in [false, true] {
            let (ours, theirs) = UnixStream::pair().expect("sockets");
            let mut questions = Questions::new(ours);
            assert_eq!(questions.last_words(), None);
            say_why(&theirs, "no folder");
            drop(theirs);
            if asked {
                assert!(questions.ask(Topic::Metrics).is_err());
            }
            assert_eq!(questions.last_words().as_deref(), Some("no folder"));
        }
    }

    /// One that comes in pieces, the last of them too late.
    #[test]
    fn a_report_that_was_cut_should_not_be_taken_for_others() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        let mut questions = Questions::new(ours);
        theirs
            .write_all(&[1, 1, 4, 0, 0, 0, b'a', b'b'])
            .expect("written");
        assert!(questions.ask(Topic::Metrics).is_err(), "it is not whole");
        theirs
            .write_all(&[b'c', b'd', 2, 1, 1, 0, 0, 0, b'x'])
            .expect("written");
        assert_eq!(
            questions.ask(Topic::Metrics).expect("a report"),
            Ok("x".into())
        );
    }

    #[test]
    fn a_process_that_reports_nonsense_should_be_an_error() {
        for nonsense in [&[1, 1, 255, 255, 255, 255][..], &[1, 1, 9, 0, 0, 0, 1]] {
            let (ours, mut theirs) = UnixStream::pair().expect("sockets");
            theirs.write_all(nonsense).expect("written");
            theirs.shutdown(std::net::Shutdown::Write).expect("shut");
            assert!(Questions::new(ours).ask(Topic::Metrics).is_err());
        }
    }
}
