//! The launcher: a process that starts compilers, because the one that serves
//! must not start any. It is started before anything of a stranger was read,
//! passes requests on without looking into them, and ends with whoever started
//! it, by whatever that ended.
//!
//! Must not know what is compiled.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

use super::CompileLimits;
use super::keeper::{Keeper, LastWord, Started};
use super::message::{self, Failure, Order, Part};
use crate::cli::CompileLauncherOptions;
use crate::{file_descriptors, parent_process};

/// Compilers of one tenant: one that takes long leaves another for what does
/// not.
const COMPILERS: usize = 2;

/// More is no limit, and clocks have an end.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Starts compilers until nobody is left to ask for any.
///
/// # Errors
/// Where its socket fails.
pub fn run(options: &CompileLauncherOptions) -> Result<()> {
    parent_process::wake_at_its_end();
    file_descriptors::close_inherited()?;
    nix::sys::prctl::set_no_new_privs()?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let launcher = Arc::new(Launcher {
        idle: Duration::from_secs(options.idle_seconds),
        tenants: options.tenants,
        crews: Mutex::default(),
        started: Arc::default(),
    });
    let ended = loop {
        match message::take_over(&socket) {
            Ok(Some((Order { mut limits, tenant }, request))) => {
                limits.time = limits.time.min(LONGEST);
                launcher.assign(&Arc::from(tenant), limits, request);
            }
            Ok(None) => break Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It came without its socket, since there is no descriptor left;
            // whoever asks sees that nobody answers.
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {}
            Err(error) => break Err(error.into()),
        }
    };
    launcher.started.end_all();
    ended
}

/// Those who keep compilers, by tenant.
struct Launcher {
    idle: Duration,
    /// The most there can be: whoever orders may not be who it was.
    tenants: usize,
    crews: Mutex<HashMap<Arc<[u8]>, Crew>>,
    started: Arc<Started>,
}

/// The keepers of one tenant's compilers.
#[derive(Default)]
struct Crew {
    keepers: usize,
    /// Those with nothing to do, the one that had last at the end: it remembers
    /// most of what comes next.
    idle: Vec<(u64, Sender<UnixStream>)>,
    /// Requests that wait for a keeper.
    waiting: VecDeque<UnixStream>,
    /// The number of the next keeper.
    next: u64,
}

impl Launcher {
    fn crews(&self) -> MutexGuard<'_, HashMap<Arc<[u8]>, Crew>> {
        self.crews.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a request to somebody.
    fn assign(
        self: &Arc<Self>,
        tenant: &Arc<[u8]>,
        limits: CompileLimits,
        mut request: UnixStream,
    ) {
        let mut crews = self.crews();
        if crews.len() >= self.tenants && !crews.contains_key(tenant) {
            let text = "there are as many tenants already as there should be".into();
            // Whoever asked may be gone.
            let _ = message::write_part(&mut request, &Part::Failed(Failure::NotNow, text));
            return;
        }
        let crew = crews.entry(Arc::clone(tenant)).or_default();
        while let Some((_, keeper)) = crew.idle.pop() {
            match keeper.send(request) {
                Ok(()) => return,
                // It ended in a way that nobody has thought of.
                Err(returned) => {
                    request = returned.0;
                    crew.keepers = crew.keepers.saturating_sub(1);
                }
            }
        }
        crew.waiting.push_back(request);
        if crew.keepers >= COMPILERS {
            return;
        }
        crew.keepers += 1;
        crew.next += 1;
        let (number, launcher, tenant) = (crew.next, Arc::clone(self), Arc::clone(tenant));
        let keep = move || launcher.keep(&tenant, limits, number);
        let keeper = std::thread::Builder::new().name("keeper".into());
        if let Err(error) = keeper.spawn(keep) {
            crew.keepers -= 1;
            if crew.keepers == 0
                && let Some(mut request) = crew.waiting.pop_back()
            {
                let text = format!("its compiler's keeper does not start: {error}");
                // Whoever asked may be gone.
                let _ = message::write_part(&mut request, &Part::Failed(Failure::NotNow, text));
            }
        }
    }

    /// Serves requests of a tenant with a compiler, until there were none for a
    /// while.
    fn keep(&self, tenant: &Arc<[u8]>, limits: CompileLimits, number: u64) {
        let (sender, assigned) = channel();
        let mut keeper = Keeper::new(limits, Arc::clone(&self.started));
        let mut last_word = None;
        while let Some(request) = self.next(tenant, number, &sender, &assigned, last_word) {
            last_word = keeper.serve(request);
        }
    }

    /// Waits for a request. The last word of the answer before is said as soon as
    /// another can come.
    fn next(
        &self,
        tenant: &Arc<[u8]>,
        number: u64,
        sender: &Sender<UnixStream>,
        assigned: &Receiver<UnixStream>,
        last_word: Option<LastWord>,
    ) -> Option<UnixStream> {
        let waiting = {
            let mut crews = self.crews();
            let crew = crews.get_mut(tenant)?;
            let waiting = crew.waiting.pop_front();
            if waiting.is_none() {
                crew.idle.push((number, sender.clone()));
            }
            waiting
        };
        if let Some(last_word) = last_word {
            last_word.say();
        }
        if waiting.is_some() {
            return waiting;
        }
        match assigned.recv_timeout(self.idle) {
            Ok(request) => return Some(request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        let mut crews = self.crews();
        let crew = crews.get_mut(tenant)?;
        let before = crew.idle.len();
        crew.idle.retain(|(idle, _)| *idle != number);
        if crew.idle.len() == before {
            // Somebody has just taken it from there, and sent something.
            drop(crews);
            return assigned.recv().ok();
        }
        crew.keepers -= 1;
        if crew.keepers == 0 {
            crews.remove(tenant);
        }
        None
    }
}
