//! A long time of everything at once: good filters and hostile ones, clients
//! that hang up in the middle of a frame, configurations that come and go,
//! modules replaced on disk. At the beginning the runner is killed and ended
//! again and again; after that one process has to stand it for the rest of the
//! time, and its memory is watched.
//!
//! Must not know what the guests do.

mod disturbance;
mod growth;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use harness::guests::ROWS;
use tokio::time::Instant;

use self::disturbance::{Module, hang_up};
use self::growth::Growth;
use crate::attack::complain;
use crate::calls::{Call, Good, Kind};
use crate::crowd::{Crowd, Presence};
use crate::runner::{Runner, Site};
use crate::tally::Tally;
use crate::worker::Worker;
use crate::{progress, say};

/// Shares of the whole time: restarts, then one process that warms up, then the
/// same under observation.
const RESTARTS: f64 = 0.2;
const WARM_UP: f64 = 0.1;

/// How long a runner lives in the first part.
const LIFETIME: Duration = Duration::from_secs(5);

/// How often memory and descriptors are looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// How often a module is replaced by another.
const REPLACED_EVERY: Duration = Duration::from_secs(3);

/// Bounds that are reached before the observation begins: with the usual ones,
/// places for instances that were never used before, and configurations worth a
/// snapshot, would be found for an hour. A snapshot is memory and a descriptor.
const LIMITS: &str = "limits: {instances: 64, configurations_mib: 1, snapshots_mib: 1}\n";

/// An observation that is shorter sees little but a process that warms up: it
/// says how that grew, and finds nothing wrong with it.
const SHORTEST: Duration = Duration::from_secs(300);

/// Percent by which memory may grow under observation.
const MOST_GROWTH: f64 = 2.0;

/// Descriptors come and go with connections.
const MORE_DESCRIPTORS: f64 = 4.0;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long it takes.
    minutes: f64,
    /// Connections, half of them hostile.
    #[arg(long, default_value_t = 24)]
    connections: u32,
    /// Calls per second of each connection.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
}

/// The runner and what is done to it.
struct Soak {
    site: Arc<Site>,
    runner: Runner,
    presence: Arc<Presence>,
    module: Arc<Module>,
    kills: u64,
    ends: u64,
    deaths: u64,
}

pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    if !(0.1..=100_000.0).contains(&options.minutes) || options.rate <= 0.0 {
        bail!("a soak takes minutes, and a rate above zero");
    }
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    let site = Arc::new(Site::new(binary, LIMITS)?);
    let module = Arc::new(Module::new(site.modules())?);
    let mut soak = Soak {
        runner: site.start()?,
        site,
        module,
        presence: Arc::default(),
        kills: 0,
        ends: 0,
        deaths: 0,
    };
    let good = soak.good(options);
    let hostile = soak.hostile(options);
    let hung_up = Arc::<AtomicU64>::default();
    let hanging_up = tokio::spawn(hang_up(soak.site.socket(), Arc::clone(&hung_up)));

    soak.restart_again_and_again(whole.mul_f64(RESTARTS))
        .await?;
    soak.observe("one process, warming up", whole.mul_f64(WARM_UP))
        .await?;
    let before = good.count_anew();
    let rest = whole.mul_f64(1.0 - RESTARTS - WARM_UP);
    let growth = soak.observe("one process, observed", rest).await?;
    let observed = good.count_anew();
    hanging_up.abort();
    let outcome = Outcome {
        good: [before, observed, good.disperse().await],
        hostile: hostile.disperse().await,
        hung_up: hung_up.load(Ordering::Relaxed),
        growth,
        time: rest,
    };
    soak.report(&outcome)
}

/// What came of it.
struct Outcome {
    /// Before the observation, under it, and after.
    good: [Tally; 3],
    hostile: Tally,
    hung_up: u64,
    growth: Growth,
    /// How long one process was observed.
    time: Duration,
}

impl Soak {
    /// Connections of good filters, over two workers of the gateway.
    fn good(&self, options: &Options) -> Crowd {
        let every = Duration::from_secs_f64(1.0 / options.rate);
        let workers = [(); 2].map(|()| Arc::new(Worker::new(self.site.socket())));
        let mut crowd = Crowd::new();
        for connection in 0..u64::from(options.connections / 2).max(1) {
            let module = Arc::clone(&self.module);
            let next = move |count: u64| {
                let number = (connection << 32) + count;
                let kind = match count % 10 {
                    // A few calls of each configuration, and then another.
                    0..=2 => Kind::Configured(number - count % 10),
                    3 => Kind::Replaced(module.served()),
                    other => Kind::ALL[(other + connection) as usize % Kind::ALL.len()],
                };
                Call::Good(Good { kind, number })
            };
            let worker = Arc::clone(&workers[connection as usize % 2]);
            crowd.add(worker, Arc::clone(&self.presence), every, Box::new(next));
        }
        crowd
    }

    fn hostile(&self, options: &Options) -> Crowd {
        let every = Duration::from_secs_f64(1.0 / options.rate);
        let worker = Arc::new(Worker::new(self.site.socket()));
        let mut crowd = Crowd::new();
        for connection in 0..u64::from(options.connections / 2).max(1) {
            let mut random = fastrand::Rng::with_seed(connection);
            let next = move |_| Call::Hostile(&ROWS[random.usize(..ROWS.len())]);
            let worker = Arc::clone(&worker);
            crowd.add(worker, Arc::clone(&self.presence), every, Box::new(next));
        }
        crowd
    }

    /// Kills the runner and starts another; starts another and ends the first,
    /// as the gateway does where it is reloaded; and so on.
    async fn restart_again_and_again(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut kills = true;
        while Instant::now() < end {
            self.observe("restarts", LIFETIME.min(time / 4)).await?;
            self.presence.change();
            match kills {
                true => {
                    self.runner.kill()?;
                    self.kills += 1;
                    self.begin().await?;
                }
                false => {
                    let mut old = self.begin().await?;
                    old.end().await?;
                    self.ends += 1;
                }
            }
            self.presence.change();
            kills = !kills;
        }
        Ok(())
    }

    /// Another runner takes the place; returns the one that had it.
    async fn begin(&mut self) -> Result<Runner> {
        let site = Arc::clone(&self.site);
        let started = tokio::task::spawn_blocking(move || site.start()).await??;
        self.module.process_began();
        Ok(std::mem::replace(&mut self.runner, started))
    }

    /// Lets time pass, replaces the module now and then, and looks at the
    /// process.
    async fn observe(&mut self, what: &'static str, time: Duration) -> Result<Growth> {
        let bar = progress(what, time.as_millis() as u64);
        let mut growth = Growth::default();
        let end = Instant::now() + time;
        let mut replaced = Instant::now();
        while Instant::now() < end {
            tokio::time::sleep(GLANCE).await;
            bar.inc(GLANCE.as_millis() as u64);
            if !self.runner.is_alive() {
                self.revive().await?;
                continue;
            }
            growth.sample(self.runner.resident_kib()?, self.runner.descriptors()?);
            if replaced.elapsed() > REPLACED_EVERY {
                self.module.replace()?;
                replaced = Instant::now();
            }
        }
        bar.finish_and_clear();
        Ok(growth)
    }

    async fn revive(&mut self) -> Result<()> {
        self.presence.change();
        self.deaths += 1;
        say(&format!(
            "the runner died; it said: {}",
            self.runner.last_words()
        ))?;
        self.begin().await?;
        self.presence.change();
        Ok(())
    }

    /// Says what came of it all, and whether that is well.
    fn report(&self, outcome: &Outcome) -> Result<bool> {
        let Outcome {
            good,
            hostile,
            growth,
            ..
        } = outcome;
        let [_, observed, _] = good;
        for tally in good {
            complain("good filter", tally)?;
        }
        complain("hostile guest", hostile)?;
        let sum = |of: fn(&Tally) -> u64| good.iter().map(of).sum::<u64>();
        let (good_calls, good_wrong) = (sum(|tally| tally.calls), sum(|tally| tally.wrong));
        let excused = sum(|tally| tally.excused);
        let wrong = good_wrong + hostile.wrong;
        let p99 = observed.latency(0.99);
        let (memory, descriptors) = (growth.memory(), growth.descriptors());
        let minutes = outcome.time.as_secs_f64() / 60.0;
        let slope = growth.memory_slope(GLANCE);
        let rows = [
            (
                "good calls",
                format!("{good_calls}, {excused} while there was no runner"),
            ),
            ("wrong answers to them", good_wrong.to_string()),
            (
                "hostile calls",
                format!(
                    "{}, {} while there was no runner",
                    hostile.calls, hostile.excused
                ),
            ),
            ("wrong answers to them", hostile.wrong.to_string()),
            (
                "restarts",
                format!("{} by SIGKILL, {} by SIGTERM", self.kills, self.ends),
            ),
            ("connections hung up", outcome.hung_up.to_string()),
            ("deaths", self.deaths.to_string()),
            (
                "memory of one process",
                format!(
                    "{:.1} MiB to {:.1} MiB in {minutes:.1} min ({slope:+.1} KiB/min)",
                    memory.from / 1024.0,
                    memory.to / 1024.0
                ),
            ),
            (
                "descriptors",
                format!("{:.0} to {:.0}", descriptors.from, descriptors.to),
            ),
            (
                "good filters",
                format!("p50 {:.2?}, p99 {p99:.2?}", observed.latency(0.5)),
            ),
        ];
        say("")?;
        for (name, value) in rows {
            say(&format!("{name:<24} {value}"))?;
        }
        let grown = memory.percent();
        let more = descriptors.to - descriptors.from;
        let judged = outcome.time >= SHORTEST;
        let grew = judged && (grown >= MOST_GROWTH || more > MORE_DESCRIPTORS);
        let well = wrong == 0 && self.deaths == 0 && !grew;
        let verdict = if well { "passed" } else { "failed" };
        let too_short = if judged { "" } else { " (too short to judge)" };
        say(&format!(
            "soak {verdict}: {wrong} wrong answers, {} deaths, memory {grown:+.1} %, \
             {more:+.0} descriptors{too_short}, p99 {p99:.2?}",
            self.deaths
        ))?;
        Ok(well)
    }
}
