//! Whether a snapshot is worth its price. Configuring each instance anew is
//! rent, capturing the configured state is buying: the one to change over is
//! when as much was paid in rent as buying costs. That is never more than
//! twice what knowing the future would have cost.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::SnapshotPolicy;

/// What configuring the instances of one filter has cost.
#[derive(Debug)]
pub(crate) struct Spending {
    /// Microseconds.
    spent: AtomicU64,
    /// Nothing more is counted: a snapshot was asked for, or never will be.
    settled: AtomicBool,
    /// How often the price was doubled, because what it bought was of no use.
    doubled: AtomicU32,
}

impl Spending {
    pub(crate) fn new(policy: SnapshotPolicy) -> Self {
        Spending {
            spent: AtomicU64::new(0),
            settled: AtomicBool::new(policy != SnapshotPolicy::Auto),
            doubled: AtomicU32::new(0),
        }
    }

    /// Adds what configuring one instance took. True once: when it is time to
    /// buy at this price, in microseconds.
    pub(crate) fn add(&self, took: Duration, price: &AtomicU64) -> bool {
        if self.settled.load(Ordering::Relaxed) {
            return false;
        }
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = self.spent.fetch_add(took, Ordering::Relaxed);
        let doubled = self.doubled.load(Ordering::Relaxed).min(30);
        let price = price.load(Ordering::Relaxed).saturating_mul(1 << doubled);
        before.saturating_add(took) >= price && !self.settled.swap(true, Ordering::Relaxed)
    }

    /// Counts from nothing again.
    pub(crate) fn begin_anew(&self) {
        self.spent.store(0, Ordering::Relaxed);
        self.settled.store(false, Ordering::Relaxed);
    }

    /// The same, at twice the price.
    pub(crate) fn put_off(&self) {
        self.doubled.fetch_add(1, Ordering::Relaxed);
        self.begin_anew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_should_be_asked_for_once_its_price_was_paid() {
        let price = AtomicU64::new(25_000);
        let spending = Spending::new(SnapshotPolicy::Auto);
        let asked = |calls: usize| {
            (0..calls)
                .filter(|_| spending.add(Duration::from_micros(10), &price))
                .count()
        };
        assert_eq!(asked(2_499), 0);
        assert_eq!(asked(1), 1);
        assert_eq!(asked(10_000), 0, "asked for already");
        spending.begin_anew();
        assert_eq!(asked(2_500), 1);
        spending.put_off();
        assert_eq!(asked(4_999), 0, "twice the price");
        assert_eq!(asked(1), 1);
    }

    #[test]
    fn only_auto_should_count() {
        let price = AtomicU64::new(1);
        for policy in [SnapshotPolicy::Always, SnapshotPolicy::Off] {
            assert!(!Spending::new(policy).add(Duration::from_secs(1), &price));
        }
    }
}
