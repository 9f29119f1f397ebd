//! The runner under siege: started with every guest, watched from outside,
//! ended and started again on the same socket.
//!
//! Must not know who calls it.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::{Signal, guests, send_signal};
use tempfile::TempDir;

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a runner that was told to end may take.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Bytes of output that are kept for whoever wants to know why it ended.
const TAIL: usize = 16 << 10;

/// A folder of modules, a configuration, and the places where a runner of them
/// listens.
pub(crate) struct Site {
    binary: PathBuf,
    folder: TempDir,
    /// Further arguments of the runner.
    options: &'static [&'static str],
    /// Whose modules there are, where the configuration says so.
    tenants: &'static [&'static str],
}

impl Site {
    /// With every guest. `more` is added to the runner's configuration.
    pub(crate) fn new(binary: &Path, more: &str) -> Result<Self> {
        let site = Site::of(binary, &[], |modules| Ok(guests::write_modules(modules)?))?;
        let text = format!("{}{more}", guests::configuration(&site.admin()));
        std::fs::write(site.config(), text)?;
        Ok(site)
    }

    /// With whatever `fill` puts into the folder of modules, and defaults for
    /// everything.
    pub(crate) fn of(
        binary: &Path,
        options: &'static [&'static str],
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let site = Site {
            binary: binary.to_owned(),
            folder: tempfile::tempdir()?,
            options,
            tenants: &[],
        };
        std::fs::create_dir(site.modules())?;
        fill(&site.modules())?;
        std::fs::write(site.config(), "")?;
        Ok(site)
    }

    /// With the good filters for each of these tenants.
    pub(crate) fn of_tenants(
        binary: &Path,
        tenants: &'static [&'static str],
        isolation: &str,
    ) -> Result<Self> {
        let good = |modules: &Path| Ok(guests::write_good_modules(modules)?);
        let mut site = Site::of(binary, &[], good)?;
        site.tenants = tenants;
        let modules = site.modules();
        let mut text = format!("isolation: {isolation}\ntenants:\n");
        for tenant in tenants {
            text += &format!(
                "- name: {tenant}\n  modules: {}\n  sockets: [{{file: {}}}]\n",
                modules.display(),
                site.socket_of(tenant).display()
            );
        }
        std::fs::write(site.config(), text)?;
        Ok(site)
    }

    /// Where a tenant's gateway connects.
    pub(crate) fn socket_of(&self, tenant: &str) -> PathBuf {
        self.folder.path().join(format!("{tenant}.sock"))
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.folder.path().join("modules")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        match self.tenants.first() {
            Some(tenant) => self.socket_of(tenant),
            None => self.folder.path().join("runner.sock"),
        }
    }

    pub(crate) fn admin(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Starts a runner as the gateway does, and waits until it listens.
    pub(crate) fn start(&self) -> Result<Runner> {
        // The gateway starts the new one before it stops the old one: the
        // socket may be there already.
        let before = socket_number(&self.socket());
        let (mut output, stdout) = std::io::pipe()?;
        let mut command = Command::new(&self.binary);
        command.arg("serve");
        if self.tenants.is_empty() {
            command.arg("--modules").arg(self.modules());
        }
        let child = command
            .arg("--config")
            .arg(self.config())
            .args(self.options)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(
                "APISIX_LISTEN_ADDRESS",
                format!("unix:{}", self.socket().display()),
            )
            .env("APISIX_CONF_EXPIRE_TIME", "3600")
            .stdin(Stdio::null())
            .stderr(stdout.try_clone()?)
            .stdout(stdout)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&tail);
        std::thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                let mut tail = kept.lock().unwrap_or_else(PoisonError::into_inner);
                tail.extend(&chunk[..read]);
                let surplus = tail.len().saturating_sub(TAIL);
                tail.drain(..surplus);
            }
        });
        let mut runner = Runner { child, tail };
        let end = Instant::now() + START_LIMIT;
        while socket_number(&self.socket()) == before
            || std::os::unix::net::UnixStream::connect(self.socket()).is_err()
        {
            if !runner.is_alive() || Instant::now() > end {
                bail!(
                    "the runner does not listen; it said: {}",
                    runner.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(runner)
    }
}

/// Tells one socket of a name from another.
fn socket_number(socket: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata(socket).ok()?.ino())
}

/// A process. Killed when dropped.
pub(crate) struct Runner {
    child: Child,
    tail: Arc<Mutex<VecDeque<u8>>>,
}

impl Runner {
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it from one moment to the next.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Tells it to end, and waits.
    pub(crate) async fn end(&mut self) -> Result<()> {
        send_signal(self.child.id(), Signal::TERM)?;
        let end = Instant::now() + END_LIMIT;
        while self.is_alive() {
            if Instant::now() > end {
                bail!(
                    "the runner was told to end and did not; it said: {}",
                    self.last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Memory that it has now, KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no memory")?.parse()?)
    }

    /// Descriptors that it has open now.
    pub(crate) fn descriptors(&self) -> Result<u64> {
        let folder = format!("/proc/{}/fd", self.child.id());
        Ok(std::fs::read_dir(folder)?.count() as u64)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Nothing to be done if it has ended on its own.
        let _ = self.kill();
    }
}
