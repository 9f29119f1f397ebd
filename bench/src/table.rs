//! The results as Markdown.
//!
//! Must not know how they were come by.

use std::fmt::Write;

use crate::cases::{
    self, BODY_1M, BODY_64K, FLOOR, Load, ONE_CORE, Program, SUBJECTS, USUAL, WIDE,
};
use crate::machine::Machine;
use crate::matrix::Plan;
use crate::results::{CPU, Key, P50, P99, P99_9, PER_SECOND, Results, SYSTEM, USER};

/// Names of figures beyond loads; also the order of their rows.
pub(crate) const EXTREMES: [&str; 8] = [
    START_3,
    START_20,
    IDLE,
    CONFIGURED_40,
    CONFIGURED_1K,
    PREPARE,
    CALLS_BEFORE,
    CALLS_DURING,
];
pub(crate) const START_3: &str = "start of the process to the first answer, 3 modules, ms";
pub(crate) const START_20: &str = "the same, 20 modules, ms";
pub(crate) const IDLE: &str = "resident memory with 3 modules, MiB";
pub(crate) const CONFIGURED_40: &str = "after 10,000 configurations of 40 B, MiB";
pub(crate) const CONFIGURED_1K: &str = "after 10,000 configurations of 1 KiB, MiB";
pub(crate) const PREPARE: &str = "PrepareConf, module loaded, p99, us";
pub(crate) const CALLS_BEFORE: &str = "calls on 8 connections, p99, us";
pub(crate) const CALLS_DURING: &str = "the same during 1,000 PrepareConf, p99, us";

/// The whole document.
pub(crate) fn markdown(
    results: &Results,
    loads: &[Load],
    plan: &Plan,
    machine: &Machine,
    stolen: f64,
) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = head(&mut text, plan, machine)
        .and_then(|()| noise(&mut text, results, stolen))
        .and_then(|()| comparison(&mut text, results))
        .and_then(|()| all_loads(&mut text, results, loads))
        .and_then(|()| skipped(&mut text, results));
    text
}

type Written = std::fmt::Result;

fn head(text: &mut String, plan: &Plan, machine: &Machine) -> Written {
    writeln!(
        text,
        "# Figures\n\n\
         Written by `./just bench`; do not edit. Medians of {} rounds of {:.1} s each, all cases \
         in turn within a round, on {}: {}, {} cores, Linux {}. The load driver shares these \
         cores.\n\n\
         ![CPU time and throughput beside the floor](cost.svg)\n",
        plan.rounds,
        plan.time.as_secs_f64(),
        machine.date,
        machine.cpu,
        machine.cores,
        machine.kernel,
    )?;
    for subject in &SUBJECTS {
        writeln!(text, "- **{}**: {}", subject.name, subject.what)?;
    }
    writeln!(
        text,
        "\nUnless it says otherwise a request has 15 headers and 5 arguments (1.6 KB) and goes \
         through the example filter `probe`, which sets one header.\n\n\
         With one request in flight driver and runner work in turn, and where they are on \
         different cores each wakes the other: in a virtual machine that can cost more than all \
         else, and differs from one minute to the next. \"On one core\" leaves it out."
    )
}

/// How much the floor, which is always the same, differs from round to round.
fn noise(text: &mut String, results: &Results, stolen: f64) -> Written {
    writeln!(
        text,
        "\n## Noise\n\n\
         The floor from round to round, in percent of its median; the host gave {stolen:.1} % of \
         the CPU time to other machines. Differences smaller than this mean nothing.\n\n\
         | connections | requests/s | CPU per request |\n|---|---|---|"
    )?;
    for connections in [1, 8, 64] {
        let key = Key::new(USUAL, FLOOR, connections);
        let range = |pick| match results.spread(&key, pick) {
            Some((least, most)) => format!("{least:+.0} to {most:+.0} %"),
            None => String::from("-"),
        };
        writeln!(
            text,
            "| {connections} | {} | {} |",
            range(PER_SECOND),
            range(CPU)
        )?;
    }
    Ok(())
}

/// A row of the comparison: its name, its figure for a subject.
type Row = (&'static str, fn(&Results, &'static str) -> String);

const ROWS: [Row; 14] = [
    ("CPU time, 1 connection, x floor", |results, subject| {
        times(results.relative(&Key::new(USUAL, subject, 1), CPU))
    }),
    ("CPU time, 64 connections, x floor", |results, subject| {
        times(results.relative(&Key::new(USUAL, subject, 64), CPU))
    }),
    (
        "CPU time, 1 connection on one core, x floor",
        |results, subject| times(results.relative(&Key::new(ONE_CORE, subject, 1), CPU)),
    ),
    (
        "throughput, 1 connection on one core, of floor",
        |results, subject| share(results.relative(&Key::new(ONE_CORE, subject, 1), PER_SECOND)),
    ),
    ("p99.9, 1 connection on one core, us", |results, subject| {
        plain(results.median(&Key::new(ONE_CORE, subject, 1), P99_9))
    }),
    ("throughput, 1 connection, of floor", |results, subject| {
        share(results.relative(&Key::new(USUAL, subject, 1), PER_SECOND))
    }),
    ("throughput, 8 connections, of floor", |results, subject| {
        share(results.relative(&Key::new(USUAL, subject, 8), PER_SECOND))
    }),
    (
        "throughput, 64 connections, of floor",
        |results, subject| share(results.relative(&Key::new(USUAL, subject, 64), PER_SECOND)),
    ),
    ("p99.9, 1 connection, us", |results, subject| {
        plain(results.median(&Key::new(USUAL, subject, 1), P99_9))
    }),
    ("p99.9, 8 connections, us", |results, subject| {
        plain(results.median(&Key::new(USUAL, subject, 8), P99_9))
    }),
    ("p99.9, 64 connections, us", |results, subject| {
        plain(results.median(&Key::new(USUAL, subject, 64), P99_9))
    }),
    (
        "CPU time, 50 headers and 20 arguments, 8 connections, x floor",
        |results, subject| times(results.relative(&Key::new(WIDE, subject, 8), CPU)),
    ),
    (
        "CPU time, a variable and 64 KiB replaced, 1 connection, us",
        |results, subject| plain(results.median(&Key::new(BODY_64K, subject, 1), CPU)),
    ),
    (
        "CPU time, a variable and 1 MiB replaced, 1 connection, us",
        |results, subject| plain(results.median(&Key::new(BODY_1M, subject, 1), CPU)),
    ),
];

fn comparison(text: &mut String, results: &Results) -> Written {
    let subjects: Vec<&'static str> = SUBJECTS
        .iter()
        .map(|subject| subject.name)
        .filter(|name| results.loads().any(|key| key.subject == *name))
        .collect();
    writeln!(text, "\n## Side by side\n\n| | {} |", subjects.join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(subjects.len()))?;
    let mut row = |name: &str, figure: &dyn Fn(&'static str) -> String| {
        let cells: Vec<String> = subjects.iter().map(|subject| figure(subject)).collect();
        writeln!(text, "| {name} | {} |", cells.join(" | "))
    };
    for (name, figure) in ROWS {
        row(name, &|subject| figure(results, subject))?;
    }
    for name in EXTREMES {
        row(name, &|subject| plain(results.extreme((name, subject))))?;
    }
    Ok(())
}

/// Each load of each subject.
fn all_loads(text: &mut String, results: &Results, loads: &[Load]) -> Written {
    writeln!(
        text,
        "\n## Each load\n\n\
         Microseconds; CPU time is that of the process for one request, outside the kernel and \
         in it.\n\n\
         | load | on | connections | requests/s | p50 | p99 | p99.9 | CPU | user | system | CPU x floor |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for load in loads {
        for connections in load.connections {
            let key = Key::new(&load.name, load.subject, *connections);
            let Some(per_second) = results.median(&key, PER_SECOND) else {
                continue;
            };
            let cells = [P50, P99, P99_9, CPU, USER, SYSTEM]
                .map(|pick| plain(results.median(&key, pick)))
                .join(" | ");
            writeln!(
                text,
                "| {} | {} | {connections} | {per_second:.0} | {cells} | {} |",
                load.name,
                load.subject,
                times(results.relative(&key, CPU))
            )?;
        }
    }
    Ok(())
}

fn skipped(text: &mut String, results: &Results) -> Written {
    if results.skipped.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Not measured\n")?;
    for (what, why) in &results.skipped {
        writeln!(text, "- {what}: {why}")?;
    }
    let no_peer = SUBJECTS
        .iter()
        .any(|subject| subject.program == Program::Peer)
        && results.skipped.contains_key(cases::PEER);
    match no_peer {
        true => writeln!(
            text,
            "\nAnother runner is measured on the same work with \
             `PEER_SOCKET=/run/other.sock PEER_PLUGIN=NAME PEER_CONF=TEXT ./just bench`."
        ),
        false => Ok(()),
    }
}

fn times(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{:.0} %", 100.0 * value))
}

/// Three digits that matter.
fn plain(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
