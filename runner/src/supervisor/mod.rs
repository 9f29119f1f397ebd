//! `isolation: process`: a process for each tenant under this one, which opens
//! their sockets, starts them again when they end, and speaks for them to the
//! operator. It runs no guest, reads no frame, and keeps the sockets: while a
//! tenant's process starts anew, connections wait in the kernel instead of being
//! refused.
//!
//! Must not know how a tenant is served.

pub mod handover;
pub mod merged_metrics;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::handover::{Questions, Topic, send_sockets};
use self::merged_metrics::merged;
use crate::admin::Admin;
use crate::admin::pages::{Content, one_line};
use crate::config::{self, Config, Environment, TenantConfig};
use crate::doors;
use crate::listener::Listener;
use crate::metrics::AllMetrics;
use crate::metrics::Levels;
use crate::telemetry::{self, DroppedLines};
use crate::tenant::Tenant;

/// Between the end of a process and the next start: doubled each time it ends
/// early again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A process that lived so long did not end early.
const LIVED: Duration = Duration::from_secs(30);

/// How long a process may take to end; the gateway kills this one 1 s after it
/// asked it to end.
const END: Duration = Duration::from_millis(800);

/// Always passed on: where a user's folders are, and how long the gateway keeps
/// a token.
const VARIABLES: [&str; 5] = [
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "APISIX_CONF_EXPIRE_TIME",
    "RUST_BACKTRACE",
];

/// What comes from outside the configuration.
pub struct Supervision<'a> {
    /// The configuration's file.
    pub file: &'a Path,
    /// Whether new modules are looked for all the time.
    pub watch: bool,
    /// Lines of the log that nobody read.
    pub dropped: DroppedLines,
}

/// Opens the sockets of all tenants and keeps a process for each, until `stop` is
/// done.
///
/// # Errors
/// Where a socket cannot be opened, and where no tenant can be served.
pub async fn keep(
    config: &Config,
    supervision: Supervision<'_>,
    env: &dyn Environment,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let Supervision {
        file,
        watch,
        dropped,
    } = supervision;
    let (mut wards, mut not_served) = (Vec::new(), Vec::new());
    let mut ownerships = doors::ownerships(config).into_iter();
    for tenant in &config.tenants {
        let sockets = tenant.sockets.iter().zip(&mut ownerships);
        if !tenant.missing.is_empty() {
            // Its sockets might be given to the wrong user.
            let line = not_served_line(&tenant.tenant, &tenant.missing.join("; "));
            telemetry::on_behalf_of(Some(&tenant.tenant), || tracing::error!("{line}"));
            not_served.push(line);
            sockets.for_each(drop);
            continue;
        }
        let listeners = sockets.map(|(settings, ownership)| {
            let listen = || doors::listen(settings, &ownership);
            telemetry::on_behalf_of(Some(&tenant.tenant), listen)
        });
        let listeners = listeners.collect::<Result<_>>()?;
        wards.push(Ward::new(tenant, file, watch, listeners, env)?);
    }
    if wards.is_empty() {
        bail!("{}", not_served.join("; "));
    }
    let pages = AllProcesses {
        reached: wards.iter().map(Ward::reached).collect(),
        not_served,
        dropped,
    };
    let admin = config.admin.as_ref();
    let admin = admin.map(|address| Admin::start(address, Arc::new(pages)));
    let _admin = admin.transpose()?;
    let (stop_all, stopped) = watch::channel(false);
    let stop = async {
        stop.await;
        stop_all.send_replace(true);
    };
    let wards = wards.into_iter().map(|ward| {
        let tenant = ward.tenant.clone();
        telemetry::turns_of(Some(tenant), ward.keep(stopped.clone()))
    });
    tokio::join!(stop, join_all(wards));
    Ok(())
}

/// What one tenant's process is started with.
pub struct Ward {
    tenant: Tenant,
    listeners: Vec<Listener>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    reached: Arc<Reached>,
}

/// How the operator's questions reach a process.
pub struct Reached {
    tenant: Tenant,
    questions: Mutex<Result<Questions, String>>,
}

impl Ward {
    /// A tenant of the configuration in `file`, with its sockets in order.
    ///
    /// # Errors
    /// Where its part of the configuration cannot be read.
    pub fn new(
        config: &TenantConfig,
        file: &Path,
        watch: bool,
        listeners: Vec<Listener>,
        env: &dyn Environment,
    ) -> Result<Self> {
        let name = config.tenant.name();
        let file_text = file
            .to_str()
            .context("the configuration's path is no text")?;
        let mut arguments = [
            "serve",
            "--supervised",
            "--config",
            file_text,
            "--tenant",
            name,
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend(watch.then(|| "--watch".to_owned()));
        let reached = Reached {
            tenant: config.tenant.clone(),
            questions: Mutex::new(Err("it has not started yet".into())),
        };
        Ok(Ward {
            tenant: config.tenant.clone(),
            listeners,
            arguments,
            variables: variables_of(name, file, env)?,
            reached: Arc::new(reached),
        })
    }

    /// For the operator's pages.
    #[must_use]
    pub fn reached(&self) -> Arc<Reached> {
        Arc::clone(&self.reached)
    }

    /// Keeps a process of the tenant running until `stopped` says so, then ends
    /// it.
    pub async fn keep(self, mut stopped: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        while !*stopped.borrow() {
            let began = Instant::now();
            let ended = match self.start() {
                Ok(child) => self.wait(child, &mut stopped).await,
                Err(error) => Some(format!("it does not start: {error:#}")),
            };
            let Some(how) = ended else { return };
            self.reached.lose(&how);
            if began.elapsed() >= LIVED {
                pause = FIRST_PAUSE;
            }
            tracing::error!(
                "the process of tenant {} is gone ({how}); the next one starts in {} ms",
                self.tenant,
                pause.as_millis()
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn start(&self) -> Result<Child> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("no process for it")?;
        let sockets = self
            .listeners
            .iter()
            .map(|listener| listener.socket().as_fd());
        send_sockets(&ours, &sockets.collect::<Vec<_>>())?;
        self.reached.put(Ok(Questions::new(ours)));
        Ok(child)
    }

    /// How the process ended; `None` where it was told to.
    async fn wait(&self, mut child: Child, stopped: &mut watch::Receiver<bool>) -> Option<String> {
        let hangups = signal(SignalKind::hangup());
        let mut hangups = hangups
            .inspect_err(|error| tracing::warn!("no SIGHUP: {error}"))
            .ok();
        loop {
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = child.wait() => return Some(match ended {
                    Ok(status) => shown(status),
                    Err(error) => error.to_string(),
                }),
                _ = hangup => tell(&child, rustix::process::Signal::HUP),
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        tell(&child, rustix::process::Signal::TERM);
        if tokio::time::timeout(END, child.wait()).await.is_err() {
            tracing::warn!(
                "the process of tenant {} does not end and is killed",
                self.tenant
            );
            // One that is gone already needs none.
            let _ = child.kill().await;
        }
        None
    }
}

fn tell(child: &Child, signal: rustix::process::Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        // It has not been waited for, so the number is still its own.
        let _ = rustix::process::kill_process(id, signal);
    }
}

fn shown(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => status.to_string(),
    }
}

/// The variables that a tenant's part of the configuration names, and no other
/// tenant's.
fn variables_of(name: &str, file: &Path, env: &dyn Environment) -> Result<Vec<(String, String)>> {
    let asked = Asked {
        env,
        names: Mutex::default(),
    };
    config::load_tenant(Some(file), name, &asked)?;
    let names = asked
        .names
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let names = names.into_iter().chain(VARIABLES.map(str::to_owned));
    let names: BTreeSet<String> = names.collect();
    let variable = |name: String| env.get(&name).map(|value| (name, value));
    Ok(names.into_iter().filter_map(variable).collect())
}

/// Remembers what was asked for.
struct Asked<'a> {
    env: &'a dyn Environment,
    names: Mutex<BTreeSet<String>>,
}

impl Environment for Asked<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned());
        self.env.get(name)
    }
}

impl Reached {
    fn put(&self, questions: Result<Questions, String>) {
        *self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = questions;
    }

    fn lose(&self, how: &str) {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last_words = questions.as_mut().ok().and_then(Questions::last_words);
        *questions = Err(match last_words {
            Some(reason) => not_served_line(&self.tenant, &reason),
            None => format!("its process is gone: {how}"),
        });
    }

    fn ask(&self, topic: Topic) -> Result<Result<String, String>, String> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let questions = questions.as_mut().map_err(|reason| reason.clone())?;
        let asked = questions.ask(topic);
        asked.map_err(|error| match questions.last_words() {
            Some(reason) => not_served_line(&self.tenant, &reason),
            None => format!("its process does not answer: {error}"),
        })
    }
}

/// As the process of all tenants says it.
fn not_served_line(tenant: &Tenant, reason: &str) -> String {
    let begin = format!("tenant {tenant} is not served: ");
    let reason = reason.strip_prefix(&begin).unwrap_or(reason);
    format!("{begin}{reason}")
}

/// What the processes of all tenants say.
pub struct AllProcesses {
    /// One for each tenant.
    pub reached: Vec<Arc<Reached>>,
    /// A line for each tenant without a process.
    pub not_served: Vec<String>,
    /// Lines that this process could not write.
    pub dropped: DroppedLines,
}

/// How this process calls itself where tenants are named: no tenant can be
/// called so.
const ITSELF: &str = "(supervisor)";

impl Content for AllProcesses {
    fn metrics(&self) -> Result<String, String> {
        let levels = Levels {
            log_lines_dropped: self.dropped.count(),
            tenants: Vec::new(),
        };
        let own = AllMetrics::new().and_then(|metrics| metrics.text(&levels));
        let own = own.map_err(|error| error.to_string())?;
        let texts = self.reached.iter().filter_map(|reached| {
            // One that does not answer is missing, and /readyz says why.
            let text = reached.ask(Topic::Metrics).ok()?.ok()?;
            Some((reached.tenant.name(), text))
        });
        let texts: Vec<(&str, String)> = std::iter::once((ITSELF, own)).chain(texts).collect();
        Ok(merged(
            texts.iter().map(|(tenant, text)| (*tenant, &**text)),
        ))
    }

    fn readiness(&self) -> Result<String, String> {
        let (mut good, mut missing) = (String::new(), String::new());
        for line in &self.not_served {
            missing.push_str(&format!("{}\n", one_line(line)));
        }
        for reached in &self.reached {
            let tenant = &reached.tenant;
            let (into, text) = match reached.ask(Topic::Readiness) {
                Ok(Ok(text)) => (&mut good, text),
                Ok(Err(text)) => (&mut missing, text),
                Err(reason) => (&mut missing, reason),
            };
            // Whoever wrote them is within a tenant.
            let about = format!("tenant {tenant}: ");
            for line in text.lines() {
                if line.starts_with(&not_served_line(tenant, "")) {
                    into.push_str(&format!("{}\n", one_line(line)));
                    continue;
                }
                let line = line.strip_prefix(&about).unwrap_or(line);
                into.push_str(&format!("{about}{}\n", one_line(line)));
            }
        }
        match missing.is_empty() {
            true => Ok(good),
            false => Err(missing),
        }
    }
}
