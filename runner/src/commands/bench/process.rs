//! What a process has used so far, as Linux tells it in /proc.
//!
//! Must not know which process, nor why anybody asks.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::{SysconfVar, sysconf};

/// Of all threads of a process, those that have ended included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time outside the kernel.
    pub(super) user: Duration,
    /// CPU time in the kernel on behalf of the process.
    pub(super) system: Duration,
    /// Memory now, KiB.
    pub(super) resident_kib: u64,
    /// The most memory it ever had, KiB.
    pub(super) peak_kib: u64,
}

impl Usage {
    /// Of the process with this number.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let tick = tick()?;
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{file}"))
                .with_context(|| format!("process {pid} cannot be measured"))
        };
        let (user, system) = ticks(&read("stat")?).context("/proc/PID/stat is not understood")?;
        let status = read("status")?;
        Ok(Self {
            user: Duration::from_secs_f64(user as f64 * tick),
            system: Duration::from_secs_f64(system as f64 * tick),
            resident_kib: kib(&status, "VmRSS:"),
            peak_kib: kib(&status, "VmHWM:"),
        })
    }
}

/// Seconds.
fn tick() -> Result<f64> {
    match sysconf(SysconfVar::CLK_TCK)? {
        Some(per_second @ 1..) => Ok(1.0 / per_second as f64),
        _ => bail!("the length of a clock tick is unknown"),
    }
}

/// `utime` and `stime`: the 14th and 15th field, see proc(5). The second is the
/// program's name, in which anything may stand.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse().ok();
    Some((next()?, next()?))
}

/// 0 for a process that has no memory of its own any more.
fn kib(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_should_be_found_behind_any_name() {
        for (stat, expected) in [
            (
                "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 123 45 0 0 20 0 3 0 8 9 10",
                Some((123, 45)),
            ),
            ("7 (runner) S 1 7", None),
            ("", None),
        ] {
            assert_eq!(ticks(stat), expected, "{stat}");
        }
    }

    #[test]
    fn memory_should_be_found_by_its_key() {
        let status = "Name:\trunner\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kib(status, "VmRSS:"), 1024);
        assert_eq!(kib(status, "VmHWM:"), 2048);
        assert_eq!(kib("Name:\tgone\n", "VmRSS:"), 0);
    }

    #[test]
    fn this_process_should_be_measurable_and_none_that_is_not_there() {
        let own = Usage::of(std::process::id()).expect("usage");
        assert!(own.resident_kib > 0 && own.peak_kib >= own.resident_kib);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
