//! What came of the calls that were measured.
//!
//! Must not know what a call is.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::failure::Failure;

/// Latencies are kept to a thousandth of themselves.
const DIGITS: u8 = 3;

/// Longer than the gateway waits for a reply, nanoseconds.
const LONGEST: u64 = 120_000_000_000;

/// Counts of one measurement.
#[derive(Debug)]
pub(super) struct Tally {
    /// Nanoseconds from the first byte written to the last byte read.
    latencies: Histogram<u64>,
    /// Calls that were not served.
    failures: BTreeMap<Failure, u64>,
    /// Questions that filters asked.
    pub(super) questions: u64,
    /// How often the runner had forgotten the configuration.
    pub(super) prepared_anew: u64,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            latencies: Histogram::new_with_max(LONGEST, DIGITS)
                .expect("bounds and digits that a histogram can have"),
            failures: BTreeMap::new(),
            questions: 0,
            prepared_anew: 0,
        }
    }

    /// A call was served.
    pub(super) fn served(&mut self, latency: Duration, questions: u64) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanoseconds);
        self.questions += questions;
    }

    /// A call was not served.
    pub(super) fn failed(&mut self, failure: Failure, calls: u64) {
        if calls > 0 {
            *self.failures.entry(failure).or_default() += calls;
        }
    }

    /// Calls served.
    pub(super) fn requests(&self) -> u64 {
        self.latencies.len()
    }

    /// Calls that failed, by kind.
    pub(super) fn failures(&self) -> &BTreeMap<Failure, u64> {
        &self.failures
    }

    /// Calls served or failed.
    pub(super) fn calls(&self) -> u64 {
        self.requests() + self.failures.values().sum::<u64>()
    }

    /// The latency that this share of the calls did not exceed, microseconds.
    pub(super) fn latency_us(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// The mean latency, microseconds.
    pub(super) fn mean_us(&self) -> f64 {
        self.latencies.mean() / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_should_be_those_of_the_calls_served() {
        let mut tally = Tally::new();
        for latency in 1..=1000 {
            tally.served(Duration::from_micros(latency), 0);
        }
        tally.failed(Failure::Closed, 3);
        for (quantile, expected) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = tally.latency_us(quantile);
            let off = (found - expected).abs() / expected;
            assert!(off <= 0.001, "{quantile}: {found} instead of {expected}");
        }
        assert_eq!((tally.requests(), tally.calls()), (1000, 1003));
    }

    #[test]
    fn a_very_long_call_should_be_kept() {
        let mut tally = Tally::new();
        tally.served(Duration::from_secs(60), 0);
        assert!((tally.latency_us(1.0) / 60e6 - 1.0).abs() < 0.001);
    }

    #[test]
    fn no_failures_should_leave_no_kind_behind() {
        let mut tally = Tally::new();
        tally.failed(Failure::Unanswered, 0);
        assert!(tally.failures().is_empty());
    }
}
