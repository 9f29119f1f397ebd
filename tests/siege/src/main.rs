//! `siege`: hostile filters and good ones in front of the real runner, under
//! load, modules that change under it, and tenants with very different loads.
//! `./just attack`, `./just soak MINUTES`, `./just swaps` and `./just noisy` build
//! both in release mode and run it.

mod attack;
mod calls;
mod connection;
mod crowd;
mod noisy;
mod runner;
mod soak;
mod swaps;
mod tally;
mod worker;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Puts the runner under siege.
#[derive(Debug, Parser)]
#[command(name = "siege", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// The runner; the one that was built into the same folder where it is not
    /// named.
    #[arg(long, global = true, value_name = "FILE")]
    runner: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every hostile guest, with half of the connections hostile.
    Attack(attack::Options),
    /// A long time of everything, with restarts at its beginning.
    Soak(soak::Options),
    /// A tenant with ten times the load of another.
    Noisy(noisy::Options),
    /// A module that is replaced again and again while others call it.
    Swaps(swaps::Options),
}

// Two: a large answer to a hostile call must not delay the good ones.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            // Nowhere is left to report that stderr is gone.
            let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as it should be.
async fn run(cli: &Cli) -> Result<bool> {
    let runner = match &cli.runner {
        Some(runner) => runner.clone(),
        None => {
            let this = std::env::current_exe()?;
            this.parent()
                .context("this program is in no folder")?
                .join("runner")
        }
    };
    match &cli.what {
        What::Attack(options) => attack::run(&runner, options).await,
        What::Soak(options) => soak::run(&runner, options).await,
        What::Noisy(options) => noisy::run(&runner, options).await,
        What::Swaps(options) => swaps::run(&runner, options).await,
    }
}

/// A line of the outcome.
fn say(line: &str) -> Result<()> {
    Ok(writeln!(anstream::stdout(), "{line}")?)
}

/// A line that moves while something long goes on; on a terminal only.
fn progress(what: &str, seconds: u64) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(seconds);
    if let Ok(style) =
        indicatif::ProgressStyle::with_template("{msg:36} {bar:30} {elapsed_precise}")
    {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
