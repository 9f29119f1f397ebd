//! How long a guest has been computing, and how long it has taken. Two
//! different times: on a busy machine a guest waits for a processor, in a host
//! function it may sleep, and for the answer of the gateway or of a service it
//! has to wait. Only what it computes itself counts as computing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::pulse::{BEAT, Pulse};
use crate::slow_lane::{SLICE, is_lane, processor_time};

/// The most that one look may charge: the rest of the time since the last one
/// another process had the processor.
const MOST_PER_LOOK_US: u64 = 2 * BEAT.as_micros() as u64;

/// Says that the guest does not wait for the gateway or a service.
const NOT_WAITING: u64 = u64::MAX;

/// Shared by the store, whose epoch callback looks at it, and whoever polls the
/// guest from outside. All times are microseconds; those of the present stage
/// begin with it.
#[derive(Debug)]
pub(crate) struct GuestClock {
    pulse: Arc<Pulse>,
    made: Instant,
    /// When the present stage began.
    began: AtomicU64,
    compute_limit: AtomicU64,
    wall_limit: AtomicU64,
    computed: AtomicU64,
    /// When the guest was last looked at or let run.
    looked: AtomicU64,
    /// How often it was looked at since it was let run.
    looks: AtomicU32,
    waited: AtomicU64,
    /// Answers that it waits for at the same time, and since when there is one.
    waits: AtomicU32,
    waiting_since: AtomicU64,
    /// How many stages there were before this one.
    stage: AtomicU32,
}

/// The guest waits for an answer, until this is dropped or the stage is over.
pub(crate) struct Waiting {
    clock: Arc<GuestClock>,
    stage: u32,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.clock.stage.load(Ordering::Relaxed) == self.stage {
            self.clock.end_wait();
        }
    }
}

/// What a guest looks like in the middle of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It may be done soon.
    Short,
    /// It has computed for so long, more than a slice.
    Long(Duration),
}

/// The guest did not come back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalled(pub(crate) Duration);

impl GuestClock {
    /// How long the guest may compute, and how long it may take in all.
    pub(crate) fn start(
        pulse: &Arc<Pulse>,
        compute_limit: Duration,
        wall_limit: Duration,
    ) -> Arc<Self> {
        let clock = GuestClock {
            pulse: Arc::clone(pulse),
            made: Instant::now(),
            began: AtomicU64::new(0),
            compute_limit: AtomicU64::new(0),
            wall_limit: AtomicU64::new(0),
            computed: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            looks: AtomicU32::new(0),
            waited: AtomicU64::new(0),
            waits: AtomicU32::new(0),
            waiting_since: AtomicU64::new(NOT_WAITING),
            stage: AtomicU32::new(0),
        };
        clock.set_limits(compute_limit, wall_limit);
        Arc::new(clock)
    }

    /// A new stage begins, with limits of its own. Returns how long the last
    /// one took.
    pub(crate) fn restart(&self, compute_limit: Duration, wall_limit: Duration) -> Duration {
        let now = self.now();
        let before = self.began.swap(now, Ordering::Relaxed);
        self.set_limits(compute_limit, wall_limit);
        self.computed.store(0, Ordering::Relaxed);
        self.looked.store(self.reading(), Ordering::Relaxed);
        self.waited.store(0, Ordering::Relaxed);
        self.waits.store(0, Ordering::Relaxed);
        self.stage.fetch_add(1, Ordering::Relaxed);
        self.waiting_since.store(NOT_WAITING, Ordering::Relaxed);
        Duration::from_micros(now.saturating_sub(before))
    }

    fn set_limits(&self, compute: Duration, wall: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.compute_limit.store(micros(compute), Ordering::Relaxed);
        self.wall_limit.store(micros(wall), Ordering::Relaxed);
    }

    pub(crate) fn compute_limit(&self) -> Duration {
        Duration::from_micros(self.compute_limit.load(Ordering::Relaxed))
    }

    /// Charges what the guest computed since the last look. Returns what it has
    /// computed in this stage, or `None` when it has used up its time.
    pub(crate) fn charge(&self) -> Option<Duration> {
        self.pulse.guest_runs();
        let now = self.reading();
        let since = now.saturating_sub(self.looked.swap(now, Ordering::Relaxed));
        let charged = match is_lane() {
            true => since,
            false => since.min(MOST_PER_LOOK_US),
        };
        let computed = charged + self.computed.fetch_add(charged, Ordering::Relaxed);
        let is_allowed = computed < self.compute_limit.load(Ordering::Relaxed);
        is_allowed.then(|| Duration::from_micros(computed))
    }

    /// Looks at a guest in the middle of its work, at a beat. Returns what it
    /// has computed, or `None` when it has used up its time.
    pub(crate) fn look(&self) -> Option<Look> {
        let computed = self.charge()?;
        if computed >= SLICE {
            self.pulse.guest_takes_long();
        }
        // A guest that lost the processor in between is seen once, however long
        // that was.
        let is_first = self.looks.fetch_add(1, Ordering::Relaxed) == 0 && !is_lane();
        Some(match is_first || computed < SLICE {
            true => Look::Short,
            false => Look::Long(computed),
        })
    }

    /// From here on the guest waits for an answer, perhaps for one more.
    pub(crate) fn begin_wait(&self) {
        if self.waits.fetch_add(1, Ordering::Relaxed) == 0 {
            self.waiting_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// It does not any more.
    pub(crate) fn end_wait(&self) {
        let less = |waits: u32| waits.checked_sub(1);
        let order = Ordering::Relaxed;
        if self.waits.fetch_update(order, order, less) == Ok(1) {
            self.waited
                .fetch_add(self.present_wait(), Ordering::Relaxed);
            self.waiting_since.store(NOT_WAITING, Ordering::Relaxed);
        }
    }

    /// The same for a wait that may be given up, or end when its stage is over.
    pub(crate) fn wait(clock: &Arc<Self>) -> Waiting {
        clock.begin_wait();
        Waiting {
            clock: Arc::clone(clock),
            stage: clock.stage.load(Ordering::Relaxed),
        }
    }

    /// Lets a guest run, as long as it may take. The epoch ends one that
    /// computes for too long; this ends one that sleeps. A guest that comes
    /// back at once costs no timer.
    pub(crate) async fn run<F: Future>(&self, guest: F) -> Result<F::Output, Stalled> {
        let mut guest = std::pin::pin!(guest);
        let mut timer = std::pin::pin!(None::<Sleep>);
        std::future::poll_fn(|context| {
            self.pulse.guest_runs();
            self.looked.store(self.reading(), Ordering::Relaxed);
            self.looks.store(0, Ordering::Relaxed);
            let before = self.pulse.now();
            if let Poll::Ready(done) = guest.as_mut().poll(context) {
                // It was not interrupted where it should have been: the host
                // worked for it.
                let is_late = self.pulse.now() != before && self.left() == 0;
                return Poll::Ready(if is_late {
                    Err(self.stalled())
                } else {
                    Ok(done)
                });
            }
            self.charge();
            loop {
                if timer.is_none() {
                    // While it waits for the gateway there is nothing to look
                    // at soon.
                    let soon = Duration::from_micros(self.left()).max(BEAT);
                    timer.set(Some(tokio::time::sleep(soon)));
                }
                match timer.as_mut().as_pin_mut().map(|timer| timer.poll(context)) {
                    Some(Poll::Ready(())) if self.left() == 0 => {
                        return Poll::Ready(Err(self.stalled()));
                    }
                    Some(Poll::Ready(())) => timer.set(None),
                    Some(Poll::Pending) | None => return Poll::Pending,
                }
            }
        })
        .await
    }

    fn stalled(&self) -> Stalled {
        let limit = self.wall_limit.load(Ordering::Relaxed);
        Stalled(Duration::from_micros(limit))
    }

    /// What is left on the wall. While the guest waits for the gateway it does
    /// not get less.
    fn left(&self) -> u64 {
        let waited = self.waited.load(Ordering::Relaxed) + self.present_wait();
        let began = self.began.load(Ordering::Relaxed);
        let taken = self.now().saturating_sub(began).saturating_sub(waited);
        self.wall_limit
            .load(Ordering::Relaxed)
            .saturating_sub(taken)
    }

    fn present_wait(&self) -> u64 {
        match self.waiting_since.load(Ordering::Relaxed) {
            NOT_WAITING => 0,
            since => self.now().saturating_sub(since),
        }
    }

    /// What is compared to say how long a guest computed. In a lane others have
    /// the processor much of the time; elsewhere the clock on the wall is close
    /// enough, and costs less to read. A guest is looked at before it is let
    /// run, so both readings are of one thread.
    fn reading(&self) -> u64 {
        match is_lane() {
            true => u64::try_from(processor_time().as_micros()).unwrap_or_default(),
            false => self.now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_micros()).unwrap_or(NOT_WAITING - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn start(compute_limit: Duration, wall_limit: Duration) -> Arc<GuestClock> {
        GuestClock::start(&Arc::new(Pulse::new()), compute_limit, wall_limit)
    }

    #[tokio::test]
    async fn a_guest_that_sleeps_should_be_stopped_by_the_wall() {
        let clock = start(20 * MS, 50 * MS);
        let outcome = clock.run(tokio::time::sleep(Duration::from_secs(60))).await;
        assert_eq!(outcome, Err(Stalled(50 * MS)));
    }

    #[tokio::test]
    async fn waiting_for_the_gateway_should_count_for_nothing() {
        let clock = start(20 * MS, 50 * MS);
        let waits = async {
            for _ in 0..4 {
                clock.begin_wait();
                tokio::time::sleep(40 * MS).await;
                clock.end_wait();
            }
        };
        assert_eq!(clock.run(waits).await, Ok(()));
        assert!(clock.charge().is_some(), "hardly anything was computed");
    }

    #[tokio::test]
    async fn waits_at_the_same_time_should_end_with_the_last() {
        let clock = start(20 * MS, 50 * MS);
        let waits = async {
            let first = GuestClock::wait(&clock);
            let second = GuestClock::wait(&clock);
            tokio::time::sleep(80 * MS).await;
            drop(first);
            tokio::time::sleep(80 * MS).await;
            drop(second);
        };
        assert_eq!(clock.run(waits).await, Ok(()));
        let of_another_stage = GuestClock::wait(&clock);
        clock.restart(20 * MS, 50 * MS);
        clock.begin_wait();
        drop(of_another_stage);
        assert_ne!(clock.waiting_since.load(Ordering::Relaxed), NOT_WAITING);
    }

    #[tokio::test]
    async fn only_the_guests_own_computing_should_be_charged() {
        let clock = start(40 * MS, Duration::from_secs(60));
        let naps = async {
            for _ in 0..10 {
                tokio::time::sleep(8 * MS).await;
            }
        };
        assert_eq!(clock.run(naps).await, Ok(()));
        assert!(clock.charge().is_some(), "naps are no work");
        let work = async {
            for _ in 0..20 {
                std::thread::sleep(4 * MS);
                yield_once().await;
            }
        };
        assert_eq!(clock.run(work).await, Ok(()));
        assert!(clock.charge().is_none(), "80 ms of work");
    }

    /// A future that gives the thread away once.
    async fn yield_once() {
        let mut yielded = false;
        std::future::poll_fn(|context| match std::mem::replace(&mut yielded, true) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }
}
