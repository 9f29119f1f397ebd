//! A line that moves while a run goes on; on a terminal only.
//!
//! Must not know what is counted for the figures.

use std::cell::Cell;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::Tally;
use crate::cli::BenchOptions;

/// The line.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    requests: bool,
    began: Cell<Instant>,
}

impl Progress {
    /// As long as the run.
    pub(super) fn new(options: &BenchOptions) -> Self {
        let length = match options.requests {
            Some(requests) => requests.get(),
            None => u64::try_from(options.duration.as_millis()).unwrap_or(u64::MAX),
        };
        // Draws on stderr, and nothing where that is no terminal.
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed_precise}  {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            requests: options.requests.is_some(),
            began: Cell::new(Instant::now()),
        }
    }

    /// Nothing is measured yet.
    pub(super) fn warming(&self) {
        self.bar.set_message("warming up");
        self.bar.tick();
    }

    /// From now on calls are measured.
    pub(super) fn begin(&self) {
        self.began.set(Instant::now());
    }

    /// So much is done.
    pub(super) fn show(&self, tally: &Tally) {
        if self.bar.is_hidden() {
            return;
        }
        let elapsed = self.began.get().elapsed();
        let calls = tally.calls();
        self.bar.set_position(match self.requests {
            true => calls,
            false => u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        let failed = calls - tally.requests();
        self.bar.set_message(format!(
            "{calls} calls, p50 {:.1} us, p99 {:.1} us, {failed} failed",
            tally.latency_us(0.5),
            tally.latency_us(0.99)
        ));
    }

    /// The figures take its place.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
