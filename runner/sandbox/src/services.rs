//! How much the filters of one call have asked of services, which are what
//! grants reach: other servers, the store. They have one count and one time for
//! all of it. Waiting is kept off the guest's own time.
//!
//! Must not know which service it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::guest_clock::{GuestClock, Waiting};

/// What is asked of services in one call; made by the first that asks.
#[derive(Debug, Default)]
pub(crate) struct ServiceUse {
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    asked: u32,
    under_way: u32,
    /// Since when there is always one under way.
    since: Option<Instant>,
    waited: Duration,
}

/// How much may be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceAllowance {
    /// Times in the whole call.
    pub(crate) calls: u32,
    /// Waiting in the whole call; what is waited for at the same time counts
    /// once.
    pub(crate) time: Duration,
}

/// The call has asked too much; nothing was asked this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exhausted {
    #[error("the filters of one call may ask services {0} times (limits.service_calls)")]
    Calls(u32),
    #[error(
        "the filters of one call may wait {} ms for services (limits.services_ms)",
        .0.as_millis()
    )]
    Time(Duration),
}

/// There was no answer within this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} ms", .0.as_millis())]
pub(crate) struct TooLate(pub(crate) Duration);

/// A service was asked; the answer is waited for until this is dropped.
pub(crate) struct UnderWay {
    of: Arc<ServiceUse>,
    _waiting: Waiting,
    /// What may be waited for it.
    pub(crate) time: Duration,
}

impl ServiceUse {
    /// Asks once more, for a guest that has this clock.
    pub(crate) fn begin(
        self: &Arc<Self>,
        allowed: ServiceAllowance,
        clock: &Arc<GuestClock>,
    ) -> Result<UnderWay, Exhausted> {
        let mut tally = self.tally();
        if tally.asked >= allowed.calls {
            return Err(Exhausted::Calls(allowed.calls));
        }
        let time = allowed.time.saturating_sub(tally.waited());
        if time.is_zero() {
            return Err(Exhausted::Time(allowed.time));
        }
        tally.asked += 1;
        tally.under_way += 1;
        tally.since.get_or_insert_with(Instant::now);
        Ok(UnderWay {
            of: Arc::clone(self),
            _waiting: GuestClock::wait(clock),
            time,
        })
    }

    /// How many answers are waited for.
    pub(crate) fn under_way(&self) -> u32 {
        self.tally().under_way
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn waited(&self) -> Duration {
        self.waited + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl UnderWay {
    /// Waits for the answer: as long as may be, or for a shorter time.
    pub(crate) async fn within<F: Future>(
        self,
        shorter: Option<Duration>,
        answer: F,
    ) -> Result<F::Output, TooLate> {
        let time = shorter.map_or(self.time, |shorter| shorter.min(self.time));
        let waited = tokio::time::timeout(time, answer).await;
        waited.map_err(|_| TooLate(time))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut tally = self.of.tally();
        tally.under_way -= 1;
        if tally.under_way == 0 {
            tally.waited = tally.waited();
            tally.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulse::Pulse;

    const MS: Duration = Duration::from_millis(1);

    fn clock() -> Arc<GuestClock> {
        GuestClock::start(&Arc::new(Pulse::new()), 20 * MS, 50 * MS)
    }

    #[tokio::test]
    async fn a_call_should_ask_so_often_and_wait_so_long() {
        let (clock, used) = (clock(), Arc::<ServiceUse>::default());
        let allowed = ServiceAllowance {
            calls: 3,
            time: 30 * MS,
        };
        let answer = async {
            let first = used.begin(allowed, &clock).expect("the first");
            assert_eq!(first.within(None, async { 7 }).await, Ok(7));
            let second = used.begin(allowed, &clock).expect("the second");
            let late = second.within(Some(MS), std::future::pending::<()>()).await;
            assert_eq!(late, Err(TooLate(MS)));
            let third = used.begin(allowed, &clock).expect("the third");
            assert!(third.time < 30 * MS, "what was waited is gone");
            let late = third.within(None, std::future::pending::<()>()).await;
            assert!(late.is_err());
            used.begin(allowed, &clock).err()
        };
        assert_eq!(clock.run(answer).await, Ok(Some(Exhausted::Calls(3))));
        let more = ServiceAllowance {
            calls: 9,
            ..allowed
        };
        assert_eq!(
            used.begin(more, &clock).err(),
            Some(Exhausted::Time(30 * MS))
        );
        assert!(clock.charge().is_some(), "waiting is no computing");
    }

    #[tokio::test]
    async fn what_is_waited_for_at_the_same_time_should_count_once() {
        let (clock, used) = (clock(), Arc::<ServiceUse>::default());
        let allowed = ServiceAllowance {
            calls: 3,
            time: Duration::from_secs(60),
        };
        let both = [(); 2].map(|()| used.begin(allowed, &clock).expect("allowed"));
        assert_eq!(used.under_way(), 2);
        tokio::time::sleep(20 * MS).await;
        let waited = used.tally().waited();
        drop(both);
        assert!(used.tally().waited() >= waited);
        assert_eq!(used.under_way(), 0);
        assert_eq!(used.tally().since, None);
    }
}
