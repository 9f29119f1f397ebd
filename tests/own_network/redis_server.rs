//! A real Redis on a socket of its own, without persistence. Must not know who
//! keeps what there.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// What happens at all happens within this.
const SOON: Duration = Duration::from_secs(20);

/// Ends with the test.
pub(crate) struct RedisServer {
    folder: TempDir,
    process: Option<Child>,
    /// On loopback as well; 0 is nowhere.
    port: u16,
}

fn program() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|folder| folder.join("tests/setup-redis").exists());
    let root = root.expect("the repository");
    let program = root.join("target/tools/redis/redis-server");
    assert!(
        program.exists(),
        "{} is missing: run `./just setup`",
        program.display()
    );
    program
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        let mut server = Self::stopped();
        server.start_again();
        server
    }

    /// One that will have this address.
    pub(crate) fn stopped() -> Self {
        RedisServer {
            folder: tempfile::tempdir().expect("folder"),
            process: None,
            port: 0,
        }
    }

    /// One that is on this port of loopback as well.
    pub(crate) fn on_port(port: u16) -> Self {
        let mut server = Self::stopped();
        server.port = port;
        server.start_again();
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn start_again(&mut self) {
        let settings = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
        let process = Command::new(program())
            .args(settings)
            .args(["--port", &self.port.to_string()])
            .arg("--unixsocket")
            .arg(self.socket())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        self.process = Some(process);
        let started = Instant::now();
        while !self.answers() {
            assert!(started.elapsed() < SOON, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answers(&self) -> bool {
        let ping = || -> std::io::Result<[u8; 7]> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 7];
            stream.read_exact(&mut answer)?;
            Ok(answer)
        };
        ping().is_ok_and(|answer| &answer == b"+PONG\r\n")
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("running");
        let pid = Pid::from_child(process);
        rustix::process::kill_process(pid, signal).expect("signal");
    }

    /// It takes connections and commands, and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("kill");
            process.wait().expect("end");
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
