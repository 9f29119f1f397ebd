//! Many connections that call at an even pace, each call judged.
//!
//! The pace is what makes two measurements comparable: as many good calls come
//! in the quiet as under attack, whatever the hostile ones do to the machine. A
//! connection sends its next call when the time has come and the last reply is
//! there; what is measured is from the first byte sent to the last one read.
//!
//! Must not know what it is all for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::calls::Call;
use crate::tally::Tally;
use crate::worker::Worker;

/// Whether there is a runner to call. Odd while one ends or begins.
#[derive(Debug, Default)]
pub(crate) struct Presence(AtomicU64);

impl Presence {
    /// From here on calls may find nobody; or no longer.
    pub(crate) fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether a runner was there all the time since then.
    fn was_there_since(&self, before: u64) -> bool {
        before.is_multiple_of(2) && self.now() == before
    }
}

/// Connections that do the same.
pub(crate) struct Crowd {
    over: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    callers: JoinSet<()>,
}

/// What a connection calls: a number of its own for each call.
pub(crate) type NextCall = Box<dyn FnMut(u64) -> Call + Send>;

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Crowd {
            over: Arc::default(),
            tally: Arc::default(),
            callers: JoinSet::new(),
        }
    }

    /// One more connection, or as many as a worker needs for one call at a
    /// time.
    pub(crate) fn add(
        &mut self,
        worker: Arc<Worker>,
        presence: Arc<Presence>,
        every: Duration,
        mut next: NextCall,
    ) {
        let (over, tally) = (Arc::clone(&self.over), Arc::clone(&self.tally));
        // Not all at the same moment.
        let delay = every.mul_f64(fastrand::f64());
        self.callers.spawn(async move {
            tokio::time::sleep(delay).await;
            let mut pace = tokio::time::interval(every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 0.. {
                pace.tick().await;
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let call = next(number);
                let before = presence.now();
                let began = Instant::now();
                let outcome = worker.call(&call).await;
                let latency = began.elapsed();
                let there = presence.was_there_since(before);
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.count(&call, &outcome, latency, there);
            }
        });
    }

    /// What came of the calls so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count anew; what came so far is returned.
    pub(crate) fn count_anew(&self) -> Tally {
        std::mem::take(&mut *self.tally())
    }

    /// Waits for the calls in flight.
    pub(crate) async fn disperse(mut self) -> Tally {
        self.over.store(true, Ordering::Relaxed);
        while self.callers.join_next().await.is_some() {}
        self.count_anew()
    }
}
