//! Notices that a module was changed, added or removed, and that a file is all
//! there: when to look into the folder, and what the looks say one after the
//! other. The folder is known by its path, whatever lies there.
//!
//! Must not know what becomes of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::FutureExt;
use tokio::signal::unix::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::folder_events::FolderEvents;
use crate::module::Module;
use crate::module_folder::{self, Listing, Looks, ModuleFile, Remark};
use crate::module_swap::{ModuleSwap, Taken};

/// When to look into the folder.
#[derive(Debug)]
pub struct When {
    /// All the time.
    pub watch: bool,
    /// At each of these.
    pub hangups: Option<Signal>,
}

/// Beside what the kernel tells: it does not tell everything.
const PERIOD: Duration = Duration::from_millis(500);

/// Between two looks, however much the kernel tells.
const REST: Duration = Duration::from_millis(20);

/// A file that looks the same for this long is taken for whole.
const SETTLED: Duration = Duration::from_millis(50);

/// What was there and is not any more comes back within this time, or is gone:
/// not everybody replaces a file, or a folder, in one step. The end of a file
/// that ends early comes, too.
const GRACE: Duration = Duration::from_secs(2);

/// Looks at a folder.
pub struct ModuleWatch {
    folder: PathBuf,
    swap: Arc<ModuleSwap>,
    known: BTreeMap<Arc<str>, Known>,
    /// Whether each was said.
    remarks: BTreeMap<Remark, bool>,
    /// Modules whose file is being looked into.
    busy: BTreeSet<Arc<str>>,
    at_work: JoinSet<(Arc<str>, Taken)>,
    /// Since when the folder as a whole is no folder of modules.
    bad_since: Option<Instant>,
    events: Option<FolderEvents>,
    /// It need not be said twice.
    events_failed: bool,
}

/// What is known of one module's file.
#[derive(Default)]
struct Known {
    /// How it looked when it was last looked into.
    taken: Option<Looks>,
    /// How it looks since it looks different.
    seen: Option<(Looks, Instant)>,
    /// Since when it is not there.
    absent: Option<Instant>,
    /// When it is to be looked into again, though it looks the same.
    again: Option<Instant>,
    /// It ended early, and that was said.
    ended_early: bool,
    module: Option<Arc<Module>>,
}

impl ModuleWatch {
    /// Of a folder that looked like this when its modules were listed.
    #[must_use]
    pub fn new(folder: PathBuf, listing: Listing, swap: Arc<ModuleSwap>) -> Self {
        let modules = listing.modules.into_iter();
        let known = modules.map(|(name, file)| {
            let known = Known {
                taken: Some(file.looks),
                ..Known::default()
            };
            (name, known)
        });
        let remarks = listing.remarks.into_iter().map(|remark| (remark, true));
        ModuleWatch {
            folder,
            swap,
            known: known.collect(),
            remarks: remarks.collect(),
            busy: BTreeSet::new(),
            at_work: JoinSet::new(),
            bad_since: None,
            events: None,
            events_failed: false,
        }
    }

    /// Looks when it is time to, for ever.
    pub async fn run(mut self, mut when: When) {
        let mut due = None;
        loop {
            if when.watch {
                self.follow_events();
                let latest = Instant::now() + PERIOD;
                due = Some(due.map_or(latest, |due: Instant| due.min(latest)));
            }
            tokio::select! {
                () = hangup(&mut when.hangups) => {
                    tracing::info!("SIGHUP: looking for modules that changed");
                }
                () = changed(self.events.as_ref()) => {}
                Some(done) = self.at_work.join_next() => self.done(done),
                () = time(due) => {}
            }
            due = self.look().await;
            sleep(REST).await;
        }
    }

    fn follow_events(&mut self) {
        if self.events_failed {
            return;
        }
        if self.events.is_none() {
            match FolderEvents::start() {
                Ok(events) => self.events = Some(events),
                Err(error) => return self.without_events(&error),
            }
        }
        let events = self.events.as_mut();
        match events.map_or(Ok(()), |events| events.follow(&self.folder)) {
            // It may come back.
            Err(error) if self.folder.is_dir() => self.without_events(&error),
            _ => {}
        }
    }

    fn without_events(&mut self, error: &std::io::Error) {
        (self.events, self.events_failed) = (None, true);
        let (folder, ms) = (self.folder.display(), PERIOD.as_millis());
        tracing::warn!(
            "the system tells nothing of changes in {folder} ({error}); it is looked into every \
             {ms} ms"
        );
    }

    /// One look; returns when the next has to be, if any has.
    async fn look(&mut self) -> Option<Instant> {
        let folder = self.folder.clone();
        let listed = tokio::task::spawn_blocking(move || module_folder::list(&folder)).await;
        let mut listing = match listed.map_err(std::io::Error::other).flatten() {
            Ok(listing) if listing.modules.is_empty() => {
                return self.no_folder("there is no NAME.wasm in it", listing.remarks);
            }
            Ok(listing) => listing,
            Err(error) => {
                return self.no_folder(&module_folder::explained(&error), BTreeSet::new());
            }
        };
        if self.bad_since.take().is_some() {
            self.folder_is_back();
        }
        // After the folder was found to be one: that all of it is new, and there
        // is no room yet, does not make it another.
        listing.keep(self.swap.most_modules(), &self.swap.catalog().names());
        self.swap.catalog().set_refused(listing.refused);
        let mut due = self.remark(listing.remarks);
        for (name, file) in &listing.modules {
            due = sooner(due, self.consider(name, file));
        }
        for module in self.swap.catalog().modules() {
            if !listing.modules.contains_key(&module.name) {
                due = sooner(due, self.consider_absent(&module));
            }
        }
        self.known
            .retain(|name, known| listing.modules.contains_key(name) || known.absent.is_some());
        due
    }

    /// Nobody removes every filter of a gateway that serves: the folder is being
    /// replaced, or its disk is gone. Nothing changes but what is said.
    fn no_folder(&mut self, why: &str, remarks: BTreeSet<Remark>) -> Option<Instant> {
        let due = self.remark(remarks);
        let since = *self.bad_since.get_or_insert_with(Instant::now);
        if since.elapsed() < GRACE {
            return sooner(due, Some(since + GRACE));
        }
        let catalog = self.swap.catalog();
        if catalog.trouble().is_none() {
            let folder = self.folder.display();
            let so = match catalog.modules().is_empty() {
                true => "nothing can be served",
                false => "the last good modules stay",
            };
            let trouble = format!("the modules folder {folder} cannot be used: {why}; {so}");
            tracing::error!("{trouble}");
            catalog.set_trouble(Some(trouble));
        }
        due
    }

    fn folder_is_back(&mut self) {
        // What could not be read meanwhile may look as it did before.
        for known in self.known.values_mut() {
            known.taken = None;
        }
        if self.swap.catalog().trouble().is_some() {
            self.swap.catalog().set_trouble(None);
            tracing::info!("the modules folder {} is back", self.folder.display());
        }
    }

    /// Says what is new and stays: while files are replaced, others come and go.
    fn remark(&mut self, remarks: BTreeSet<Remark>) -> Option<Instant> {
        let before = std::mem::take(&mut self.remarks);
        let mut due = None;
        for remark in remarks {
            let said = before.get(&remark);
            match said {
                Some(true) => {}
                Some(false) => remark.tell(),
                None => due = Some(Instant::now() + SETTLED),
            }
            self.remarks.insert(remark, said.is_some());
        }
        due
    }

    fn consider(&mut self, name: &Arc<str>, file: &ModuleFile) -> Option<Instant> {
        if self.busy.contains(name) {
            return None;
        }
        let known = self.known.entry(Arc::clone(name)).or_default();
        known.absent = None;
        let (now, looks) = (Instant::now(), file.looks);
        if known.taken == Some(looks) {
            known.seen = None;
            let again = known.again?;
            if again > now {
                return Some(again);
            }
            known.again = None;
            self.start(name, file, false);
            return None;
        }
        match known.seen {
            Some((seen, since)) if seen == looks && since + SETTLED <= now => {
                (known.taken, known.seen, known.again) = (Some(looks), None, None);
                self.start(name, file, true);
                None
            }
            Some((seen, since)) if seen == looks => Some(since + SETTLED),
            _ => {
                known.seen = Some((looks, now));
                Some(now + SETTLED)
            }
        }
    }

    fn start(&mut self, name: &Arc<str>, file: &ModuleFile, patient: bool) {
        let known = self.known.entry(Arc::clone(name)).or_default();
        let new = || self.swap.new_module(name, &file.path);
        let module = Arc::clone(known.module.get_or_insert_with(new));
        let (swap, name) = (Arc::clone(&self.swap), Arc::clone(name));
        self.busy.insert(Arc::clone(&name));
        self.at_work.spawn(async move {
            let taking = AssertUnwindSafe(swap.take(&module, patient)).catch_unwind();
            (name, taking.await.unwrap_or(Taken::Done))
        });
    }

    fn done(&mut self, done: Result<(Arc<str>, Taken), tokio::task::JoinError>) {
        // A panic was caught, and nobody aborts it.
        let Ok((name, taken)) = done else { return };
        self.busy.remove(&name);
        let Some(known) = self.known.get_mut(&name) else {
            return;
        };
        match taken {
            Taken::Done => known.ended_early = false,
            Taken::NotNow(pause) => known.again = Some(Instant::now() + pause),
            Taken::EndsEarly => {
                known.again = Some(Instant::now() + GRACE);
                if !std::mem::replace(&mut known.ended_early, true) {
                    let folder = self.folder.display();
                    tracing::info!("{folder}/{name}.wasm ends early; its end may be to come");
                }
            }
        }
    }

    fn consider_absent(&mut self, module: &Arc<Module>) -> Option<Instant> {
        if self.busy.contains(&module.name) {
            return None;
        }
        let known = self.known.entry(Arc::clone(&module.name)).or_default();
        let since = *known.absent.get_or_insert_with(Instant::now);
        if since.elapsed() < GRACE {
            return Some(since + GRACE);
        }
        self.known.remove(&module.name);
        self.swap.remove(module);
        // There may be room for another.
        Some(Instant::now())
    }
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

async fn hangup(hangups: &mut Option<Signal>) {
    let hangup = match hangups {
        Some(hangups) => hangups.recv().await,
        None => None,
    };
    // There will be no more.
    if hangup.is_none() {
        std::future::pending().await
    }
}

async fn changed(events: Option<&FolderEvents>) {
    match events {
        Some(events) => events.changed().await,
        None => std::future::pending().await,
    }
}

async fn time(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
