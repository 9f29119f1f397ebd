//! `measure`: what the runner costs beside a floor and beside other runners,
//! into bench/results/. `./just bench` and `./just callgrind` build all of it
//! in release mode and run it.

mod bench_command;
mod cases;
mod extremes;
mod gateway;
mod instructions;
mod languages;
mod machine;
mod matrix;
mod modules;
mod peer;
mod plot;
mod results;
mod server;
mod statistics;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use self::machine::{CpuTime, Machine};
use self::matrix::Plan;
use self::peer::Peer;

/// Measures the runner of this build.
#[derive(Debug, Parser)]
#[command(name = "measure", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// The built filters.
    #[arg(long, global = true, default_value = "target/modules")]
    modules: PathBuf,
    /// Where the results go.
    #[arg(long, global = true, default_value = "bench/results")]
    out: PathBuf,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every load on every program, in turn, over several rounds.
    Matrix(MatrixOptions),
    /// The same filter in every language, fresh and warm.
    Languages {
        /// Rounds, of which the median is taken.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Seconds of each measurement.
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
    },
    /// Instructions per request, counted by callgrind.
    Instructions {
        /// Requests in the shorter of two runs.
        #[arg(long, default_value_t = 1000)]
        requests: u64,
    },
}

/// Another runner on the same work is named by PEER_SOCKET, PEER_PLUGIN,
/// PEER_CONF and, where the process that listens is not the one to measure,
/// PEER_PID.
#[derive(Debug, Args)]
struct MatrixOptions {
    /// Rounds, of which the median is taken.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// One short round of all: shows that it works, and little more.
    #[arg(long)]
    quick: bool,
    /// Only loads with this in their name, or on a program of this name, beside
    /// the floor.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// One load, and beyond it only the start, the memory and the bursts,
    /// of this program.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "only")]
    extremes_of: Option<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            // Nowhere is left to report that stderr is gone.
            let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    std::fs::create_dir_all(&cli.out)?;
    match &cli.what {
        What::Matrix(options) => matrix(cli, options),
        What::Languages { rounds, seconds } => {
            let plan = languages::Plan {
                programs: programs()?,
                modules: cli.modules.clone(),
                rounds: *rounds,
                time: Duration::try_from_secs_f64(*seconds).context("--seconds")?,
                peer: Peer::of_environment(),
            };
            write(&cli.out.join("languages.md"), &languages::run(&plan)?)
        }
        What::Instructions { requests } => {
            let runner = programs()?.join("runner");
            let text = instructions::run(&runner, &cli.modules, *requests)?;
            write(&cli.out.join("instructions.md"), &text)
        }
    }
}

fn matrix(cli: &Cli, options: &MatrixOptions) -> Result<()> {
    let (rounds, seconds, warmup) = match options.quick {
        true => (1, 0.5, 200),
        false => (options.rounds, options.seconds, 500),
    };
    let plan = Plan {
        programs: programs()?,
        modules: cli.modules.clone(),
        rounds,
        time: Duration::try_from_secs_f64(seconds).context("--seconds")?,
        warmup: Duration::from_millis(warmup),
        extremes: options.only.is_none(),
        extremes_of: options.extremes_of.clone(),
        peer: Peer::of_environment(),
    };
    let mut loads = cases::loads(&modules::others(&cli.modules)?);
    if let Some(program) = &options.extremes_of {
        // A column needs one load.
        loads.retain(|load| load.name == cases::ONE_CORE && load.subject == program);
    }
    if let Some(only) = &options.only {
        // Nothing can be said without the floor.
        loads.retain(|load| {
            load.name.contains(only) || load.subject == only || load.subject == cases::FLOOR
        });
    }
    let (machine, before) = (Machine::this(), CpuTime::now());
    let results = matrix::run(&plan, &loads)?;
    let stolen = CpuTime::now().stolen_since(before);
    let text = table::markdown(&results, &loads, &plan, &machine, stolen);
    write(&cli.out.join("cost.svg"), &plot::svg(&results)?)?;
    write(&cli.out.join("README.md"), &text)
}

/// The folder of this program; the others are built into it too.
fn programs() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().context("this program is in no folder")?;
    Ok(folder.to_owned())
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| file.display().to_string())?;
    writeln!(anstream::stdout(), "{}", file.display())?;
    Ok(())
}
