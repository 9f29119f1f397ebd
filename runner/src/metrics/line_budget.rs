//! How many lines about one plugin's failures go into the log: enough to see
//! what is wrong, and no more than a disk can take from a filter that fails on
//! every call. Each failure is counted, whether or not there is a line of it.
//!
//! Must not know what the lines say.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lines in a second. As many may wait to be written (`telemetry`): more would
/// push out the lines of others.
const LINES: u64 = 500;

/// The lines of one plugin.
#[derive(Debug)]
pub struct LineBudget {
    made: Instant,
    /// The second in the upper half, the lines in it in the lower.
    window: AtomicU64,
    left_out: AtomicU64,
}

/// Of somebody who has written none yet.
impl Default for LineBudget {
    fn default() -> Self {
        LineBudget {
            made: Instant::now(),
            window: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }
}

impl LineBudget {
    /// Whether one more line may be written; how many were left out since the
    /// last one then.
    pub fn take(&self) -> Option<u64> {
        self.take_at(self.made.elapsed().as_secs())
    }

    fn take_at(&self, second: u64) -> Option<u64> {
        let second = second & u64::from(u32::MAX);
        let more = |window: u64| match window >> 32 == second {
            true if window & u64::from(u32::MAX) >= LINES => None,
            true => Some(window + 1),
            false => Some(second << 32 | 1),
        };
        let order = Ordering::Relaxed;
        match self.window.fetch_update(order, order, more) {
            Ok(_) => Some(self.left_out.swap(0, order)),
            Err(_) => {
                self.left_out.fetch_add(1, order);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_should_be_told_with_the_next_line() {
        let budget = LineBudget::default();
        for _ in 0..LINES {
            assert_eq!(budget.take_at(3), Some(0));
        }
        assert_eq!((budget.take_at(3), budget.take_at(3)), (None, None));
        assert_eq!(budget.take_at(4), Some(2));
        assert_eq!(budget.take_at(4), Some(0));
    }
}
