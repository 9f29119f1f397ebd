//! `fuzz`: tries targets with the engine for stable Rust, for a time or for a
//! number of inputs, and tries single files again.
//!
//! Must not know what a target does.

mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use fuzz::campaign::{Campaign, Fault, Tally, attempt};
use fuzz::{TARGETS, Target, targets};
use indicatif::{ProgressBar, ProgressStyle};

use crate::watch::Watch;

/// Attacks what reads bytes from outside.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the targets.
    List,
    /// Try inputs made of the seeds.
    Run(RunOptions),
    /// Try files as they are, in the open.
    Replay {
        /// What to attack.
        target: String,
        /// With what.
        files: Vec<PathBuf>,
    },
    /// Write the input of a number to standard output.
    Input {
        /// Of which target.
        target: String,
        /// The number that everything follows from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The input's own.
        number: u64,
    },
}

#[derive(Debug, clap::Args)]
struct RunOptions {
    /// What to attack; everything, where nothing is named.
    targets: Vec<String>,
    /// How long each of them.
    #[arg(long, default_value_t = 10, conflicts_with = "inputs")]
    seconds: u64,
    /// Or how many inputs for each.
    #[arg(long)]
    inputs: Option<u64>,
    /// The number that everything follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The first input's number.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::List => {
            let mut out = std::io::stdout().lock();
            for target in TARGETS {
                writeln!(out, "{}", target.name)?;
            }
        }
        Command::Run(options) => return run(&options),
        Command::Replay { target, files } => replay(named(&target)?, &files)?,
        Command::Input {
            target,
            seed,
            number,
        } => {
            let mut input = Vec::new();
            Campaign::new(named(&target)?, seed)?.make(number, &mut input);
            std::io::stdout().write_all(&input)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn named(name: &str) -> anyhow::Result<&'static Target> {
    targets::named(name).with_context(|| format!("there is no target {name}; see `fuzz list`"))
}

fn run(options: &RunOptions) -> anyhow::Result<ExitCode> {
    let chosen: Vec<_> = match options.targets.is_empty() {
        true => TARGETS.iter().collect(),
        false => {
            let names = options.targets.iter();
            names.map(|name| named(name)).collect::<Result<_, _>>()?
        }
    };
    let place = quiet_panics();
    let mut out = std::io::stdout().lock();
    writeln!(out, "seed {}", options.seed)?;
    let (mut total, mut faults) = (0, 0);
    for target in &chosen {
        let (tally, seconds, fault) = attack(target, options)?;
        total += tally.tried;
        writeln!(
            out,
            "{:14} {:>11} inputs  {:>9.0}/s  {:>3.0} % read",
            target.name,
            tally.tried,
            tally.tried as f64 / seconds,
            100.0 * tally.read as f64 / tally.tried.max(1) as f64,
        )?;
        if let Some(fault) = fault {
            faults += 1;
            let at = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let file = watch::keep(target.name, &fault.input)?;
            writeln!(
                out,
                "  input {} panics at {at}:\n  {}\n  target/debug/fuzz replay {} {}",
                fault.number,
                fault.message,
                target.name,
                file.display()
            )?;
        }
    }
    writeln!(
        out,
        "{} targets, {total} inputs, {faults} faults",
        chosen.len()
    )?;
    Ok(match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn attack(
    target: &'static Target,
    options: &RunOptions,
) -> anyhow::Result<(Tally, f64, Option<Fault>)> {
    let campaign = Campaign::new(target, options.seed)?;
    let end = options.from + options.inputs.unwrap_or(u64::MAX - options.from);
    let time = match options.inputs {
        Some(_) => Duration::MAX,
        None => Duration::from_secs(options.seconds),
    };
    let bar = progress(target, options);
    let reached = Arc::new(AtomicU64::new(options.from));
    let watch = Watch::start(target.name, options.seed, Arc::clone(&reached))?;
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut next = options.from;
    let mut batch = 1;
    let mut fault = None;
    while next < end && began.elapsed() < time && fault.is_none() {
        let last = end.min(next + batch);
        reached.store(next, Ordering::Relaxed);
        watch.note(next)?;
        let batch_began = Instant::now();
        fault = campaign.attack(next..last, &mut tally).err();
        batch = match batch_began.elapsed() < Duration::from_millis(2) {
            true => batch * 2,
            false => (batch / 2).max(1),
        };
        next = last;
        bar.set_position(match options.inputs {
            Some(_) => tally.tried,
            None => began.elapsed().as_millis() as u64,
        });
    }
    watch.end()?;
    bar.finish_and_clear();
    Ok((tally, began.elapsed().as_secs_f64(), fault))
}

/// On stderr, and only where that is a terminal.
fn progress(target: &Target, options: &RunOptions) -> ProgressBar {
    let bar = ProgressBar::new(options.inputs.unwrap_or(options.seconds * 1000));
    let template = "{prefix:14} {bar:30} {elapsed_precise} of {duration_precise}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(target.name)
}

/// A panic is counted, not printed: most are of inputs on the way to a smaller
/// one. Where the last one was is kept.
fn quiet_panics() -> Arc<Mutex<String>> {
    let place = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(at) = panic.location() {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = at.to_string();
        }
    }));
    place
}

fn replay(target: &Target, files: &[PathBuf]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for file in files {
        let input = std::fs::read(file).with_context(|| file.display().to_string())?;
        match attempt(target, &input) {
            Ok(depth) => writeln!(out, "{}: {depth:?}", file.display())?,
            Err(message) => bail!("{}: {message}", file.display()),
        }
    }
    Ok(())
}
