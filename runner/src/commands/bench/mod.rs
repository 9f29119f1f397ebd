//! `runner bench`: load for any external plugin runner, and what it costs.
//! Plays the gateway over a unix socket; the runner may be this one or any
//! other, in the same process list or not.
//!
//! One thread drives all connections: the driver must take much less of the
//! machine than the runner, which shares it.

mod caller;
mod connection;
mod failure;
mod load;
mod process;
mod progress;
mod report;
mod request;
mod stage;
mod tally;

pub(super) use self::report::grouped;
use anyhow::{Context, Result, bail};

use self::report::Report;
use self::request::Traffic;
use crate::cli::BenchOptions;

/// Drives the load and prints the figures.
///
/// # Errors
/// Where there is no runner, where it refuses the configuration, and where a
/// call failed; the figures are printed all the same then.
pub fn run(options: &BenchOptions) -> Result<()> {
    let traffic = Traffic::new(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = runtime.block_on(load::run(options, traffic))?;
    let report = Report::new(options, &run);
    let mut out = anstream::stdout().lock();
    match options.json {
        true => report.write_json(&mut out),
        false => report.write_text(&mut out),
    }
    .context("the figures cannot be printed")?;
    match report.trouble() {
        Some(trouble) => bail!("{trouble}"),
        None => Ok(()),
    }
}
