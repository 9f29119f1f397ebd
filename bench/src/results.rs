//! All figures of a run, round by round, and medians of them.
//!
//! Must not know how they are shown.

use std::collections::BTreeMap;

use crate::bench_command::Figures;
use crate::cases::{FLOOR, ONE_CORE, USUAL, WIDE};
use crate::statistics::{median, spread};

/// Which load on which subject over how many connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) load: String,
    pub(crate) subject: String,
    pub(crate) connections: u32,
}

impl Key {
    pub(crate) fn new(load: &str, subject: &str, connections: u32) -> Self {
        Self {
            load: load.into(),
            subject: subject.into(),
            connections,
        }
    }

    /// The floor under it: with the same request.
    fn floor(&self) -> Self {
        let others = [WIDE, ONE_CORE];
        let load = others.into_iter().find(|other| self.load == *other);
        Self::new(load.unwrap_or(USUAL), FLOOR, self.connections)
    }
}

/// A figure beyond loads: which, and of which subject.
pub(crate) type Extreme = (&'static str, &'static str);

#[derive(Debug, Default)]
pub(crate) struct Results {
    rounds: BTreeMap<Key, Vec<Figures>>,
    extremes: BTreeMap<Extreme, Vec<f64>>,
    /// What was not measured, and why.
    pub(crate) skipped: BTreeMap<String, String>,
}

/// One figure of many.
pub(crate) type Pick = fn(&Figures) -> Option<f64>;

pub(crate) const PER_SECOND: Pick = |figures| Some(figures.per_second);
pub(crate) const P50: Pick = |figures| Some(figures.latency_us.p50);
pub(crate) const P99: Pick = |figures| Some(figures.latency_us.p99);
pub(crate) const P99_9: Pick = |figures| Some(figures.latency_us.p99_9);
pub(crate) const CPU: Pick = |figures| Some(figures.process.as_ref()?.cpu_us);
pub(crate) const USER: Pick = |figures| Some(figures.process.as_ref()?.user_us);
pub(crate) const SYSTEM: Pick = |figures| Some(figures.process.as_ref()?.system_us);

impl Results {
    /// One round more.
    pub(crate) fn add(&mut self, key: Key, figures: Figures) {
        self.rounds.entry(key).or_default().push(figures);
    }

    /// One value more.
    pub(crate) fn add_extreme(&mut self, extreme: Extreme, value: f64) {
        self.extremes.entry(extreme).or_default().push(value);
    }

    /// The median over all rounds.
    pub(crate) fn median(&self, key: &Key, pick: Pick) -> Option<f64> {
        median(self.rounds.get(key)?.iter().filter_map(pick))
    }

    /// The same as a multiple of the floor's.
    pub(crate) fn relative(&self, key: &Key, pick: Pick) -> Option<f64> {
        Some(self.median(key, pick)? / self.median(&key.floor(), pick)?)
    }

    /// Least and greatest of all rounds, percent of the median.
    pub(crate) fn spread(&self, key: &Key, pick: Pick) -> Option<(f64, f64)> {
        spread(self.rounds.get(key)?.iter().filter_map(pick))
    }

    /// The median of a figure beyond loads.
    pub(crate) fn extreme(&self, extreme: Extreme) -> Option<f64> {
        median(self.extremes.get(&extreme)?.iter().copied())
    }

    /// All loads that were measured on a subject, with their connections.
    pub(crate) fn loads(&self) -> impl Iterator<Item = &Key> {
        self.rounds.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(per_second: f64) -> Figures {
        let text = format!(
            r#"{{"per_second":{per_second},"latency_us":{{"p50":1,"p99":2,"p99_9":3}},"process":null}}"#
        );
        serde_json::from_str(&text).expect("figures")
    }

    #[test]
    fn a_figure_should_be_relative_to_the_floor_under_the_same_request() {
        let mut results = Results::default();
        for (load, subject, per_second) in [
            (USUAL, FLOOR, 100.0),
            (WIDE, FLOOR, 50.0),
            (USUAL, "warm", 80.0),
            (USUAL, "warm", 60.0),
            (USUAL, "warm", 1.0),
            (WIDE, "warm", 10.0),
            ("chain of 5", "warm", 20.0),
        ] {
            results.add(Key::new(load, subject, 8), figures(per_second));
        }
        for (load, expected) in [(USUAL, 0.6), (WIDE, 0.2), ("chain of 5", 0.2)] {
            let key = Key::new(load, "warm", 8);
            assert_eq!(results.relative(&key, PER_SECOND), Some(expected), "{load}");
            assert_eq!(results.median(&key, CPU), None, "{load}");
        }
        assert_eq!(results.relative(&Key::new(USUAL, "warm", 1), P50), None);
    }
}
