//! One thread that works for all filters when nothing is urgent: it captures
//! configurations, gives up snapshots that are not worth their memory, lets
//! idle instances go, writes the code of a new version of a plugin to the disk,
//! and compiles what later versions will have in common with the first. It gives
//! way to the threads that serve.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::ThreadStart;
use crate::filter::Shared;
use crate::pulse::ticks;
use crate::slow_lane::processor_time;
use crate::snapshot::{self, NotCaptured, Readable, Snapshot};
use crate::{Plugin, SandboxError, Shape, SnapshotPolicy, disk_cache};

/// How much less of a busy processor it gets (`setpriority(2)`): a tenth.
const NICENESS: i32 = 10;

/// Between two looks at what is idle.
const SWEEP: Duration = Duration::from_secs(1);

/// A snapshot that was used within this time is not given up for another.
const IN_USE: Duration = Duration::from_secs(60);

/// Each snapshot keeps a file descriptor or two for its memory.
const SNAPSHOTS: usize = 1000;

/// Asks the caretaker for something.
pub(crate) struct Caretaker {
    errands: Sender<Errand>,
    snapshot_bytes: Arc<AtomicUsize>,
}

enum Errand {
    Capture(Weak<Shared>),
    Watch(Weak<Shared>),
    Anticipate(Weak<Plugin>),
    KeepCode(Weak<Plugin>),
}

impl Caretaker {
    /// Starts it; it ends when this is dropped, after what it is at.
    /// `budget` is the bytes that all snapshots together may take.
    pub(crate) fn start(budget: usize, thread_start: ThreadStart) -> std::io::Result<Self> {
        let (errands, received) = channel();
        let snapshot_bytes = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&snapshot_bytes);
        std::thread::Builder::new()
            .name("caretaker".into())
            .spawn(move || {
                thread_start.run();
                // Without it, it competes with the calls; nothing fails.
                let _ = rustix::process::nice(NICENESS);
                let work = Work {
                    budget,
                    watched: Vec::new(),
                    readable: None,
                    snapshot_bytes: counted,
                };
                work.run(&received);
            })?;
        Ok(Caretaker {
            errands,
            snapshot_bytes,
        })
    }

    /// What snapshots take, as of the last second.
    pub(crate) fn snapshot_bytes(&self) -> usize {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }

    /// Captures the configuration of a filter, some time.
    pub(crate) fn capture(&self, filter: Weak<Shared>) {
        // It is gone only with the process.
        let _ = self.errands.send(Errand::Capture(filter));
    }

    /// Compiles a plugin for the engine's memory of functions only.
    pub(crate) fn anticipate(&self, plugin: Weak<Plugin>) {
        let _ = self.errands.send(Errand::Anticipate(plugin));
    }

    /// Writes a plugin's code to the disk, unless it is replaced before.
    pub(crate) fn keep_code(&self, plugin: Weak<Plugin>) {
        let _ = self.errands.send(Errand::KeepCode(plugin));
    }

    /// Looks after a filter's idle instances.
    pub(crate) fn watch(&self, filter: Weak<Shared>) {
        let _ = self.errands.send(Errand::Watch(filter));
    }
}

/// What comes out is thrown away; the functions in it are remembered.
fn anticipate(plugin: &Plugin) {
    let compile = || plugin.engine.compile(&plugin.wasm, Shape::WithoutShim);
    let (name, began) = (&plugin.name, Instant::now());
    match catch_unwind(AssertUnwindSafe(compile)) {
        Ok(Ok(_)) => tracing::debug!(
            "plugin {name}: compiled for versions to come in {:?}",
            began.elapsed()
        ),
        // It was compiled once before.
        Ok(Err(error)) => tracing::debug!("plugin {name}: {error}"),
        Err(_) => tracing::error!("plugin {name}: compiling it again failed"),
    }
}

struct Work {
    budget: usize,
    /// Filters that have a snapshot or warm instances.
    watched: Vec<Weak<Shared>>,
    /// The last component that was made readable.
    readable: Option<(Weak<Plugin>, Readable)>,
    /// For whoever wants to know.
    snapshot_bytes: Arc<AtomicUsize>,
}

impl Work {
    fn run(mut self, errands: &Receiver<Errand>) {
        let mut next_sweep = Instant::now() + SWEEP;
        loop {
            let wait = next_sweep.saturating_duration_since(Instant::now());
            let errand = match self.watched.is_empty() {
                true => errands.recv().map_err(RecvTimeoutError::from),
                false => errands.recv_timeout(wait),
            };
            match errand {
                Ok(Errand::Capture(filter)) => {
                    if let Some(filter) = filter.upgrade() {
                        self.capture(&filter);
                    }
                }
                Ok(Errand::Watch(filter)) => self.watch(filter),
                Ok(Errand::Anticipate(plugin)) => {
                    if let Some(plugin) = plugin.upgrade() {
                        anticipate(&plugin);
                    }
                }
                Ok(Errand::KeepCode(plugin)) => {
                    if let Some(plugin) = plugin.upgrade() {
                        let component = plugin.image.component.component();
                        disk_cache::keep(&plugin.engine, &plugin.wasm, component);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // However many errands there are.
            if Instant::now() >= next_sweep {
                self.sweep();
                next_sweep = Instant::now() + SWEEP;
            }
        }
    }

    fn capture(&mut self, filter: &Arc<Shared>) {
        let name = &*filter.plugin.name;
        let started = processor_time();
        // A component is a stranger's, and so much of it is taken apart here.
        let captured = catch_unwind(AssertUnwindSafe(|| self.try_capture(filter)));
        let took = processor_time().saturating_sub(started);
        match captured {
            Ok(Ok(snapshot)) => self.keep(filter, snapshot, took),
            // Another time it may do.
            Ok(Err(NotCaptured::Failed(
                error @ (SandboxError::Saturated(_)
                | SandboxError::Stalled(_)
                | SandboxError::Deadline(_)),
            ))) => {
                tracing::debug!("plugin {name}: a configuration is not captured yet: {error}");
                filter.put_off_snapshot();
            }
            Ok(Err(NotCaptured::Compile(error))) if error.is_passing() => {
                tracing::debug!("plugin {name}: a configuration is not captured yet: {error}");
                filter.put_off_snapshot();
            }
            Ok(Err(error)) => tracing::info!(
                "plugin {name}: a configuration is not captured and each call runs configure: {error}"
            ),
            Err(_) => tracing::error!("plugin {name}: capturing its configuration failed"),
        }
    }

    fn try_capture(&mut self, filter: &Arc<Shared>) -> Result<Snapshot, NotCaptured> {
        let readable = match self.readable.take() {
            Some((of, readable)) if std::ptr::eq(of.as_ptr(), &raw const *filter.plugin) => {
                readable
            }
            _ => snapshot::readable(&filter.plugin)?,
        };
        let strict = filter.plugin.settings.snapshot == SnapshotPolicy::Auto;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| NotCaptured::Unsupported(error.to_string()))?;
        let captured = runtime.block_on(snapshot::capture(filter, &readable, strict, self.budget));
        self.readable = Some((Arc::downgrade(&filter.plugin), readable));
        captured
    }

    fn keep(&mut self, filter: &Arc<Shared>, snapshot: Snapshot, took: Duration) {
        let name = &*filter.plugin.name;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        filter.plugin.capture_cost.store(micros, Ordering::Relaxed);
        if !self.make_room(snapshot.size, filter.plugin.engine.now()) {
            tracing::debug!(
                "plugin {name}: no room for a snapshot of {} bytes",
                snapshot.size
            );
            return filter.put_off_snapshot();
        }
        tracing::debug!(
            "plugin {name}: calls start from a snapshot of {} bytes, captured in {} ms",
            snapshot.size,
            took.as_millis()
        );
        filter.snapshot.store(Some(Arc::new(snapshot)));
        self.watch(Arc::downgrade(filter));
    }

    /// Once each, however often it is asked for.
    fn watch(&mut self, filter: Weak<Shared>) {
        if !self.watched.iter().any(|watched| watched.ptr_eq(&filter)) {
            self.watched.push(filter);
        }
    }

    /// Gives up snapshots that are not in use, those unused for longest first.
    fn make_room(&mut self, size: usize, now: u64) -> bool {
        self.watched.retain(|filter| filter.strong_count() > 0);
        let mut kept: Vec<(u64, usize, Arc<Shared>)> = Vec::new();
        for filter in self.watched.iter().filter_map(Weak::upgrade) {
            let size = filter
                .snapshot
                .load()
                .as_ref()
                .map(|snapshot| snapshot.size);
            if let Some(size) = size {
                kept.push((filter.last_used.load(Ordering::Relaxed), size, filter));
            }
        }
        kept.sort_by_key(|(last_used, ..)| std::cmp::Reverse(*last_used));
        let mut used: usize = kept.iter().map(|(_, size, _)| size).sum();
        while used + size > self.budget || kept.len() >= SNAPSHOTS {
            match kept.pop() {
                Some((last_used, size, filter)) if last_used + ticks(IN_USE) < now => {
                    used -= size;
                    filter.forget_snapshot();
                }
                _ => return false,
            }
        }
        true
    }

    fn sweep(&mut self) {
        // A version of a plugin that was replaced.
        self.readable
            .take_if(|(plugin, _)| plugin.strong_count() == 0);
        let mut bytes = 0;
        self.watched.retain(|filter| {
            let Some(filter) = filter.upgrade() else {
                return false;
            };
            if let Some(warm) = &filter.warm {
                warm.sweep(filter.plugin.engine.now());
            }
            let snapshot = filter.snapshot.load();
            if let Some(snapshot) = &*snapshot {
                bytes += snapshot.size;
                snapshot.as_new.sweep(filter.plugin.engine.now());
            }
            filter.warm.is_some() || snapshot.is_some()
        });
        self.snapshot_bytes.store(bytes, Ordering::Relaxed);
    }
}
