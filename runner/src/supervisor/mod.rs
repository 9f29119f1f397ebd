//! `isolation: process`: a process for each tenant under this one, which opens
//! their sockets, starts them again when they end, and speaks for them to the
//! operator. It runs no guest, reads no frame, and keeps the sockets: while a
//! tenant's process starts anew, connections wait in the kernel instead of being
//! refused.
//!
//! Must not know how a tenant is served.

pub mod handover;
pub mod merged_metrics;
mod pages;
pub mod relay;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use protocol::FrameBuilder;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use self::handover::{Questions, send_sockets, send_text};
use self::pages::{AllProcesses, Reached, not_served_line};
use crate::admin::Admin;
use crate::config::{self, Config, ConfigText, Environment, TenantConfig};
use crate::doors;
use crate::error_reply;
use crate::listener::Listener;
use crate::telemetry::{self, DroppedLines, Lines};
use crate::tenant::Tenant;

/// Between the end of a process and the next start: doubled each time it ends
/// early again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A pause in which nobody is kept waiting.
const NOT_AT_ONCE: Duration = Duration::from_secs(1);

/// A process that lived so long did not end early.
const LIVED: Duration = Duration::from_secs(30);

/// How long a process may take until it hears SIGHUP.
const STARTING: Duration = Duration::from_secs(1);

/// How long a process may take to end; the gateway kills this one 1 s after it
/// asked it to end.
const END: Duration = Duration::from_millis(800);

/// How long the last lines of a process may take.
const LAST_LINES: Duration = Duration::from_millis(50);

/// Always passed on: where a user's folders and the system's authorities are, and
/// how long the gateway keeps a token.
const VARIABLES: [&str; 7] = [
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "APISIX_CONF_EXPIRE_TIME",
    "RUST_BACKTRACE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// What comes from outside the configuration.
pub struct Supervision {
    /// Whether new modules are looked for all the time.
    pub watch: bool,
    /// Lines of the log that nobody read.
    pub dropped: DroppedLines,
    /// Takes the lines of their logs.
    pub lines: Lines,
}

/// Opens the sockets of all tenants and keeps a process for each, until `stop` is
/// done.
///
/// # Errors
/// Where a socket cannot be opened, and where no tenant can be served.
pub async fn keep(
    config: &Config,
    supervision: Supervision,
    env: &dyn Environment,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let Supervision {
        watch,
        dropped,
        lines,
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
        let drafts =
            sockets.map(|(settings, ownership)| Ok((doors::draft(settings, ownership)?, settings)));
        let drafts: Vec<_> = drafts.collect::<Result<_>>()?;
        wards.push((Ward::new(config, tenant, watch, &lines, env)?, drafts));
    }
    if wards.is_empty() {
        bail!("{}", not_served.join("; "));
    }
    let pages = AllProcesses {
        reached: wards.iter().map(|(ward, _)| ward.reached()).collect(),
        not_served,
        dropped,
    };
    let admin = config.admin.as_ref();
    let admin = admin.map(|address| Admin::start(address, Arc::new(pages)));
    let _admin = admin.transpose()?;
    // Behind everything that can fail: they take the place of another runner's.
    for (ward, drafts) in &mut wards {
        for (draft, settings) in drafts.drain(..) {
            let publish = || doors::publish(draft, settings);
            let listener = telemetry::on_behalf_of(Some(&ward.tenant), publish)?;
            ward.listeners.push(listener);
        }
    }
    let (stop_all, stopped) = watch::channel(false);
    let stop = async {
        stop.await;
        stop_all.send_replace(true);
    };
    let wards = wards.into_iter().map(|(ward, _)| {
        let tenant = ward.tenant.clone();
        telemetry::turns_of(Some(tenant), ward.keep(stopped.clone()))
    });
    tokio::join!(stop, join_all(wards));
    Ok(())
}

/// What one tenant's process is started with.
struct Ward {
    tenant: Tenant,
    listeners: Vec<Listener>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// The configuration as it was when this process started.
    text: ConfigText,
    lines: Lines,
    reached: Arc<Reached>,
}

impl Ward {
    /// A tenant of the configuration, without its sockets.
    ///
    /// # Errors
    /// Where its part of the configuration cannot be read.
    fn new(
        config: &Config,
        of: &TenantConfig,
        watch: bool,
        lines: &Lines,
        env: &dyn Environment,
    ) -> Result<Self> {
        let name = of.tenant.name();
        let mut arguments = [
            "serve",
            "--supervised",
            "--config",
            &config.name,
            "--tenant",
            name,
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend(watch.then(|| "--watch".to_owned()));
        let reached = Reached::of(of.tenant.clone());
        Ok(Ward {
            tenant: of.tenant.clone(),
            listeners: Vec::new(),
            arguments,
            variables: variables_of(name, config, env)?,
            text: config.text.clone(),
            lines: lines.clone(),
            reached: Arc::new(reached),
        })
    }

    /// For the operator's pages.
    #[must_use]
    fn reached(&self) -> Arc<Reached> {
        Arc::clone(&self.reached)
    }

    /// Keeps a process of the tenant running until `stopped` says so, then ends
    /// it.
    async fn keep(self, mut stopped: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        while !*stopped.borrow() {
            let began = Instant::now();
            let ended = match self.start() {
                Ok((child, lines)) => {
                    let ended = self.wait(child, &mut stopped).await;
                    // What it said last, unless somebody else can still speak.
                    let _ = tokio::time::timeout(LAST_LINES, lines).await;
                    ended
                }
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
                () = self.turn_away(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Answers whoever connects that nobody serves now, where the next process is
    /// not to be expected at once: better than to let a request wait for as long
    /// as its gateway has patience.
    async fn turn_away(&self, pause: Duration) {
        if pause < NOT_AT_ONCE {
            return std::future::pending().await;
        }
        let mut builder = FrameBuilder::new();
        let refusal = error_reply::unavailable(&mut builder);
        join_all(self.listeners.iter().map(|listener| async {
            loop {
                match listener.socket().accept().await {
                    Ok((stream, _)) => {
                        // Who is gone already needs no answer.
                        let _ = stream.try_write(refusal);
                    }
                    Err(_) => tokio::time::sleep(FIRST_PAUSE).await,
                }
            }
        }))
        .await;
    }

    /// The process, and what is done when its last line was passed on.
    fn start(&self) -> Result<(Child, oneshot::Receiver<()>)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (output, stderr) = std::io::pipe()?;
        let (lines, tenant) = (self.lines.clone(), self.tenant.clone());
        let lines = relay::relay(output, move |line| lines.pass_on(&tenant, line))?;
        let child = Command::new("/proc/self/exe")
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // Not this process's own: whoever has that can empty it.
            .stderr(Stdio::from(stderr))
            .kill_on_drop(true)
            .spawn()
            .context("no process for it")?;
        let sockets = self
            .listeners
            .iter()
            .map(|listener| listener.socket().as_fd());
        send_sockets(&ours, &sockets.collect::<Vec<_>>())?;
        send_text(&ours, &self.text.0)?;
        self.reached.put(Ok(Questions::new(ours)));
        Ok((child, lines))
    }

    /// How the process ended; `None` where it was told to.
    async fn wait(&self, mut child: Child, stopped: &mut watch::Receiver<bool>) -> Option<String> {
        let began = Instant::now();
        let mut put_off = false;
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
                // It would end one that has not asked for it yet.
                _ = hangup => match began.elapsed() >= STARTING {
                    true => tell(&child, rustix::process::Signal::HUP),
                    false => put_off = true,
                },
                () = tokio::time::sleep(STARTING.saturating_sub(began.elapsed())), if put_off => {
                    put_off = false;
                    tell(&child, rustix::process::Signal::HUP);
                }
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
fn variables_of(
    name: &str,
    config: &Config,
    env: &dyn Environment,
) -> Result<Vec<(String, String)>> {
    let asked = Asked {
        env,
        names: Mutex::default(),
    };
    let text = config.text.0.to_string();
    config::settle_tenant(&config.name, text, name, &asked)?;
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
