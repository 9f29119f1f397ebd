//! The real runner as a child process, started the way the gateway starts it.
//!
//! Must not know what the runner prints or how it is configured.

use std::ffi::OsStr;
use std::io::{PipeReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

/// A runner must accept well before the gateway's clients give up.
const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No directory, no process, no pipe.
    #[error("the runner could not be started")]
    Spawn(#[from] std::io::Error),
    /// It ended instead of listening.
    #[error("the runner ended with {status} before it listened; it said: {log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// All of its output.
        log: String,
    },
    /// It runs, but nobody accepts.
    #[error("the runner did not listen in time; it said: {log}")]
    NotListening {
        /// All of its output so far.
        log: String,
    },
}

/// Sends a signal to any process.
///
/// # Errors
/// If the process is gone.
pub fn send_signal(id: u32, signal: Signal) -> std::io::Result<()> {
    let gone = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let pid = i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(gone)?;
    Ok(kill_process(pid, signal)?)
}

/// A running runner on a socket of its own. Killed when dropped.
#[derive(Debug)]
pub struct RunnerProcess {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    socket: PathBuf,
    _directory: TempDir,
}

impl RunnerProcess {
    /// Starts `binary` and waits until it accepts a connection. As under the
    /// gateway its environment is `PATH`, the two `APISIX_` variables and
    /// `env`, which may replace them; there is no `HOME`.
    ///
    /// # Errors
    /// [`StartError`], with what the runner printed.
    pub fn start<A: AsRef<OsStr>>(
        binary: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &str)],
    ) -> Result<Self, StartError> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("runner.sock");
        let mut listen = std::ffi::OsString::from("unix:");
        listen.push(&socket);
        let path = std::env::var_os("PATH").unwrap_or_default();
        // One pipe for both streams, like the gateway's.
        let (output, stdout) = std::io::pipe()?;
        let child = Command::new(binary)
            .args(args)
            .env_clear()
            .env("PATH", path)
            .env("APISIX_LISTEN_ADDRESS", listen)
            .env("APISIX_CONF_EXPIRE_TIME", "3600")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stderr(stdout.try_clone()?)
            .stdout(stdout)
            .spawn()?;
        let log = Arc::default();
        let reader = collect(output, Arc::clone(&log));
        let mut runner = Self {
            child,
            log,
            reader,
            socket,
            _directory: directory,
        };
        runner.wait_until_it_listens()?;
        Ok(runner)
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Whether it prints `text` within `limit`, or has already.
    #[must_use]
    pub fn prints(&self, text: &str, limit: Duration) -> bool {
        until(limit, || self.log().contains(text).then_some(())).is_some()
    }

    /// Whether it prints `text` within `limit` behind what it had printed when
    /// `log` was that many bytes long.
    #[must_use]
    pub fn prints_after(&self, printed: usize, text: &str, limit: Duration) -> bool {
        let said = || {
            self.log()
                .get(printed..)
                .is_some_and(|log| log.contains(text))
                .then_some(())
        };
        until(limit, said).is_some()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        send_signal(self.child.id(), signal)
    }

    /// How it ended, if it ends within `limit`. The log is complete then.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let status = until(limit, || self.child.try_wait().ok().flatten())?;
        // The pipe ends with its last writer; do not insist if that is a
        // grandchild.
        let _ = until(Duration::from_secs(1), || {
            self.reader.is_finished().then_some(())
        });
        Some(status)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), StartError> {
        let listens = until(START_LIMIT, || {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            let accepts = UnixStream::connect(&self.socket).is_ok();
            (ended || accepts).then_some(accepts)
        });
        if listens == Some(true) {
            return Ok(());
        }
        match self.wait(Duration::ZERO) {
            Some(status) => Err(StartError::Ended {
                status,
                log: self.log(),
            }),
            None => Err(StartError::NotListening { log: self.log() }),
        }
    }
}

impl Drop for RunnerProcess {
    fn drop(&mut self) {
        // Nothing to be done if it has ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Empties the pipe as it fills, so the runner never waits for its reader.
fn collect(mut output: PipeReader, log: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = output.read(&mut chunk) {
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&chunk[..read]);
        }
    })
}

fn until<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(POLL);
    }
}
