//! Programs under measurement: started on a socket of their own, ended with
//! their value.
//!
//! Must not know what is asked of them.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Longer than the slowest start under valgrind.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A program that listens.
#[derive(Debug)]
pub(crate) struct Server {
    child: Option<Child>,
    socket: PathBuf,
    /// When it was started.
    started: Instant,
}

impl Server {
    /// Starts a program that will listen on `socket`, and waits for that. What
    /// it prints goes to a file beside the socket.
    pub(crate) fn start(mut command: Command, socket: &Path) -> Result<Self> {
        let log = socket.with_extension("log");
        let output = std::fs::File::create(&log)?;
        let name = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{name} cannot be started; build it first"))?;
        let mut server = Self {
            child: Some(child),
            socket: socket.to_owned(),
            started,
        };
        server.wait_until_it_listens(&log)?;
        Ok(server)
    }

    /// One that somebody else has started.
    pub(crate) fn running(socket: &Path) -> Self {
        Self {
            child: None,
            socket: socket.to_owned(),
            started: Instant::now(),
        }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// When its process began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Its process, if it is ours.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn wait_until_it_listens(&mut self, log: &Path) -> Result<()> {
        while UnixStream::connect(&self.socket).is_err() {
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?,
                None => None,
            };
            if let Some(status) = ended {
                bail!("{status}: {}", last_line(log));
            }
            if self.started.elapsed() > START_LIMIT {
                bail!("it does not listen: {}", last_line(log));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nothing to be done if it has ended on its own.
            let _ = child.kill();
            let _ = child.wait();
        }
        // A socket of our own would be in the way of the next one.
        if self.child.is_some() {
            let _ = std::fs::remove_file(&self.socket);
        }
    }
}

/// Lets all threads of a process run on these cores only.
pub(crate) fn confine(pid: u32, cores: &str) -> Result<()> {
    let confined = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", cores])
        .arg(pid.to_string())
        .output()
        .context("taskset (of util-linux)")?;
    if !confined.status.success() {
        let said = String::from_utf8_lossy(&confined.stderr);
        bail!("taskset: {}", said.trim());
    }
    Ok(())
}

/// Memory that a process has now, MiB.
pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    let kib: f64 = kib.context("no memory")?.parse()?;
    Ok(kib / 1024.0)
}

/// Waits until a process has nothing to do, or for so long. Says whether it has
/// come to rest.
pub(crate) fn wait_for_rest(pid: u32, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit;
    let mut busy = cpu_ticks(pid)?;
    while Instant::now() < end {
        std::thread::sleep(REST);
        let now = cpu_ticks(pid)?;
        // A clock that ticks is no work.
        if now.saturating_sub(busy) <= 1 {
            return Ok(true);
        }
        busy = now;
    }
    Ok(false)
}

const REST: Duration = Duration::from_millis(300);

/// `utime` and `stime` of /proc/PID/stat, behind the name in brackets.
fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let times = fields.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|time| time.parse::<u64>().ok()).sum())
}
