//! `runner bench` as a tool: one measurement, and its figures.
//!
//! Must not know what is compared with what.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The figures that are used, of those that `runner bench --json` prints.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) latency_us: Latency,
    pub(crate) process: Option<Process>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Process {
    pub(crate) cpu_us: f64,
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
}

/// Measures once, on the core if one is given. Any failed call is an error: figures beside it would say
/// nothing.
pub(crate) fn measure(
    runner: &Path,
    socket: &Path,
    words: &[String],
    core: Option<&str>,
) -> Result<Figures> {
    let mut command = match core {
        None => Command::new(runner),
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", core]).arg(runner);
            command
        }
    };
    let output = command
        .args(["bench", "--json", "--socket"])
        .arg(socket)
        .args(words)
        .output()
        .with_context(|| format!("{} cannot be run", runner.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.trim().trim_start_matches("error: "));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
