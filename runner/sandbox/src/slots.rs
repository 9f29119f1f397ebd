//! The right to make an instance: a queue in front of wasmtime's pool, whose
//! exhaustion is an error. Taking and giving back costs one atomic operation
//! each and no lock, unless somebody has to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

/// So many instances may exist at the same time.
#[derive(Debug)]
pub(crate) struct Slots {
    total: u32,
    free: AtomicU32,
    /// Those who have looked for slots in vain. Nobody overtakes them.
    waiting: AtomicU32,
    /// They stand in line for it; its holder is next.
    next: Mutex<()>,
    given_back: Notify,
}

/// How many of them are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotUsage {
    pub(crate) taken: u32,
    /// Those who stand in line.
    pub(crate) waiting: u32,
}

/// Why somebody got none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many stand in line already.
    QueueFull,
    /// None were given back in time.
    TooLate,
}

/// Slots taken, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    slots: Arc<Slots>,
    count: u32,
}

impl Slots {
    /// At least one.
    pub(crate) fn new(total: u32) -> Self {
        let total = total.max(1);
        Slots {
            total,
            free: AtomicU32::new(total),
            waiting: AtomicU32::new(0),
            next: Mutex::new(()),
            given_back: Notify::new(),
        }
    }

    /// How many there are.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    pub(crate) fn usage(&self) -> SlotUsage {
        SlotUsage {
            taken: self.total - self.free.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// How many nobody has.
    pub(crate) fn free(&self) -> u32 {
        self.free.load(Ordering::Relaxed)
    }

    /// Whether somebody waits.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Waits for so many, or for all where there are not so many, at the end of
    /// a line of at most `queue` others.
    ///
    /// # Errors
    /// [`Refused`], where the line is full or that takes longer than `patience`.
    pub(crate) async fn take(
        self: &Arc<Self>,
        count: u32,
        patience: Duration,
        queue: u32,
    ) -> Result<Taken, Refused> {
        let count = count.min(self.total);
        if !self.is_crowded()
            && let Some(taken) = self.try_take(count)
        {
            return Ok(taken);
        }
        let waiting = Waiting::one_more(&self.waiting, queue).ok_or(Refused::QueueFull)?;
        tokio::time::timeout(patience, self.wait_for(count, waiting))
            .await
            .map_err(|_| Refused::TooLate)
    }

    fn try_take(self: &Arc<Self>, count: u32) -> Option<Taken> {
        let take = |free: u32| free.checked_sub(count);
        let taken = self
            .free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.ok().map(|_| Taken {
            slots: Arc::clone(self),
            count,
        })
    }

    async fn wait_for(self: &Arc<Self>, count: u32, _waiting: Waiting<'_>) -> Taken {
        let _next = self.next.lock().await;
        loop {
            // What was given back before this one counted as waiting is seen
            // here; what is given back later wakes it.
            if let Some(taken) = self.try_take(count) {
                return taken;
            }
            self.given_back.notified().await;
        }
    }
}

impl Taken {
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.slots.free.fetch_add(self.count, Ordering::SeqCst);
        if self.slots.is_crowded() {
            self.slots.given_back.notify_one();
        }
    }
}

/// One who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    /// Behind fewer than `queue` others.
    fn one_more(waiting: &'a AtomicU32, queue: u32) -> Option<Self> {
        let more = |others: u32| (others < queue).then(|| others + 1);
        let counted = waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        counted.is_ok().then(|| Waiting(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn who_waits_in_vain_should_be_told() {
        let slots = Arc::new(Slots::new(2));
        let _all = slots.take(5, LONG, 9).await.expect("as many as there are");
        let short = Duration::from_millis(5);
        let refused = slots.take(1, short, 9).await.expect_err("all are taken");
        assert_eq!(refused, Refused::TooLate);
        let refused = slots.take(1, LONG, 0).await.expect_err("nobody may wait");
        assert_eq!(refused, Refused::QueueFull);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everybody_should_get_their_turn_and_nobody_too_much() {
        let slots = Arc::new(Slots::new(3));
        let held = Arc::new(AtomicU32::new(0));
        let turns: Vec<_> = (0..64_u32)
            .map(|number| {
                let (slots, held, count) = (Arc::clone(&slots), Arc::clone(&held), 1 + number % 3);
                tokio::spawn(async move {
                    for _ in 0..200 {
                        let _taken = slots.take(count, LONG, 64).await.expect("a turn");
                        let now = held.fetch_add(count, Ordering::SeqCst) + count;
                        assert!(now <= 3, "{now} of 3");
                        tokio::task::yield_now().await;
                        held.fetch_sub(count, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for turn in turns {
            turn.await.expect("no panic");
        }
        assert_eq!(slots.free.load(Ordering::SeqCst), 3);
    }
}
