//! Instances of one filter that wait for their next call. Each serving thread
//! has a shelf of its own, so that nobody waits for another's lock. They are of
//! one tenant, plugin and configuration, because a filter is.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::instance::Instance;
use crate::pulse::ticks;

/// Instances that a thread keeps of one filter. More than one is needed only
/// while others wait for the gateway's answers.
const KEPT: usize = 16;

/// The warm instances of one filter.
pub(crate) struct WarmInstances {
    shelves: Box<[Mutex<Vec<Waiting>>]>,
    uses: u32,
    /// Ticks of the engine.
    idle: u64,
}

/// An instance that did well so far.
pub(crate) struct Waiting {
    instance: Instance,
    since: u64,
}

impl WarmInstances {
    pub(crate) fn new(uses: u32, idle: Duration) -> Self {
        let shelves = std::thread::available_parallelism().map_or(1, usize::from);
        WarmInstances {
            shelves: (0..shelves).map(|_| Mutex::default()).collect(),
            uses,
            idle: ticks(idle),
        }
    }

    /// The instance that this thread used last.
    pub(crate) fn take(&self) -> Option<Instance> {
        self.shelf(|shelf| shelf.pop())
            .map(|waiting| waiting.instance)
    }

    /// Keeps an instance for a later call, unless it has served its time.
    pub(crate) fn park(&self, mut instance: Instance, now: u64) {
        instance.uses += 1;
        if instance.uses >= self.uses {
            return;
        }
        let waiting = Waiting {
            instance,
            since: now,
        };
        let surplus = self.shelf(|shelf| match shelf.len() < KEPT {
            true => {
                shelf.push(waiting);
                None
            }
            false => Some(waiting),
        });
        drop(surplus);
    }

    /// Lets those go that have waited too long; true while any are left.
    pub(crate) fn sweep(&self, now: u64) -> bool {
        let mut left = false;
        for shelf in &self.shelves {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            // The one that waits longest lies lowest.
            let stay =
                shelf.partition_point(|waiting| now.saturating_sub(waiting.since) > self.idle);
            let gone: Vec<_> = shelf.drain(..stay).collect();
            left |= !shelf.is_empty();
            drop(shelf);
            drop(gone);
        }
        left
    }

    fn shelf<T>(&self, work: impl FnOnce(&mut Vec<Waiting>) -> T) -> T {
        let number = thread_number() % self.shelves.len();
        let mut shelf = self.shelves[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut shelf)
    }
}

/// Threads are numbered as they first ask.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| {
        let known = number.get();
        known.unwrap_or_else(|| {
            let new = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(new));
            new
        })
    })
}
