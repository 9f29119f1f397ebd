//! A tenant with ten times the load of another, which must hardly notice: both in
//! front of one runner, each at an even pace, first the quiet one alone and then
//! both. At last the noisy one calls as fast as it can.
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
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
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
    if options.connections == 0 || options.times == 0 || options.rate <= 0.0 {
        bail!("connections, times and rate are above zero");
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
    let time = Duration::from_secs(options.seconds);
    let alone = measured(&quiet, None, "alone", time).await.0;

    let connections = options.connections * options.times;
    let entered = noise.enter();
    let noisy = crowd(&site, "noisy", connections, every);
    drop(entered);
    let (beside, noise_beside) =
        measured(&quiet, Some(&noisy), "beside a noisy tenant", time).await;
    let noisy = noisy.disperse().await;

    let entered = noise.enter();
    let flood = crowd(&site, "noisy", connections, Duration::from_micros(1));
    drop(entered);
    let (flooded, noise_flooded) = measured(&quiet, Some(&flood), "beside a flood", time).await;
    let flood = flood.disperse().await;
    let after = quiet.disperse().await;
    noise.shutdown_background();

    report(isolation, [&alone, &beside, &flooded])?;
    let ratio = |of: &Tally| p99(of) / p99(&alone).max(f64::EPSILON);
    let (beside_ratio, flood_ratio) = (ratio(&beside), ratio(&flooded));
    let times = noise_beside.calls / beside.calls.max(1);
    let flood_times = noise_flooded.calls / flooded.calls.max(1);
    say(&format!(
        "p99 beside {times} times its load / alone: {beside_ratio:.2}"
    ))?;
    say(&format!(
        "p99 beside a flood of {flood_times} times its load / alone: {flood_ratio:.2}"
    ))?;
    let quiets = [&alone, &beside, &flooded, &after];
    let noises = [&noisy, &noise_beside, &flood, &noise_flooded];
    let all = quiets.into_iter().chain(noises);
    let wrong: u64 = all.clone().map(|tally| tally.wrong).sum();
    for tally in all {
        for (called, (times, first)) in &tally.faults {
            say(&format!("{called}: {times} times wrong: {first}"))?;
        }
    }
    let alive = runner.is_alive();
    say(&format!("{wrong} wrong answers"))?;
    Ok(alive && wrong == 0 && beside_ratio <= options.ratio)
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

/// What came of both in the same time.
async fn measured(
    quiet: &Crowd,
    noisy: Option<&Crowd>,
    what: &'static str,
    time: Duration,
) -> (Tally, Tally) {
    let bar = progress(what, time.as_secs());
    let count = || {
        let noise = noisy.map(Crowd::count_anew).unwrap_or_default();
        (quiet.count_anew(), noise)
    };
    tokio::time::sleep(WARM_UP).await;
    let warming = count();
    for _ in 0..time.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let (mut quiet, mut noise) = count();
    quiet.wrong += warming.0.wrong;
    noise.wrong += warming.1.wrong;
    (quiet, noise)
}

fn p99(tally: &Tally) -> f64 {
    tally.latency(0.99).as_secs_f64()
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
