//! The figures of a run, as text for people and as JSON for programs.
//!
//! Must not know how they were come by.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::load::Run;
use crate::cli::BenchOptions;

/// All figures. Times are microseconds unless their name says otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    plugins: Vec<String>,
    chain: u32,
    connections: u32,
    seconds: f64,
    /// Calls that were served.
    requests: u64,
    per_second: f64,
    latency_us: Latency,
    /// Absent where the process cannot be seen.
    process: Option<Process>,
    /// What the driver itself took.
    driver_cpu_us: f64,
    errors: Errors,
    prepared_anew: u64,
    questions: u64,
    /// In a word; absent if no reply was right.
    action: Option<&'static str>,
    request_bytes: usize,
    reply_bytes: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Latency {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

/// CPU time for a request, and memory.
#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    cpu_us: f64,
    user_us: f64,
    system_us: f64,
    resident_kib: u64,
    resident_before_kib: u64,
    peak_kib: u64,
}

#[derive(Debug, Serialize)]
struct Errors {
    total: u64,
    kinds: BTreeMap<&'static str, u64>,
    /// The same, in words.
    #[serde(skip)]
    sentences: Vec<String>,
}

impl Report {
    /// Computes the figures.
    pub(super) fn new(options: &BenchOptions, run: &Run) -> Self {
        let tally = run.stage.tally();
        let first = run.stage.first_reply();
        let failures = tally.failures();
        let seconds = run.elapsed.as_secs_f64();
        Self {
            plugins: options.plugins.clone(),
            chain: options.chain.get(),
            connections: options.connections.get(),
            seconds,
            requests: tally.requests(),
            per_second: run.served as f64 / seconds,
            latency_us: Latency {
                mean: tally.mean_us(),
                p50: tally.latency_us(0.5),
                p90: tally.latency_us(0.9),
                p99: tally.latency_us(0.99),
                p99_9: tally.latency_us(0.999),
                max: tally.latency_us(1.0),
            },
            process: Process::new(run),
            driver_cpu_us: per_call(run.own_cpu, run),
            errors: Errors {
                total: failures.values().sum(),
                kinds: failures
                    .iter()
                    .map(|(failure, count)| (failure.key(), *count))
                    .collect(),
                sentences: failures
                    .iter()
                    .map(|(failure, count)| format!("{count} {failure}"))
                    .collect(),
            },
            prepared_anew: tally.prepared_anew,
            questions: tally.questions,
            action: first.map(|first| first.action),
            request_bytes: run.stage.traffic.call.frame().len(),
            reply_bytes: first.map(|first| first.length),
        }
    }

    /// Why the run is no success; `None` if it is one.
    pub(super) fn trouble(&self) -> Option<String> {
        let calls = self.errors.total + self.requests;
        match self.errors.total {
            0 => None,
            failed => Some(format!(
                "{failed} of {calls} calls failed: {}",
                self.errors.sentences.join(", ")
            )),
        }
    }

    /// For programs.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// For people.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let (strong, plain) = (Style::new().bold(), Style::new());
        let mut line = |style: Style, name: &str, text: String| {
            writeln!(out, "{name:<11}{style}{text}{style:#}")
        };
        line(plain, "load", self.load())?;
        line(
            strong,
            "throughput",
            format!("{} requests per second", grouped(self.per_second)),
        )?;
        let latency = &self.latency_us;
        line(
            strong,
            "latency",
            format!(
                "p50 {}   p90 {}   p99 {}   p99.9 {}   max {}   us",
                short(latency.p50),
                short(latency.p90),
                short(latency.p99),
                short(latency.p99_9),
                short(latency.max)
            ),
        )?;
        match &self.process {
            Some(process) => {
                line(strong, "CPU", process.cpu())?;
                line(plain, "memory", process.memory())?;
            }
            None => line(plain, "CPU", "unknown: --pid names the process".into())?,
        }
        line(
            plain,
            "driver",
            format!("{} us of CPU per request", short(self.driver_cpu_us)),
        )?;
        if self.questions > 0 {
            line(
                plain,
                "questions",
                format!("{} of filters, answered", self.questions),
            )?;
        }
        if self.prepared_anew > 0 {
            let times = format!(
                "the runner forgot the configuration {} times",
                self.prepared_anew
            );
            line(plain, "tokens", times)?;
        }
        match self.errors.sentences.as_slice() {
            [] => line(AnsiColor::Green.on_default(), "errors", "none".into()),
            kinds => kinds.iter().try_for_each(|kind| {
                line(AnsiColor::Red.on_default().bold(), "errors", kind.clone())
            }),
        }
    }

    fn load(&self) -> String {
        let times = match self.chain {
            1 => String::new(),
            times => format!(" x {times}"),
        };
        let reply = match (self.action, self.reply_bytes) {
            (Some(action), Some(bytes)) => format!("answered with {action} in {bytes} bytes"),
            _ => String::from("never answered"),
        };
        format!(
            "{}{times} on {}, {} requests in {:.1} s, {} bytes each, {reply}",
            self.plugins.join(" + "),
            match self.connections {
                1 => String::from("1 connection"),
                connections => format!("{connections} connections"),
            },
            grouped(self.requests as f64),
            self.seconds,
            self.request_bytes,
        )
    }
}

impl Process {
    fn new(run: &Run) -> Option<Self> {
        let (before, after) = run.usage?;
        let user = after.user.saturating_sub(before.user);
        let system = after.system.saturating_sub(before.system);
        Some(Self {
            pid: run.pid?,
            cpu_us: per_call(user + system, run),
            user_us: per_call(user, run),
            system_us: per_call(system, run),
            resident_kib: after.resident_kib,
            resident_before_kib: before.resident_kib,
            peak_kib: after.peak_kib,
        })
    }

    fn cpu(&self) -> String {
        format!(
            "{} us per request: {} user, {} system (process {})",
            short(self.cpu_us),
            short(self.user_us),
            short(self.system_us),
            self.pid
        )
    }

    fn memory(&self) -> String {
        let mib = |kib: u64| kib as f64 / 1024.0;
        format!(
            "{:.1} MiB resident, {:.1} before, {:.1} at most",
            mib(self.resident_kib),
            mib(self.resident_before_kib),
            mib(self.peak_kib)
        )
    }
}

/// A call that failed costs as well.
fn per_call(time: Duration, run: &Run) -> f64 {
    time.as_secs_f64() * 1e6 / run.calls.max(1) as f64
}

/// Three digits that matter.
fn short(number: f64) -> String {
    match number {
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        _ => grouped(number),
    }
}

/// Whole, with thousands apart.
pub(in crate::commands) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_should_be_as_long_as_they_mean_something() {
        for (number, expected) in [
            (0.0, "0.00"),
            (9.876, "9.88"),
            (98.76, "98.8"),
            (987.6, "988"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(short(number), expected);
        }
    }
}
