//! Time as a store counts it: milliseconds since it was made, which no change
//! of the system's clock moves. Only what is written to a file is in the time
//! of the wall, because nothing else is the same after a restart.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment that never comes: of an entry without a lifetime.
pub(crate) const NEVER: u64 = u64::MAX;

/// In a file, 0 stands for [`NEVER`].
const NEVER_IN_FILE: u64 = 0;

/// A century, in milliseconds. Longer lifetimes are cut to it: Redis refuses
/// what leaves 64 bits when it is added to the time of day.
const MAX_LIFETIME: u64 = 100 * 365 * 24 * 3600 * 1000;

/// A lifetime in whole milliseconds, at least one.
pub(crate) fn milliseconds(lifetime: Duration) -> u64 {
    let rounded_up = lifetime.as_nanos().div_ceil(1_000_000);
    u64::try_from(rounded_up)
        .unwrap_or(MAX_LIFETIME)
        .clamp(1, MAX_LIFETIME)
}

/// The clock of one store.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Clock {
            started: Instant::now(),
        }
    }

    /// In milliseconds.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER)
    }

    /// When an entry ends that begins now.
    pub(crate) fn deadline(now: u64, lifetime: Option<Duration>) -> u64 {
        lifetime.map_or(NEVER, |lifetime| now.saturating_add(milliseconds(lifetime)))
    }

    /// A deadline as a file holds it.
    pub(crate) fn to_file(now: u64, deadline: u64) -> u64 {
        if deadline == NEVER {
            return NEVER_IN_FILE;
        }
        wall_now()
            .saturating_add(deadline.saturating_sub(now))
            .max(1)
    }

    /// A deadline that a file held; none where it has passed.
    pub(crate) fn from_file(now: u64, deadline: u64) -> Option<u64> {
        if deadline == NEVER_IN_FILE {
            return Some(NEVER);
        }
        let remaining = deadline.saturating_sub(wall_now()).min(MAX_LIFETIME);
        (remaining > 0).then(|| now.saturating_add(remaining))
    }
}

/// Milliseconds since 1970.
fn wall_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_should_have_at_least_one_millisecond_and_at_most_a_century() {
        let rows = [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_micros(1001), 2),
            (Duration::from_secs(60), 60_000),
            (Duration::MAX, MAX_LIFETIME),
        ];
        for (lifetime, expected) in rows {
            assert_eq!(milliseconds(lifetime), expected, "{lifetime:?}");
        }
    }

    #[test]
    fn a_deadline_should_survive_the_way_through_a_file() {
        let hour = 3_600_000;
        let written = Clock::to_file(5_000, 5_000 + hour);
        let read = Clock::from_file(7, written).expect("not over");
        assert!(read <= 7 + hour && read > hour / 2, "{read}");
        assert_eq!(
            Clock::from_file(7, Clock::to_file(5_000, NEVER)),
            Some(NEVER)
        );
        assert_eq!(Clock::from_file(7, Clock::to_file(5_000, 4_000)), None);
    }
}
