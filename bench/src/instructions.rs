//! The course of `measure instructions`: the release runner under callgrind,
//! which counts each instruction of all its threads, those of compiled guests
//! included, and none of the kernel. Unlike time that does not depend on what
//! else the machine does.
//!
//! Two runs differ in nothing but the number of requests; what one request
//! takes is their difference, so that connections, configurations and the start
//! cancel out. The clock of the sandbox ticks in both and remains: under
//! callgrind a request takes fifty times as long, and ticks weigh as much more.
//! Its CPU also lacks the newest vector instructions, so that copying counts for
//! more than it costs.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench_command::measure;
use crate::cases::{self, Program, SET_HEADER, SUBJECTS};
use crate::machine::Machine;
use crate::modules;
use crate::server::{Server, wait_for_rest};

/// A load on each subject, by name.
const LOADS: [(&str, &[&str]); 3] = [
    ("15 headers, 5 arguments", &[]),
    (
        "50 headers, 20 arguments",
        &["--headers", "50", "--args", "20"],
    ),
    ("chain of 5", &["--chain", "5"]),
];

/// How often a load is counted until nothing else goes on.
const TRIES: u32 = 5;

/// Requests before anything is counted.
const WARMUP: u64 = 200;

/// Snapshots and the like may be made in the background for so long.
const REST_LIMIT: Duration = Duration::from_secs(120);

/// Counts for all subjects; returns the document.
pub(crate) fn run(runner: &Path, built: &Path, requests: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let modules = modules::folder_of(3, built, folder.path())?;
    let mut text = head(requests)?;
    for subject in &SUBJECTS {
        let Program::Runner(config) = subject.program else {
            continue;
        };
        let config_file = folder.path().join(format!("{}.yaml", subject.name));
        let cache = folder.path().join("cache");
        let mut config = cases::config_file(config, &cache);
        // A compiler of its own would run outside of callgrind and compile for
        // this processor, not for the one that callgrind plays.
        config += "compile: inside\n";
        std::fs::write(&config_file, config)?;
        let site = Site {
            runner,
            folder: folder.path(),
            name: subject.name,
        };
        for (load, options) in LOADS {
            // Each in a process of its own: callgrind leaves room for few
            // instances, and those that one load keeps are not there for the next.
            let counted = site
                .start(&modules, &config_file)
                .and_then(|server| site.count(&server, options, requests));
            let count = match counted {
                Ok(count) => count.to_string(),
                Err(why) => format!("not counted: {why:#}"),
            };
            writeln!(text, "| {} | {load} | {count} |", subject.name)?;
        }
    }
    Ok(text)
}

fn head(requests: u64) -> Result<String> {
    let machine = Machine::this();
    let mut text = String::new();
    writeln!(
        text,
        "# Instructions per request\n\n\
         Written by `./just callgrind`; do not edit. Instructions of the runner outside the \
         kernel, guests included, as callgrind counts them: the difference between {requests} and \
         {} requests over one connection, divided by {requests}. {}, {}.\n\n\
         | instances | load | instructions per request |\n|---|---|---|",
        2 * requests,
        machine.date,
        machine.cpu,
    )?;
    Ok(text)
}

/// What one request takes, unless something else went on in one of the two runs,
/// such as the making of a snapshot: then what is left beside the requests is not
/// the little that a connection and a configuration take.
fn settled(once: u64, twice: u64, requests: u64) -> Option<u64> {
    let all = twice.checked_sub(once)?;
    (all.abs_diff(once) < once / 5).then_some(all / requests)
}

struct Site<'a> {
    runner: &'a Path,
    folder: &'a Path,
    name: &'a str,
}

impl Site<'_> {
    fn start(&self, modules: &Path, config: &Path) -> Result<Server> {
        let socket = self.folder.join(format!("{}.sock", self.name));
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", self.out().display()))
            .arg(self.pipes())
            .arg(self.runner)
            .arg("serve")
            .arg("--modules")
            .arg(modules)
            .arg("--config")
            .arg(config)
            .arg("--listen")
            .arg(&socket);
        Server::start(command, &socket)
    }

    fn out(&self) -> PathBuf {
        self.folder.join(format!("{}.out", self.name))
    }

    /// Where callgrind is told to dump; it would leave them behind elsewhere.
    fn pipes(&self) -> String {
        format!("--vgdb-prefix={}", self.folder.join("vgdb").display())
    }

    fn count(&self, server: &Server, options: &[&str], requests: u64) -> Result<u64> {
        let pid = server.id().context("not our process")?;
        let mut dumps = 0;
        self.call(server, options, WARMUP)?;
        wait_for_rest(pid, REST_LIMIT)?;
        let mut count = |requests: u64| {
            self.call(server, options, requests)?;
            dumps += 1;
            self.dump(pid, dumps)
        };
        for _ in 0..TRIES {
            count(0)?;
            let (once, twice) = (count(requests)?, count(2 * requests)?);
            if let Some(one) = settled(once, twice, requests) {
                return Ok(one);
            }
        }
        bail!("it does not settle: a request takes now more, now less")
    }

    fn call(&self, server: &Server, options: &[&str], requests: u64) -> Result<()> {
        if requests == 0 {
            return Ok(());
        }
        let requests = requests.to_string();
        let usual = ["--plugin", "probe", "--conf", SET_HEADER, "--warmup", "0"];
        let count = ["--requests", &requests];
        let words = [&usual[..], &count, options].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        measure(self.runner, server.socket(), &words, None)?;
        Ok(())
    }

    /// Instructions since the last dump.
    fn dump(&self, pid: u32, number: u32) -> Result<u64> {
        let dumped = Command::new("callgrind_control")
            .args([&self.pipes(), "--dump", &pid.to_string()])
            .output()
            .context("callgrind_control")?;
        if !dumped.status.success() {
            bail!(
                "callgrind_control: {}",
                String::from_utf8_lossy(&dumped.stderr).trim()
            );
        }
        let file = format!("{}.{number}", self.out().display());
        let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        Ok(total.context(file)?.trim().parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_with_something_else_in_it_should_not_be_believed() {
        let rows = [
            // As much again, and a little for the connection.
            (1_020_000, 2_020_000, Some(1000)),
            // Something else in the first run, or in the second.
            (1_500_000, 2_020_000, None),
            (1_020_000, 2_500_000, None),
            (3_000_000, 2_020_000, None),
        ];
        for (once, twice, one) in rows {
            assert_eq!(settled(once, twice, 1000), one, "{once} {twice}");
        }
    }
}
