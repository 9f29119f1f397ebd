//! A tenant with ten times the load of another, which must hardly notice: both in
//! front of one runner, each at an even pace, first the quiet one alone, then
//! both, then with the noisy one calling as fast as it can. That in several
//! rounds, which count together: what else the machine does differs from one
//! half of a minute to the next by more than what is looked for.
//!
//! The noise is made on threads that give way, so that what is measured is the
//! runner's doing and not that both gateways are on one machine.
//!
//! Must not know how tenants are kept apart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, Runtime};

use crate::calls::{Call, Good, Kind};
use crate::crowd::{Crowd, Presence};
use crate::runner::Site;
use crate::tally::Tally;
use crate::worker::Worker;
use crate::{progress, say};

/// The measured one first.
const TENANTS: &[&str] = &["quiet", "noisy"];

/// What comes before a measurement and does not count.
const WARM_UP: Duration = Duration::from_secs(2);

/// How much less of a busy processor whoever makes the noise gets.
const NICENESS: i32 = 10;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How the tenants are kept apart.
    #[arg(long, value_enum, default_value_t = Isolation::Shared)]
    isolation: Isolation,
    /// Seconds of each measurement in each round.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Rounds.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Connections of the quiet tenant.
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Calls per second of each connection.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// How many times the quiet tenant's load the noisy one's is.
    #[arg(long, default_value_t = 10)]
    times: u32,
    /// How many times its own p99 the p99 of the quiet tenant may be then.
    #[arg(long, default_value_t = 1.5)]
    ratio: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Isolation {
    /// All in one process.
    Shared,
    /// Each in a process of its own.
    Process,
}

pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let whole = [options.connections, options.times, options.rounds];
    if whole.contains(&0) || options.rate <= 0.0 {
        bail!("connections, times, rounds and rate are above zero");
    }
    let isolation = match options.isolation {
        Isolation::Shared => "shared",
        Isolation::Process => "process",
    };
    let site = Site::of_tenants(binary, TENANTS, isolation)?;
    let mut runner = site.start()?;
    let noise = noise_makers()?;
    for tenant in TENANTS {
        every_kind_once(&site, tenant).await?;
    }
    let every = Duration::from_secs_f64(1.0 / options.rate);
    let quiet = crowd(&site, "quiet", options.connections, every);
    let connections = options.connections * options.times;
    let time = Duration::from_secs(options.seconds);
    let [mut alone, mut beside, mut flooded] = <[Measured; 3]>::default();
    for round in 1..=options.rounds {
        let what = |what: &str| format!("{what}, round {round} of {}", options.rounds);
        alone.add(&quiet, None, &what("alone"), time).await;
        for (measured, name, every) in [
            (&mut beside, "beside a noisy tenant", every),
            (&mut flooded, "beside a flood", Duration::from_micros(1)),
        ] {
            let entered = noise.enter();
            let noisy = crowd(&site, "noisy", connections, every);
            drop(entered);
            measured.add(&quiet, Some(&noisy), &what(name), time).await;
            measured.unmeasured.add(&noisy.disperse().await);
        }
    }
    alone.unmeasured.add(&quiet.disperse().await);
    noise.shutdown_background();

    report(isolation, [&alone, &beside, &flooded].map(|of| &of.quiet))?;
    let (beside_ratio, flood_ratio) = (beside.ratio(&alone), flooded.ratio(&alone));
    let (times, flood_times) = (beside.times(), flooded.times());
    say(&format!(
        "p99 beside {times} times its load / alone: {beside_ratio:.2}"
    ))?;
    say(&format!(
        "p99 beside a flood of {flood_times} times its load / alone: {flood_ratio:.2}"
    ))?;
    let all = [&alone, &beside, &flooded];
    let wrong = all.map(Measured::wrong).into_iter().sum::<u64>();
    for tally in all.into_iter().flat_map(Measured::tallies) {
        for (called, (times, first)) in &tally.faults {
            say(&format!("{called}: {times} times wrong: {first}"))?;
        }
    }
    say(&format!("{wrong} wrong answers"))?;
    Ok(runner.is_alive() && wrong == 0 && beside_ratio <= options.ratio)
}

/// What came of one kind of measurement, in all rounds.
#[derive(Default)]
struct Measured {
    quiet: Tally,
    noise: Tally,
    /// While it began and ended: only what is wrong counts.
    unmeasured: Tally,
}

impl Measured {
    /// Measures once more.
    async fn add(&mut self, quiet: &Crowd, noisy: Option<&Crowd>, what: &str, time: Duration) {
        let bar = progress(what, time.as_secs());
        let count = || {
            let noise = noisy.map(Crowd::count_anew).unwrap_or_default();
            (quiet.count_anew(), noise)
        };
        tokio::time::sleep(WARM_UP).await;
        let (warming_quiet, warming_noise) = count();
        self.unmeasured.add(&warming_quiet);
        self.unmeasured.add(&warming_noise);
        for _ in 0..time.as_secs() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let (of_quiet, of_noise) = count();
        self.quiet.add(&of_quiet);
        self.noise.add(&of_noise);
    }

    /// The p99 of the quiet one over that of another measurement.
    fn ratio(&self, alone: &Measured) -> f64 {
        let p99 = |of: &Measured| of.quiet.latency(0.99).as_secs_f64();
        p99(self) / p99(alone).max(f64::EPSILON)
    }

    /// How many times the load of the quiet one the noise was.
    fn times(&self) -> u64 {
        self.noise.calls / self.quiet.calls.max(1)
    }

    fn tallies(&self) -> [&Tally; 3] {
        [&self.quiet, &self.noise, &self.unmeasured]
    }

    fn wrong(&self) -> u64 {
        self.tallies().map(|tally| tally.wrong).into_iter().sum()
    }
}

/// Threads for those who make the noise.
fn noise_makers() -> Result<Runtime> {
    Ok(Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("noise")
        .on_thread_start(|| {
            // Without it, it competes with what is measured.
            let _ = rustix::process::nice(NICENESS);
        })
        .enable_all()
        .build()?)
}

/// Every module is loaded, every configuration checked, before time counts.
async fn every_kind_once(site: &Site, tenant: &str) -> Result<()> {
    let worker = Worker::new(site.socket_of(tenant));
    let mut tally = Tally::default();
    for kind in Kind::ALL {
        let call = Call::Good(Good { kind, number: 0 });
        tally.judge(&worker, &call).await;
    }
    match tally.wrong {
        0 => Ok(()),
        wrong => bail!("tenant {tenant}: {wrong} calls went wrong without any load"),
    }
}

fn crowd(site: &Site, tenant: &str, connections: u32, every: Duration) -> Crowd {
    let mut crowd = Crowd::new();
    let presence = Arc::<Presence>::default();
    for number in 0..connections {
        let mut kinds = Kind::ALL.into_iter().cycle().skip(number as usize);
        let worker = Arc::new(Worker::new(site.socket_of(tenant)));
        let first = u64::from(number) << 32;
        let next = move |number| {
            let kind = kinds.next().unwrap_or(Kind::Stop);
            let number = first + number;
            Call::Good(Good { kind, number })
        };
        crowd.add(worker, Arc::clone(&presence), every, Box::new(next));
    }
    crowd
}

fn report(isolation: &str, measured: [&Tally; 3]) -> Result<()> {
    say(&format!("isolation: {isolation}"))?;
    say("the quiet tenant         alone       beside    beside a flood")?;
    let row = |name: &str, of: &dyn Fn(&Tally) -> String| {
        let [alone, beside, flooded] = measured.map(of);
        say(&format!(
            "{name:<16} {alone:>13} {beside:>12} {flooded:>17}"
        ))
    };
    row("calls", &|tally| tally.calls.to_string())?;
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        row(name, &|tally| format!("{:.2?}", tally.latency(quantile)))?;
    }
    Ok(())
}
