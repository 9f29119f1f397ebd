//! What all instances of a plugin have in common: its name, what each may use,
//! and what they used together. Knows no instance and no call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::pulse::Pulse;
use crate::slots::{Refused, Slots, Taken};
use crate::{Limits, SandboxError};

/// The account of one plugin.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) pulse: Arc<Pulse>,
    /// One for each call that may be served at the same time.
    turns: Arc<Slots>,
    memory_peak: AtomicUsize,
    log: LogBudget,
    /// How much its calls are to be kept off the serving threads; see
    /// [`Account::is_slow`].
    slow: AtomicU32,
}

/// What the instances of a plugin have used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginUsage {
    /// Bytes of memory that the largest instance ever had.
    pub memory_peak: usize,
    /// Lines that guests wanted to log and were not allowed to.
    pub log_lines_dropped: u64,
    /// Calls that are being served.
    pub calls: u32,
    /// Calls that wait until one of those ends.
    pub waiting_calls: u32,
}

/// Calls in a row that have to be quick before a plugin that was slow gets a
/// serving thread again.
const PROBATION: u32 = 16;

impl Account {
    /// `places` is how many instances there may be of all plugins: more calls
    /// than that need no turn.
    pub(crate) fn new(name: Arc<str>, limits: Limits, pulse: Arc<Pulse>, places: u32) -> Self {
        Account {
            name,
            limits,
            pulse,
            turns: Arc::new(Slots::new(limits.concurrent_calls.min(places))),
            memory_peak: AtomicUsize::new(0),
            log: LogBudget::default(),
            slow: AtomicU32::new(0),
        }
    }

    pub(crate) fn usage(&self) -> PluginUsage {
        let turns = self.turns.usage();
        PluginUsage {
            memory_peak: self.memory_peak.load(Ordering::Relaxed),
            log_lines_dropped: self.log.dropped.load(Ordering::Relaxed),
            calls: turns.taken,
            waiting_calls: turns.waiting,
        }
    }

    /// Waits until the plugin may serve one more call.
    pub(crate) async fn turn(&self) -> Result<Taken, SandboxError> {
        let Limits {
            waiting_calls,
            wait,
            ..
        } = self.limits;
        let turn = self.turns.take(1, wait, waiting_calls).await;
        turn.map_err(|refused| match refused {
            Refused::QueueFull => SandboxError::QueueFull(waiting_calls),
            Refused::TooLate => SandboxError::Busy {
                calls: self.turns.total(),
                wait,
            },
        })
    }

    pub(crate) fn note_memory(&self, used: usize) {
        if self.memory_peak.load(Ordering::Relaxed) < used {
            self.memory_peak.fetch_max(used, Ordering::Relaxed);
        }
    }

    /// Whether its next call had better not begin on a thread that serves
    /// others: those before it took too long there.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed) > 0
    }

    /// A call took long.
    pub(crate) fn was_slow(&self) {
        self.slow.store(PROBATION, Ordering::Relaxed);
    }

    /// A call of a slow plugin was quick.
    pub(crate) fn was_quick(&self) {
        let less = |slow: u32| slow.checked_sub(1);
        // An error says that it is 0 already.
        let _ = self
            .slow
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Whether a guest may log so many bytes; `logged` is what its call has
    /// logged so far. A line that may not be logged is counted, and said so of
    /// once a second.
    pub(crate) fn may_log(&self, bytes: usize, logged: &mut usize) -> bool {
        let second = self.pulse.elapsed().as_secs();
        let limits = &self.limits;
        let after = logged.saturating_add(bytes);
        if after <= limits.log_per_call && self.log.spend(second, bytes, limits.log_per_second) {
            *logged = after;
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
mod tests {
    use super::*;
    use std::time::Duration;

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
        let account = Account::new("x".into(), limits, Arc::new(Pulse::new()), 8);
        let first = account.turn().await.expect("the first");
        let waits = async {
            let (second, third) = tokio::join!(account.turn(), account.turn());
            (second.err(), third.err())
        };
        let late = SandboxError::Busy {
            calls: 1,
            wait: limits.wait,
        };
        assert_eq!(waits.await, (Some(late), Some(SandboxError::QueueFull(1))));
        assert_eq!(account.usage().calls, 1);
        drop(first);
        assert!(account.turn().await.is_ok());
    }
}
