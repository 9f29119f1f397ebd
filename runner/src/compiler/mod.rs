//! Compiles components in processes of their own, with limits of time and
//! memory, so that one which is made to keep a compiler busy, to fill the
//! memory or to crash it does so to a compiler and not to the runner.
//!
//! The process that serves starts one other early, the launcher, which starts
//! the compilers (`worker`), one for each tenant or two, and keeps watch over
//! them (`keeper`). So the one that serves needs to start, end and wait for
//! nothing later.
//!
//! Must not know why something is compiled, nor what becomes of the code.

mod keeper;
pub mod launcher;
mod message;
pub mod worker;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use sandbox::{CompileError, CompileJob};

use self::message::{Failure, Order, Part};
use crate::tenant::Tenant;

/// The file that runs, whatever lies under its name by now.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// How long the launcher may take to end compilers when it is told to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Times its limit that compiling may take with the wait for a compiler: as many
/// are never asked for at once.
const PATIENCE: u32 = 8;

/// What a compiler may use. The same for all that a tenant asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// For one component, by the clock on the wall.
    pub time: Duration,
    /// Bytes, for all that it remembers of components before too.
    pub memory: usize,
    /// How much less of a busy processor it gets (`setpriority(2)`).
    pub niceness: i32,
}

/// The launcher, as long as it is wanted: it ends when this is dropped.
pub struct Launcher {
    compilers: Compilers,
}

/// Where compilers are asked for.
#[derive(Debug, Clone)]
pub struct Compilers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone)]
enum State {
    Running(Arc<OwnedFd>),
    /// It was told to end.
    Ending,
    Ended,
    /// It never was there, or ended unasked.
    Lost(String),
}

/// The launcher, started, and watched by nobody yet: what can be done before
/// there is a second thread.
pub struct Launched(io::Result<(OwnedFd, Child)>);

impl Launched {
    /// Starts it. A compiler with nothing to do for as long as `idle` ends, and
    /// what it remembers of components is forgotten. It works for so many tenants
    /// at a time, whatever it is told later.
    #[must_use]
    pub fn start(idle: Duration, tenants: usize) -> Self {
        Launched(launch(idle, tenants))
    }

    /// Watches it from here on, from a thread of its own.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn watch(self) -> io::Result<Launcher> {
        let (state, running) = match self.0 {
            Ok((socket, child)) => (State::Running(Arc::new(socket)), Ok(child)),
            Err(error) => (State::Lost(String::new()), Err(error)),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let compilers = Compilers(shared);
        let watched = compilers.clone();
        std::thread::Builder::new()
            .name("launcher".into())
            .spawn(move || watched.wait(running))?;
        Ok(Launcher { compilers })
    }
}

impl Launcher {
    /// Where compilers are asked for.
    #[must_use]
    pub fn compilers(&self) -> Compilers {
        self.compilers.clone()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let shared = &*self.compilers.0;
        let mut state = shared.state();
        if let State::Running(socket) = &*state {
            // Its end of the socket ends, and so does it.
            let _ = shutdown(&**socket, Shutdown::Both);
            *state = State::Ending;
        }
        let ending = |state: &mut State| matches!(state, State::Ending);
        // Waited for, it is no zombie of whoever started us.
        drop(shared.changed.wait_timeout_while(state, FAREWELL, ending));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, state: State) {
        *self.state() = state;
        self.changed.notify_all();
    }
}

impl Compilers {
    /// The compilers of a tenant, which no other tenant's components get to.
    #[must_use]
    pub fn of(&self, tenant: &Tenant, limits: CompileLimits) -> Arc<dyn sandbox::Compiler> {
        let tenant = tenant.name().as_bytes().to_vec();
        Arc::new(TenantsCompilers {
            compilers: self.clone(),
            order: Order { limits, tenant },
        })
    }

    /// Why nothing can be compiled any more, if that is so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &*self.0.state() {
            State::Lost(reason) => Some(format!("{}", CompileError::Gone(reason.clone()))),
            _ => None,
        }
    }

    fn wait(&self, running: io::Result<Child>) {
        let shared = &*self.0;
        let ended = running.and_then(|mut launcher| launcher.wait());
        let reason = match ended {
            Ok(_) if matches!(*shared.state(), State::Ending) => {
                return shared.enter(State::Ended);
            }
            Ok(status) => format!("the launcher of compilers ended ({status})"),
            Err(error) => format!("the launcher of compilers does not start: {error}"),
        };
        shared.enter(State::Lost(reason));
        if let Some(trouble) = self.trouble() {
            tracing::error!("{trouble}; what was compiled before goes on serving");
        }
    }

    /// The socket to the launcher, once it is there.
    fn socket(&self) -> Result<Arc<OwnedFd>, CompileError> {
        match &*self.0.state() {
            State::Running(socket) => Ok(Arc::clone(socket)),
            State::Lost(reason) => Err(CompileError::Gone(reason.clone())),
            State::Ending | State::Ended => {
                Err(CompileError::NotNow("the runner is stopping".into()))
            }
        }
    }

    /// What it means that the launcher does not answer.
    fn silence(&self, error: &io::Error) -> CompileError {
        match &*self.0.state() {
            State::Lost(reason) => CompileError::Gone(reason.clone()),
            _ => CompileError::NotNow(format!(
                "the launcher of compilers does not answer: {error}"
            )),
        }
    }
}

#[derive(Debug)]
struct TenantsCompilers {
    compilers: Compilers,
    order: Order,
}

impl sandbox::Compiler for TenantsCompilers {
    fn compile(&self, job: &CompileJob<'_>) -> Result<Vec<u8>, CompileError> {
        let launcher = self.compilers.socket()?;
        let silence = |error: &io::Error| self.compilers.silence(error);
        let (mut near, far) = UnixStream::pair().map_err(|error| silence(&error))?;
        let patience = self.order.limits.time.saturating_mul(PATIENCE);
        let patience = patience.max(Duration::from_secs(60));
        let timed = near.set_read_timeout(Some(patience));
        timed
            .and_then(|()| near.set_write_timeout(Some(patience)))
            .and_then(|()| message::hand_over(&*launcher, &self.order, &far))
            .map_err(|error| silence(&error))?;
        drop(far);
        // Where nobody reads all of it, the answer says why.
        let written = message::write_request(&mut near, job);
        let mut code = Vec::new();
        loop {
            match message::read_part(&mut near) {
                // A compiler that was taken over may have more to say than an
                // honest one had memory for.
                Ok(Part::Code(part)) if code.len() + part.len() > self.order.limits.memory => {
                    return Err(CompileError::Crashed(
                        "its code takes all of the memory".into(),
                    ));
                }
                Ok(Part::Code(part)) => code.extend(part),
                Ok(Part::Done) => return Ok(code),
                Ok(Part::Failed(failure, text)) => return Err(self.failed(failure, text)),
                Err(error) => return Err(silence(written.as_ref().err().unwrap_or(&error))),
            }
        }
    }
}

impl TenantsCompilers {
    fn failed(&self, failure: Failure, text: String) -> CompileError {
        let limits = self.order.limits;
        match failure {
            Failure::Refused => CompileError::Refused(text),
            Failure::TooSlow => CompileError::TooSlow(limits.time),
            Failure::TooMuchMemory => CompileError::TooMuchMemory(limits.memory),
            Failure::Crashed => CompileError::Crashed(text),
            Failure::Killed => CompileError::Killed,
            Failure::NotNow => CompileError::NotNow(text),
        }
    }
}

/// A socket whose messages have borders: a name and a descriptor each.
fn launcher_socket() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    socketpair(family, kind, SocketFlags::CLOEXEC, None)
}

fn launch(idle: Duration, tenants: usize) -> io::Result<(OwnedFd, Child)> {
    let (ours, theirs) = launcher_socket()?;
    let child = Command::new(THIS_PROGRAM)
        .arg0("runner")
        .arg("compile-launcher")
        .args(["--idle-seconds", &idle.as_secs().to_string()])
        .args(["--tenants", &tenants.to_string()])
        .env_clear()
        .current_dir("/")
        // What a terminal tells us to end by is not for the launcher: it ends
        // with us.
        .process_group(0)
        .stdin(theirs)
        .stdout(Stdio::null())
        .spawn()?;
    Ok((ours, child))
}
