//! A real Redis on a socket of its own, without persistence.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::SOON;

/// Ends with the test.
pub(crate) struct RedisServer {
    folder: TempDir,
    process: Option<Child>,
}

fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
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
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn start_again(&mut self) {
        let settings = ["--port", "0", "--save", "", "--appendonly", "no"];
        let process = Command::new(program())
            .args(settings)
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
            std::thread::sleep(std::time::Duration::from_millis(10));
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

    /// All keys of all tenants.
    pub(crate) fn keys(&self) -> Vec<String> {
        let client = redis::Client::open(self.address()).expect("address");
        let mut connection = client.get_connection().expect("connection");
        redis::cmd("KEYS")
            .arg("*")
            .query(&mut connection)
            .expect("keys")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
