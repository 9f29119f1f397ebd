//! Every hostile guest under load: half of the connections are hostile, and
//! the other half must not notice.
//!
//! Must not know what the guests do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use harness::Metrics;
use harness::guests::{ROWS, Source};

use crate::calls::{Call, Good, Kind};
use crate::crowd::{Crowd, Presence};
use crate::runner::{Runner, Site};
use crate::tally::Tally;
use crate::worker::Worker;
use crate::{progress, say};

/// What comes before a measurement and does not count.
const WARM_UP: Duration = Duration::from_secs(3);

/// How often the process is looked at.
const GLANCE: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds under attack.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// Seconds without hostile filters, before.
    #[arg(long, default_value_t = 20)]
    quiet_seconds: u64,
    /// Connections, half of them hostile.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// Calls per second of each connection. Hostile calls take as long as they
    /// take: where the machine cannot do as many, there are fewer of them.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// How many times their quiet p99 the p99 of the good filters may be.
    #[arg(long, default_value_t = 3.0)]
    ratio: f64,
}

/// The runner, the connections, and what came of them.
struct Attack {
    site: Site,
    runner: Runner,
    presence: Arc<Presence>,
    deaths: u64,
    /// Calls of each row of the table.
    calls: Arc<Vec<AtomicU64>>,
}

pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    if options.connections < 2 || options.rate <= 0.0 {
        bail!("an attack takes at least two connections, and a rate above zero");
    }
    let site = Site::new(binary, "")?;
    let mut attack = Attack {
        runner: site.start()?,
        site,
        presence: Arc::default(),
        deaths: 0,
        calls: Arc::new(ROWS.iter().map(|_| AtomicU64::new(0)).collect()),
    };
    // Every module is loaded, every configuration checked, before time counts.
    let alone = attack.one_by_one().await?;

    let mut good = Crowd::new();
    let every = Duration::from_secs_f64(1.0 / options.rate);
    for number in 0..options.connections / 2 {
        let mut kinds = Kind::ALL.into_iter().cycle().skip(number as usize);
        let worker = Arc::new(Worker::new(attack.site.socket()));
        let first = u64::from(number) << 32;
        let next = move |number| {
            let kind = kinds.next().unwrap_or(Kind::Stop);
            let number = first + number;
            Call::Good(Good { kind, number })
        };
        good.add(worker, Arc::clone(&attack.presence), every, Box::new(next));
    }
    attack.watch("quiet, warming up", WARM_UP).await?;
    let warming = good.count_anew();
    attack
        .watch("quiet", Duration::from_secs(options.quiet_seconds))
        .await?;
    let quiet = good.count_anew();

    let hostile = attack.hostile(options.connections / 2, every);
    attack.watch("under attack, warming up", WARM_UP).await?;
    let between = good.count_anew();
    attack
        .watch("under attack", Duration::from_secs(options.seconds))
        .await?;
    let attacked = good.count_anew();
    let memory = attack.runner.resident_kib().unwrap_or_default() >> 10;
    let descriptors = attack.runner.descriptors().unwrap_or_default();
    let hostile = hostile.disperse().await;
    let after = good.disperse().await;
    attack.watch("after", GLANCE).await?;

    let measured = [&quiet, &attacked];
    let share = 100 * hostile.calls / (hostile.calls + between.calls + attacked.calls).max(1);
    say("")?;
    say("good filters          quiet     attacked")?;
    let row = |name: &str, of: &dyn Fn(&Tally) -> String| {
        let [quiet, attacked] = measured.map(of);
        say(&format!("{name:<16} {quiet:>10}   {attacked:>10}"))
    };
    row("calls", &|tally| tally.calls.to_string())?;
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        row(name, &|tally| format!("{:.2?}", tally.latency(quantile)))?;
    }
    let quiet_p99 = quiet.latency(0.99).as_secs_f64();
    let ratio = attacked.latency(0.99).as_secs_f64() / quiet_p99.max(f64::EPSILON);
    say(&format!("p99 under attack / p99 in the quiet: {ratio:.2}"))?;
    say(&format!(
        "hostile calls: {}, {share} % of all under attack",
        hostile.calls
    ))?;
    say(&format!("memory {memory} MiB, {descriptors} descriptors"))?;

    let good_calls = [&alone.good, &warming, &quiet, &between, &attacked, &after];
    for tally in good_calls {
        complain("good filter", tally)?;
    }
    let wrong: u64 = good_calls.iter().map(|tally| tally.wrong).sum();
    let unexpected = attack.unexpected(&[&alone.hostile, &hostile])?;
    let guests: BTreeSet<&str> = ROWS
        .iter()
        .filter(|row| row.source != Source::Nothing)
        .map(|row| row.guest)
        .collect();
    let as_expected = guests.difference(&unexpected).count();
    let (guests, deaths) = (guests.len(), attack.deaths);
    say(&format!(
        "{guests} guests, {as_expected} as expected, {deaths} deaths, {wrong} wrong answers"
    ))?;
    Ok(unexpected.is_empty() && deaths == 0 && wrong == 0 && ratio <= options.ratio)
}

/// What came of calls without any load.
struct Alone {
    hostile: Tally,
    good: Tally,
}

impl Attack {
    /// Every row and every good filter once, one after the other.
    async fn one_by_one(&mut self) -> Result<Alone> {
        let bar = progress("one by one", ROWS.len() as u64);
        let worker = Worker::new(self.site.socket());
        let mut alone = Alone {
            hostile: Tally::default(),
            good: Tally::default(),
        };
        for kind in Kind::ALL {
            let call = Call::Good(Good { kind, number: 0 });
            alone.good.judge(&worker, &call).await;
        }
        for (index, row) in ROWS.iter().enumerate() {
            self.calls[index].fetch_add(1, Ordering::Relaxed);
            alone.hostile.judge(&worker, &Call::Hostile(row)).await;
            self.revive().await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(alone)
    }

    /// So many hostile connections. Each calls every row in an order of its
    /// own, and then again.
    fn hostile(&self, connections: u32, every: Duration) -> Crowd {
        let mut crowd = Crowd::new();
        for number in 0..connections {
            let mut random = fastrand::Rng::with_seed(number.into());
            let mut order: Vec<usize> = (0..ROWS.len()).collect();
            random.shuffle(&mut order);
            let mut order = order.into_iter().cycle();
            let calls = Arc::clone(&self.calls);
            let worker = Arc::new(Worker::new(self.site.socket()));
            let next = move |_| {
                let row = order.next().unwrap_or_default();
                calls[row].fetch_add(1, Ordering::Relaxed);
                Call::Hostile(&ROWS[row])
            };
            crowd.add(worker, Arc::clone(&self.presence), every, Box::new(next));
        }
        crowd
    }

    /// Lets time pass, and looks after the process.
    async fn watch(&mut self, what: &'static str, time: Duration) -> Result<()> {
        let bar = progress(what, time.as_millis() as u64);
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(GLANCE.min(time)).await;
            self.revive().await?;
            bar.inc(GLANCE.as_millis() as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Starts the runner again where it has died, as the gateway does.
    async fn revive(&mut self) -> Result<()> {
        if self.runner.is_alive() {
            return Ok(());
        }
        self.presence.change();
        self.deaths += 1;
        let words = self.runner.last_words();
        writeln!(anstream::stderr(), "the runner died; it said: {words}")?;
        self.runner = self.site.start()?;
        self.presence.change();
        Ok(())
    }

    /// Guests of which a reply or a counter was not what the table says; says
    /// why.
    fn unexpected(&self, tallies: &[&Tally]) -> Result<BTreeSet<&'static str>> {
        let mut unexpected = BTreeSet::new();
        for tally in tallies {
            complain("hostile guest", tally)?;
            let rows = ROWS.iter().map(|row| (row, Call::Hostile(row).shown()));
            let wrong = rows.filter(|(_, shown)| tally.faults.contains_key(shown));
            unexpected.extend(wrong.map(|(row, _)| row.guest));
        }
        if self.deaths > 0 {
            // The counters went with the process.
            return Ok(unexpected);
        }
        let metrics = Metrics::read(&self.site.admin())?;
        let mut expected: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
        for (row, calls) in ROWS.iter().zip(&*self.calls) {
            let outcomes = expected
                .entry((row.plugin, row.phase.label(), row.guest))
                .or_default();
            *outcomes.entry(loosely(row.outcome)).or_default() += calls.load(Ordering::Relaxed);
        }
        for ((plugin, phase, guest), expected) in expected {
            let mut found: BTreeMap<String, u64> = BTreeMap::new();
            for (outcome, calls) in metrics.outcomes(plugin, phase) {
                *found.entry(loosely(&outcome)).or_default() += calls;
            }
            // What is not there has no name to be counted under.
            if found != expected && !expected.contains_key("missing") {
                let line = format!("{plugin} ({phase}): expected {expected:?}, counted {found:?}");
                writeln!(anstream::stderr(), "{line}")?;
                unexpected.insert(guest);
            }
        }
        Ok(unexpected)
    }
}

/// On a busy machine a guest that computes may reach the end of its time by the
/// clock on the wall first.
fn loosely(outcome: &str) -> String {
    match outcome {
        "deadline_cpu" | "deadline_wall" => "deadline".into(),
        other => other.into(),
    }
}

pub(crate) fn complain(whose: &str, tally: &Tally) -> Result<()> {
    let style = anstyle::AnsiColor::Red.on_default();
    for (called, (times, first)) in &tally.faults {
        let mut stderr = anstream::stderr();
        writeln!(
            stderr,
            "{style}{whose}{style:#} {called}, {times} times: {first}"
        )?;
    }
    Ok(())
}
