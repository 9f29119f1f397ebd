//! The machine that figures come from, and how quiet it was.
//!
//! Must not know what was measured on it.

use std::time::{SystemTime, UNIX_EPOCH};

/// What a reader has to know to compare.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Year, month, day in UTC.
    pub(crate) date: String,
}

impl Machine {
    /// This one, now.
    pub(crate) fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            cpu: model.map_or("unknown", |(_, name)| name.trim()).into(),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            kernel: kernel.trim().into(),
            date: date(now.unwrap_or_default().as_secs() / 86_400),
        }
    }
}

/// From days since 1970.
fn date(mut days: u64) -> String {
    let mut year = 1970;
    while days >= 365 + leap(year) {
        days -= 365 + leap(year);
        year += 1;
    }
    let february = 28 + leap(year);
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

fn leap(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    u64::from(leap)
}

/// The machine's CPU time so far, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    all: u64,
    stolen: u64,
}

impl CpuTime {
    /// Now.
    pub(crate) fn now() -> Self {
        parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// Percent that the host gave to other machines since then.
    pub(crate) fn stolen_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        100.0 * self.stolen.saturating_sub(before.stolen) as f64 / all as f64
    }
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal; what
/// follows is counted in these already. See proc(5).
fn parse(stat: &str) -> CpuTime {
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = ticks.filter_map(|tick| tick.parse().ok()).collect();
    CpuTime {
        all: ticks.iter().sum(),
        stolen: ticks.get(7).copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_should_be_those_of_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_453, "2025-12-31"),
            (20_780, "2026-11-23"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn stolen_time_should_be_a_share_of_all() {
        let before = parse("cpu  10 0 10 70 0 0 0 10 5 0\ncpu0 1 1 1 1");
        let after = parse("cpu  20 0 20 140 0 0 0 20 9 0\n");
        assert!((after.stolen_since(before) - 10.0).abs() < 1e-9);
        assert_eq!(parse("").stolen_since(CpuTime::default()), 0.0);
    }
}
