//! Whether something grows, told from samples that go up and down.
//!
//! Must not know of what.

use std::time::Duration;

/// Samples of one process, in even distances.
#[derive(Debug, Default)]
pub(super) struct Growth {
    memory_kib: Vec<f64>,
    descriptors: Vec<f64>,
}

/// What is usual at the beginning and at the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Change {
    pub(super) fn percent(self) -> f64 {
        100.0 * (self.to - self.from) / self.from.max(1.0)
    }
}

impl Growth {
    pub(super) fn sample(&mut self, memory_kib: u64, descriptors: u64) {
        self.memory_kib.push(memory_kib as f64);
        self.descriptors.push(descriptors as f64);
    }

    pub(super) fn memory(&self) -> Change {
        change(&self.memory_kib)
    }

    pub(super) fn descriptors(&self) -> Change {
        change(&self.descriptors)
    }

    /// KiB per minute, of the straight line that is nearest to all samples.
    pub(super) fn memory_slope(&self, distance: Duration) -> f64 {
        slope(&self.memory_kib) * 60.0 / distance.as_secs_f64()
    }
}

/// The medians of the first and the last quarter: single samples say little of
/// what lives for a call.
fn change(samples: &[f64]) -> Change {
    let quarter = samples.len().div_ceil(4);
    Change {
        from: median(&samples[..quarter]),
        to: median(&samples[samples.len() - quarter..]),
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Least squares, per sample.
fn slope(samples: &[f64]) -> f64 {
    let count = samples.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = samples.iter().sum::<f64>() / count;
    let (mut rise, mut run) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let away = at as f64 - middle;
        rise += away * (sample - mean);
        run += away * away;
    }
    if run == 0.0 { 0.0 } else { rise / run }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_should_be_told_from_noise() {
        let noise = |at: u64| if at.is_multiple_of(7) { 5_000 } else { 0 };
        let (mut level, mut growing) = (Growth::default(), Growth::default());
        for at in 0..400 {
            level.sample(100_000 + noise(at), 20);
            growing.sample(100_000 + noise(at) + at * 10, 20 + at / 10);
        }
        assert!(level.memory().percent().abs() < 0.1);
        assert!(growing.memory().percent() > 2.0);
        assert!(growing.descriptors().to - growing.descriptors().from > 20.0);
        // Ten more in each half second.
        let slope = growing.memory_slope(Duration::from_millis(500));
        assert!((slope - 1200.0).abs() < 20.0, "{slope}");
    }

    #[test]
    fn no_samples_should_be_no_growth() {
        let growth = Growth::default();
        assert!(growth.memory().percent() == 0.0);
        assert!(growth.memory_slope(Duration::from_secs(1)).abs() < f64::EPSILON);
    }
}
