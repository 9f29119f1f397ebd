//! A module that is replaced again and again while many call it: every reply
//! must be of the version that serves at that moment, none may fail, each
//! version must serve soon after its file is there, and nothing may be left of
//! those before.
//!
//! Must not know how the runner notices.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use harness::guests::stopping_with;
use hdrhistogram::Histogram;
use protocol::gateway_side::{HttpAction, Reply};
use tokio::task::JoinSet;

use crate::calls::{Call, Good, Kind};
use crate::runner::{Runner, Site};
use crate::worker::Worker;
use crate::{progress, say};

/// From the moment the file is complete until every route is served by it.
const SOON: Duration = Duration::from_secs(1);

/// A version that does not serve by then never will.
const NEVER: Duration = Duration::from_secs(30);

/// Configurations of the plugin: each is checked anew at each swap.
const ROUTES: u64 = 8;

/// The statuses that versions answer with, one after the other.
const STATUSES: std::ops::Range<u64> = 200..500;

/// Until then a process warms up: what it keeps at most, it has.
const WARM: u64 = 100;

/// What memory may grow by after that. A version that is left behind takes its
/// code, its file and what they are linked with, tens of KiB each.
const MORE_MEMORY_KIB: u64 = 8 << 10;

/// Those of a snapshot for each route come and go.
const MORE_DESCRIPTORS: u64 = 2 * ROUTES + 8;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many times the module is replaced.
    #[arg(default_value_t = 1000)]
    swaps: u64,
    /// Connections, each with one call after the other.
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Milliseconds between two calls of a connection.
    #[arg(long, default_value_t = 5)]
    pause_ms: u64,
    /// Prints what memory is at every hundredth swap.
    #[arg(long)]
    memory: bool,
}

/// Which versions may answer at a moment.
#[derive(Default)]
struct Served {
    /// The one whose file was begun last.
    written: AtomicU64,
    /// By route: the latest that has answered.
    seen: [AtomicU64; ROUTES as usize],
}

impl Served {
    /// Of the call of a route that began when `before` had answered there, the
    /// reply came with a version that could be.
    fn judge(&self, route: u64, before: u64, status: u16) -> Result<(), String> {
        let latest = self.written.load(Ordering::SeqCst);
        match (before..=latest).find(|version| status_of(*version) == status) {
            Some(version) => {
                self.seen[route as usize].fetch_max(version, Ordering::SeqCst);
                Ok(())
            }
            None => Err(format!(
                "status {status}, from none of the versions {before} to {latest}"
            )),
        }
    }

    fn before(&self, route: u64) -> u64 {
        self.seen[route as usize].load(Ordering::SeqCst)
    }

    fn is_everywhere(&self, version: u64) -> bool {
        (0..ROUTES).all(|route| self.before(route) >= version)
    }
}

fn status_of(version: u64) -> u16 {
    let count = STATUSES.end - STATUSES.start;
    (STATUSES.start + version % count) as u16
}

/// A version: no other has the same bytes, so none was compiled before.
fn wasm(version: u64) -> Vec<u8> {
    let mut wasm = stopping_with(status_of(version));
    // A custom section: 0, its length, its name with a length, anything.
    wasm.extend([0, 10, 1, b'v']);
    wasm.extend(version.to_le_bytes());
    wasm
}

/// At one time under another name first, at another right into the file.
fn replace(file: &Path, version: u64) -> Result<()> {
    let wasm = wasm(version);
    match version % 2 {
        0 => {
            let beside = file.with_extension("new");
            std::fs::write(&beside, wasm)?;
            std::fs::rename(&beside, file)?;
        }
        _ => std::fs::File::create(file)?.write_all(&wasm)?,
    }
    Ok(())
}

/// What came of the calls.
#[derive(Default)]
struct Calls {
    count: AtomicU64,
    failed: AtomicU64,
    /// In words, how often each.
    faults: Mutex<BTreeMap<String, u64>>,
}

/// Calls one route after the other until it is over.
async fn call(
    worker: Arc<Worker>,
    first: u64,
    pause: Duration,
    served: Arc<Served>,
    calls: Arc<Calls>,
    over: Arc<AtomicBool>,
) {
    for number in first.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let route = number % ROUTES;
        let before = served.before(route);
        let call = Call::Good(Good {
            kind: Kind::Swapped(route),
            number,
        });
        let verdict = match worker.call(&call).await {
            Ok((id, reply)) => match call.verify(id, &reply) {
                Ok(()) => match reply {
                    Reply::HttpReqCall {
                        action: HttpAction::Stop { status, .. },
                        ..
                    } => served.judge(route, before, status),
                    other => Err(format!("{other:?}")),
                },
                Err(wrong) => Err(wrong.to_string()),
            },
            Err(lost) => Err(lost.to_string()),
        };
        calls.count.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = verdict {
            calls.failed.fetch_add(1, Ordering::Relaxed);
            let mut faults = calls.faults.lock().unwrap_or_else(PoisonError::into_inner);
            *faults.entry(fault).or_default() += 1;
        }
        tokio::time::sleep(pause).await;
    }
}

/// What a process has.
#[derive(Debug, Clone, Copy, Default)]
struct Footprint {
    memory_kib: u64,
    descriptors: u64,
}

impl Footprint {
    fn of(runner: &Runner) -> Result<Self> {
        Ok(Footprint {
            memory_kib: runner.resident_kib()?,
            descriptors: runner.descriptors()?,
        })
    }
}

pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    if options.swaps == 0 || options.connections == 0 {
        bail!("there must be something to swap, and somebody to call it");
    }
    let site = Site::of(binary, &["--watch"], |modules| {
        Ok(std::fs::write(modules.join("swapped.wasm"), wasm(0))?)
    })?;
    let mut runner = site.start()?;
    let file: PathBuf = site.modules().join("swapped.wasm");
    let (served, calls) = (Arc::<Served>::default(), Arc::<Calls>::default());
    let over = Arc::<AtomicBool>::default();
    let pause = Duration::from_millis(options.pause_ms);
    let mut callers = JoinSet::new();
    for number in 0..u64::from(options.connections) {
        callers.spawn(call(
            Arc::new(Worker::new(site.socket())),
            (number << 32) + number,
            pause,
            Arc::clone(&served),
            Arc::clone(&calls),
            Arc::clone(&over),
        ));
    }

    let bar = progress("swaps", options.swaps);
    let longest = u64::try_from(2 * NEVER.as_micros())?;
    let mut times = Histogram::<u64>::new_with_max(longest, 3)?;
    let mut late = 0;
    let (mut warm, mut last) = (Footprint::default(), Footprint::default());
    for version in 1..=options.swaps {
        served.written.store(version, Ordering::SeqCst);
        replace(&file, version)?;
        let complete = Instant::now();
        while !served.is_everywhere(version) && complete.elapsed() < NEVER {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = complete.elapsed();
        times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        late += u64::from(took > SOON);
        if took >= NEVER || !runner.is_alive() {
            say(&format!(
                "version {version} does not serve: {}",
                runner.last_words()
            ))?;
            break;
        }
        last = Footprint::of(&runner)?;
        if version <= WARM {
            warm = last;
        }
        if options.memory && version % WARM == 0 {
            say(&format!("{version:>6} {last:?}"))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    over.store(true, Ordering::SeqCst);
    while callers.join_next().await.is_some() {}
    report(&times, late, &calls, warm, last)
}

/// Says what came of it, and whether that is well.
fn report(
    times: &Histogram<u64>,
    late: u64,
    calls: &Calls,
    warm: Footprint,
    last: Footprint,
) -> Result<bool> {
    let failed = calls.failed.load(Ordering::Relaxed);
    let faults = calls.faults.lock().unwrap_or_else(PoisonError::into_inner);
    for (fault, count) in faults.iter().take(20) {
        say(&format!("{count} times: {fault}"))?;
    }
    let time = |micros: u64| format!("{:.2?}", Duration::from_micros(micros));
    let quantile = |quantile| time(times.value_at_quantile(quantile));
    let grown = 100.0 * (last.memory_kib as f64 / warm.memory_kib.max(1) as f64 - 1.0);
    let mib = |of: Footprint| of.memory_kib as f64 / 1024.0;
    let rows = [
        ("swaps", times.len().to_string()),
        ("calls", calls.count.load(Ordering::Relaxed).to_string()),
        ("failed calls", failed.to_string()),
        (
            "file complete to active",
            format!(
                "p50 {}, p99 {}, max {}",
                quantile(0.5),
                quantile(0.99),
                time(times.max())
            ),
        ),
        ("later than 1 s", late.to_string()),
        (
            "memory",
            format!(
                "{:.1} MiB at swap {WARM}, {:.1} MiB at the end ({grown:+.1} %)",
                mib(warm),
                mib(last)
            ),
        ),
        (
            "descriptors",
            format!("{} to {}", warm.descriptors, last.descriptors),
        ),
    ];
    for (name, value) in rows {
        say(&format!("{name:<24} {value}"))?;
    }
    let judged = times.len() > 2 * WARM;
    let grew = last.memory_kib > warm.memory_kib + MORE_MEMORY_KIB
        || last.descriptors > warm.descriptors + MORE_DESCRIPTORS;
    let well = failed == 0 && late == 0 && !(judged && grew);
    let verdict = if well { "passed" } else { "failed" };
    let too_short = if judged {
        ""
    } else {
        " (too few to judge memory)"
    };
    say(&format!("swaps {verdict}{too_short}"))?;
    Ok(well)
}
