//! What all instances of a plugin have in common: its name, what each may use,
//! and what they used together. Knows no instance and no call.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::guest_memory::GuestMemory;
use crate::pulse::Pulse;
use crate::slots::{Refused, Slots, Taken};
use crate::{Limits, SandboxError, slow_lane};

/// The account of one plugin.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) memory: Arc<GuestMemory>,
    /// Places for instances that its calls may take at the same time.
    turns: Arc<Slots>,
    /// Places of all plugins.
    places: Arc<Slots>,
    /// Threads that it may compute on in a slow lane.
    in_lane: Semaphore,
    memory_peak: AtomicUsize,
    instructions: Mutex<Option<Instructions>>,
    log: LogBudget,
    /// Where its calls begin: see `slow_lane`.
    level: AtomicUsize,
    /// Calls that are still to be watched more closely.
    suspect: AtomicU32,
    /// Calls in a row that could have begun a level below.
    quick: AtomicU32,
}

/// What the instances of a plugin have used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginUsage {
    /// Bytes of memory that the largest instance ever had.
    pub memory_peak: usize,
    /// Lines that guests wanted to log and were not allowed to.
    pub log_lines_dropped: u64,
    /// Places for instances that its calls take.
    pub calls: u32,
    /// Calls that wait until one of those ends.
    pub waiting_calls: u32,
    /// Instructions that the last call executed, where the engine counts them.
    pub instructions: Option<Instructions>,
}

/// Instructions of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instructions {
    /// Starting the instance and `configure`.
    pub configure: u64,
    /// The handler.
    pub handler: u64,
}

/// Calls in a row that have to be quick before those of a plugin that was slow
/// begin a level below again.
const PROBATION: u32 = 16;

/// Calls that are watched when one seemed to take long.
const WATCHED: u32 = 8;

/// How often a call looks whether there are places left that its plugin may take.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl Account {
    pub(crate) fn new(
        name: Arc<str>,
        limits: Limits,
        pulse: Arc<Pulse>,
        memory: Arc<GuestMemory>,
        places: Arc<Slots>,
    ) -> Self {
        Account {
            name,
            limits,
            pulse,
            memory,
            turns: Arc::new(Slots::new(limits.concurrent_calls.min(places.total()))),
            places,
            in_lane: Semaphore::new(slow_lane::threads()),
            memory_peak: AtomicUsize::new(0),
            instructions: Mutex::default(),
            log: LogBudget::default(),
            level: AtomicUsize::new(0),
            suspect: AtomicU32::new(0),
            quick: AtomicU32::new(0),
        }
    }

    pub(crate) fn usage(&self) -> PluginUsage {
        let turns = self.turns.usage();
        PluginUsage {
            memory_peak: self.memory_peak.load(Ordering::Relaxed),
            log_lines_dropped: self.log.dropped.load(Ordering::Relaxed),
            calls: turns.taken,
            waiting_calls: turns.waiting,
            instructions: *lock(&self.instructions),
        }
    }

    /// Waits until the plugin may serve one more call, with an instance that
    /// takes so many places.
    pub(crate) async fn turn(&self, places: u32) -> Result<Taken, SandboxError> {
        let Limits {
            waiting_calls,
            wait,
            ..
        } = self.limits;
        let refused = |refused| match refused {
            Refused::QueueFull => SandboxError::QueueFull(waiting_calls),
            Refused::TooLate => SandboxError::Busy {
                places: self.turns.usage().taken,
                wait,
            },
        };
        let began = self.pulse.elapsed();
        let turn = self.turns.take(places, wait, waiting_calls).await;
        let turn = turn.map_err(refused)?;
        while !self.is_modest() {
            if self.pulse.elapsed().saturating_sub(began) >= wait {
                return Err(refused(Refused::TooLate));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(turn)
    }

    /// Whether the plugin has no more places than twice what is left. So one
    /// that takes all it can get leaves a third of all places to others, and two
    /// of them a fifth: there is always something left for one that asks for
    /// little.
    fn is_modest(&self) -> bool {
        self.turns.usage().taken <= self.places.free().saturating_mul(2).max(1)
    }

    /// The right to compute in a slow lane. A call that waited for it as long as
    /// it may take in all goes on without: its clock is what ends it.
    pub(crate) async fn turn_in_lane(&self) -> Option<SemaphorePermit<'_>> {
        let longest = self.limits.handler_wall_time;
        let turn = tokio::time::timeout(longest, self.in_lane.acquire()).await;
        // It is never closed.
        turn.ok()?.ok()
    }

    pub(crate) fn note_instructions(&self, instructions: Instructions) {
        *lock(&self.instructions) = Some(instructions);
    }

    pub(crate) fn note_memory(&self, used: usize) {
        if self.memory_peak.load(Ordering::Relaxed) < used {
            self.memory_peak.fetch_max(used, Ordering::Relaxed);
        }
    }

    /// Where its next call begins: on a serving thread (0) or in a lane.
    pub(crate) fn level(&self) -> usize {
        self.level.load(Ordering::Relaxed)
    }

    /// A call ended at a level, and would have fitted into another.
    pub(crate) fn note_level(&self, ended: usize, fits: usize) {
        let level = self.level();
        if ended > level {
            self.quick.store(0, Ordering::Relaxed);
            self.level.store(ended, Ordering::Relaxed);
        } else if fits >= level {
            self.quick.store(0, Ordering::Relaxed);
        } else if self.quick.fetch_add(1, Ordering::Relaxed) + 1 >= PROBATION {
            self.quick.store(0, Ordering::Relaxed);
            self.level.store(level - 1, Ordering::Relaxed);
        }
    }

    /// Whether its calls are to be watched more closely.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) > 0
    }

    /// One of its calls may have held a serving thread for long.
    pub(crate) fn suspect(&self) {
        self.suspect.store(WATCHED, Ordering::Relaxed);
    }

    /// A call that was watched was quick, or not.
    pub(crate) fn acquit(&self, was_quick: bool) {
        if !was_quick {
            return self.note_level(1, 1);
        }
        let less = |suspect: u32| suspect.checked_sub(1);
        let order = Ordering::Relaxed;
        // An error says that it is 0 already.
        let _ = self.suspect.fetch_update(order, order, less);
    }

    /// Whether a guest may log so many bytes; `logged` is what its call has
    /// logged so far. A line that may not be logged is counted, and said so of
    /// once a second.
    pub(crate) fn may_log(&self, bytes: usize, logged: &AtomicUsize) -> bool {
        let second = self.pulse.elapsed().as_secs();
        let limits = &self.limits;
        let after = logged.load(Ordering::Relaxed).saturating_add(bytes);
        if after <= limits.log_per_call && self.log.spend(second, bytes, limits.log_per_second) {
            // One call, one thread at a time.
            logged.store(after, Ordering::Relaxed);
            return true;
        }
        let dropped = self.log.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if self.log.said.swap(second + 1, Ordering::Relaxed) != second + 1 {
            tracing::warn!(
                plugin = &*self.name,
                "a filter logs more than it may ({} KiB in a call, {} KiB in a second): {dropped} \
                 lines were dropped since the start",
                limits.log_per_call >> 10,
                limits.log_per_second >> 10,
            );
        }
        false
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes logged in the present second, over all calls of a plugin.
#[derive(Debug, Default)]
struct LogBudget {
    /// The second in the upper half, the bytes in the lower.
    window: AtomicU64,
    dropped: AtomicU64,
    /// One more than the second in which dropped lines were last spoken of.
    said: AtomicU64,
}

impl LogBudget {
    fn spend(&self, second: u64, bytes: usize, limit: usize) -> bool {
        let second = second & u64::from(u32::MAX);
        let spend = |window: u64| {
            let spent = match window >> 32 == second {
                true => window & u64::from(u32::MAX),
                false => 0,
            };
            let after = spent + u64::try_from(bytes).unwrap_or(u64::MAX / 2);
            let allowed = after
                <= u64::try_from(limit)
                    .unwrap_or(u64::MAX)
                    .min(u32::MAX.into());
            allowed.then_some(second << 32 | after)
        };
        let order = Ordering::Relaxed;
        self.window.fetch_update(order, order, spend).is_ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn account(limits: Limits) -> Arc<Account> {
        let memory = Arc::new(GuestMemory::new(usize::MAX));
        let places = Arc::new(Slots::new(8));
        let pulse = Arc::new(Pulse::new());
        Arc::new(Account::new("x".into(), limits, pulse, memory, places))
    }

    #[test]
    fn a_second_should_have_its_budget_and_the_next_a_new_one() {
        let budget = LogBudget::default();
        assert!(budget.spend(7, 60, 100));
        assert!(budget.spend(7, 40, 100), "exactly the limit");
        assert!(!budget.spend(7, 1, 100));
        assert!(budget.spend(8, 100, 100));
        assert!(!budget.spend(8, 1, 100));
    }

    #[tokio::test]
    async fn a_plugin_should_serve_so_many_calls_and_queue_so_many_more() {
        let limits = Limits {
            concurrent_calls: 1,
            waiting_calls: 1,
            wait: Duration::from_millis(50),
            ..crate::limits::GENEROUS
        };
        let account = account(limits);
        let first = account.turn(1).await.expect("the first");
        let waits = async {
            let (second, third) = tokio::join!(account.turn(1), account.turn(1));
            (second.err(), third.err())
        };
        let late = SandboxError::Busy {
            places: 1,
            wait: limits.wait,
        };
        assert_eq!(waits.await, (Some(late), Some(SandboxError::QueueFull(1))));
        assert_eq!(account.usage().calls, 1);
        drop(first);
        assert!(account.turn(1).await.is_ok());
    }

    #[tokio::test]
    async fn a_greedy_plugin_should_leave_places_to_others() {
        let limits = Limits {
            wait: Duration::from_millis(20),
            ..crate::limits::GENEROUS
        };
        let (memory, places) = (Arc::new(GuestMemory::new(0)), Arc::new(Slots::new(9)));
        let account = || {
            let (pulse, memory) = (Arc::new(Pulse::new()), Arc::clone(&memory));
            Account::new("x".into(), limits, pulse, memory, Arc::clone(&places))
        };
        let take = async |account: &Account| {
            let turn = account.turn(1).await?;
            let place = places.take(1, limits.wait, 9).await.expect("a place");
            Ok::<_, SandboxError>((turn, place))
        };
        let (greedy, modest) = (account(), account());
        let mut held = Vec::new();
        while let Ok(taken) = take(&greedy).await {
            held.push(taken);
        }
        assert_eq!(held.len(), 6, "two thirds");
        assert!(take(&modest).await.is_ok());
    }
}
