//! Keeps one compiler: starts it when there is something to compile, passes the
//! request and the answer on, and ends it when it takes too long. One thread
//! each, because a compiler ends with the thread that started it.
//!
//! Must not know whose components these are.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::message::{self, Failure, Part};
use super::{CompileLimits, THIS_PROGRAM};

/// What the standard library says before it ends a process that got no memory.
const NO_MEMORY: &str = "memory allocation of";

/// Bytes of a compiler's last words.
const LAST_WORDS: u64 = 4096;

/// A keeper and its compiler, if that is there.
pub(super) struct Keeper {
    limits: CompileLimits,
    started: Arc<Started>,
    compiler: Option<RunningCompiler>,
}

/// The end of an answer.
pub(super) struct LastWord {
    to: UnixStream,
    last: Part,
}

impl LastWord {
    pub(super) fn say(self) {
        // The compiler's time may be over, but not ours for this.
        let mut to = InTime {
            socket: self.to,
            deadline: Instant::now() + Duration::from_secs(1),
        };
        // Whoever asked may be gone.
        let _ = message::write_part(&mut to, &self.last);
    }
}

/// How it went.
enum Relayed {
    /// All of the answer is with whoever asked, but for this.
    Answered(Part),
    /// Whoever asked is gone, and the compiler may be in the middle of it.
    NobodyListens,
    /// The compiler is to blame.
    Failed(io::Error),
}

impl Keeper {
    /// The limits are the tenant's, and the same for all its requests.
    pub(super) fn new(limits: CompileLimits, started: Arc<Started>) -> Self {
        Keeper {
            limits,
            started,
            compiler: None,
        }
    }

    /// Has a request answered, whatever becomes of the compiler, up to the last
    /// word: whoever hears that may ask for more at once, and is to find this
    /// compiler free.
    pub(super) fn serve(&mut self, request: UnixStream) -> Option<LastWord> {
        let deadline = Instant::now() + self.limits.time;
        let mut request = InTime {
            socket: request,
            deadline,
        };
        // While it was idle, the kernel may have ended it for want of memory.
        let known = self.compiler.take().filter(RunningCompiler::is_there);
        let mut compiler = match known {
            Some(compiler) => compiler,
            None => match RunningCompiler::start(self.limits, &self.started) {
                Ok(compiler) => compiler,
                Err(error) => {
                    let text = format!("no compiler can be started: {error}");
                    return Some(request.ended_by(Part::Failed(Failure::NotNow, text)));
                }
            },
        };
        match compiler.relay(&mut request, deadline) {
            Relayed::Answered(last) => {
                self.compiler = Some(compiler);
                Some(request.ended_by(last))
            }
            Relayed::NobodyListens => None,
            Relayed::Failed(error) => {
                let (failure, text) = compiler.verdict(&error);
                Some(request.ended_by(Part::Failed(failure, text)))
            }
        }
    }
}

/// A compiler. Killed when dropped, and no zombie remains.
struct RunningCompiler {
    socket: UnixStream,
    last_words: Option<ChildStderr>,
    id: u32,
    started: Arc<Started>,
}

impl RunningCompiler {
    fn start(limits: CompileLimits, started: &Arc<Started>) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut child = Command::new(THIS_PROGRAM)
            .arg0("runner")
            .arg("compile-worker")
            .args(["--memory", &limits.memory.to_string()])
            .args(["--niceness", &limits.niceness.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let last_words = child.stderr.take();
        let id = started.enter(child);
        Ok(RunningCompiler {
            socket,
            last_words,
            id,
            started: Arc::clone(started),
        })
    }

    fn is_there(&self) -> bool {
        self.started.is_there(self.id)
    }

    fn relay(&mut self, request: &mut InTime, deadline: Instant) -> Relayed {
        let Ok(socket) = self.socket.try_clone() else {
            return Relayed::Failed(ErrorKind::OutOfMemory.into());
        };
        let mut compiler = InTime { socket, deadline };
        match message::pass_request_on(request, &mut compiler) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Relayed::Failed(error),
            Err(_) => return Relayed::NobodyListens,
        }
        loop {
            let part = match message::read_part(&mut compiler) {
                Ok(part) => part,
                Err(error) => return Relayed::Failed(error),
            };
            if !matches!(part, Part::Code(_)) {
                return Relayed::Answered(part);
            }
            if message::write_part(request, &part).is_err() {
                return Relayed::NobodyListens;
            }
        }
    }

    /// Ends it, and says what its end was about.
    fn verdict(mut self, error: &io::Error) -> (Failure, String) {
        // What a socket with a timeout says, and what we say without asking.
        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            return (Failure::TooSlow, String::new());
        }
        // Where it closed its socket it is at its end already. Where it did not,
        // what it said was no answer.
        let status = match error.kind() {
            ErrorKind::InvalidData => None,
            _ => self.started.end(self.id, Some(FAREWELL)),
        };
        let Some(status) = status else {
            return (Failure::Crashed, "it answered in no known form".into());
        };
        judge(status, &self.last_words())
    }

    fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        if let Some(said) = self.last_words.take() {
            // It is over, so all of it is there.
            let _ = said.take(LAST_WORDS).read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

/// How long a compiler that closed its socket may take to be gone.
const FAREWELL: Duration = Duration::from_secs(5);

fn judge(status: ExitStatus, last_words: &str) -> (Failure, String) {
    let signal = status.signal();
    if signal == Some(Signal::ABORT.as_raw()) && last_words.contains(NO_MEMORY) {
        return (Failure::TooMuchMemory, String::new());
    }
    if signal == Some(Signal::KILL.as_raw()) {
        return (Failure::Killed, String::new());
    }
    let text = match last_words {
        "" => status.to_string(),
        said => format!("{status}: {said}"),
    };
    (Failure::Crashed, text)
}

impl Drop for RunningCompiler {
    fn drop(&mut self) {
        self.started.end(self.id, None);
    }
}

/// Every compiler that was started and is not waited for, so that all of them
/// can be ended.
#[derive(Default)]
pub(super) struct Started(Mutex<HashMap<u32, Child>>);

impl Started {
    fn children(&self) -> MutexGuard<'_, HashMap<u32, Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, child: Child) -> u32 {
        let id = child.id();
        self.children().insert(id, child);
        id
    }

    fn is_there(&self, id: u32) -> bool {
        let mut children = self.children();
        let child = children.get_mut(&id);
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends one, at once or where it does not go of itself, and waits for it.
    fn end(&self, id: u32, patience: Option<Duration>) -> Option<ExitStatus> {
        let mut child = self.children().remove(&id)?;
        let until = Instant::now() + patience.unwrap_or_default();
        while Instant::now() < until {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // It may be gone already.
        let _ = child.kill();
        child.wait().ok()
    }

    /// Ends all of them.
    pub(super) fn end_all(&self) {
        let mut children = std::mem::take(&mut *self.children());
        for child in children.values_mut() {
            let _ = child.kill();
        }
        for child in children.values_mut() {
            let _ = child.wait();
        }
    }
}

/// A socket that is given up at some time.
struct InTime {
    socket: UnixStream,
    deadline: Instant,
}

impl InTime {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(Some(left)),
        }
    }

    fn ended_by(self, last: Part) -> LastWord {
        LastWord {
            to: self.socket,
            last,
        }
    }
}

impl Read for InTime {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for InTime {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_should_be_blamed_on_its_cause() {
        let signal = |signal: Signal| ExitStatus::from_raw(signal.as_raw());
        let memory = "memory allocation of 123 bytes failed";
        let overflow = "thread 'main' has overflowed its stack";
        let rows = [
            (signal(Signal::ABORT), memory, Failure::TooMuchMemory, ""),
            (signal(Signal::ABORT), overflow, Failure::Crashed, overflow),
            (signal(Signal::KILL), "", Failure::Killed, ""),
            (signal(Signal::SEGV), "", Failure::Crashed, "SIGSEGV"),
            (ExitStatus::from_raw(1 << 8), "why", Failure::Crashed, "why"),
        ];
        for (status, last_words, failure, text) in rows {
            let (judged, said) = judge(status, last_words);
            assert_eq!(judged, failure, "{status}");
            assert!(said.contains(text), "{said}");
        }
    }
}
