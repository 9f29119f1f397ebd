//! Judges calls and counts them.
//!
//! Must not know who calls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use protocol::gateway_side::Reply;

use crate::calls::{Call, Wrong};
use crate::connection::Lost;
use crate::worker::Worker;

/// Latencies are kept to a thousandth of themselves.
const DIGITS: u8 = 3;

/// Longer than the gateway waits, microseconds.
const LONGEST: u64 = 120_000_000;

/// Kinds of wrong answers that are kept in words.
const WORDS: usize = 200;

/// Counts of calls.
#[derive(Debug)]
pub(crate) struct Tally {
    latencies: Histogram<u64>,
    pub(crate) calls: u64,
    /// Calls that failed because nobody was there to serve them.
    pub(crate) excused: u64,
    pub(crate) wrong: u64,
    /// By what was called: how often, and the first of them in words.
    pub(crate) faults: BTreeMap<String, (u64, String)>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            latencies: Histogram::new_with_max(LONGEST, DIGITS)
                .expect("bounds and digits that a histogram can have"),
            calls: 0,
            excused: 0,
            wrong: 0,
            faults: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Makes a call and counts it.
    pub(crate) async fn judge(&mut self, worker: &Worker, call: &Call) {
        let began = Instant::now();
        let outcome = worker.call(call).await;
        self.count(call, &outcome, began.elapsed(), true);
    }

    /// Counts a call. One that found nobody, or one who had to go, is excused
    /// where the runner was not `there` all the time; an answer that is wrong
    /// never is, unless it depends on which runner it was.
    pub(crate) fn count(
        &mut self,
        call: &Call,
        outcome: &Result<(u32, Reply), Lost>,
        latency: Duration,
        there: bool,
    ) {
        self.calls += 1;
        let verdict = match outcome {
            Ok((id, reply)) => call.verify(*id, reply),
            Err(Lost::Refused(_) | Lost::Closed(_)) if !there => Err(Wrong::Unavailable),
            Err(lost) => Err(Wrong::Answer(lost.to_string())),
        };
        match verdict {
            Ok(()) => {
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                self.latencies.saturating_record(micros);
            }
            Err(Wrong::Unavailable) if !there => self.excused += 1,
            Err(Wrong::Answer(_)) if !there && outcome.is_ok() && call.depends_on_the_process() => {
                self.excused += 1;
            }
            Err(wrong) => {
                self.wrong += 1;
                let called = call.shown();
                if self.faults.len() < WORDS || self.faults.contains_key(&called) {
                    let fault = self.faults.entry(called);
                    fault.or_insert_with(|| (0, wrong.to_string())).0 += 1;
                }
            }
        }
    }

    /// Counts what another has counted, too.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.latencies += &other.latencies;
        self.calls += other.calls;
        self.excused += other.excused;
        self.wrong += other.wrong;
        for (called, (times, first)) in &other.faults {
            let fault = self.faults.entry(called.clone());
            fault.or_insert_with(|| (0, first.clone())).0 += times;
        }
    }

    /// The latency that this share of the calls did not exceed.
    pub(crate) fn latency(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(quantile))
    }
}
