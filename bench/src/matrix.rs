//! The course of `measure matrix`: start the programs, put every load on each
//! of them in turn, round after round, then what no load shows.
//!
//! Must not know how results are shown.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::bench_command::{Figures, measure};
use crate::cases::{self, Load, Program, SUBJECTS, Subject, Work};
use crate::extremes;
use crate::modules;
use crate::peer::Peer;
use crate::results::{Key, Results};
use crate::server::{Server, confine};
use crate::table;

/// Which core, where all share one.
const ONE_CORE: &str = "0";

/// What to do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where `runner` and `floor` are.
    pub(crate) programs: PathBuf,
    /// The built filters.
    pub(crate) modules: PathBuf,
    pub(crate) rounds: u32,
    /// How long one measurement takes.
    pub(crate) time: Duration,
    /// Before each measurement.
    pub(crate) warmup: Duration,
    /// Whether to measure also what no load shows.
    pub(crate) extremes: bool,
    /// That of this program only.
    pub(crate) extremes_of: Option<String>,
    pub(crate) peer: Option<Peer>,
}

/// Where things are while the matrix runs.
struct Site<'a> {
    plan: &'a Plan,
    folder: TempDir,
    three_modules: PathBuf,
    twenty_modules: PathBuf,
    bar: ProgressBar,
}

/// Runs all of it.
pub(crate) fn run(plan: &Plan, loads: &[Load]) -> Result<Results> {
    let folder = tempfile::tempdir()?;
    let site = Site {
        plan,
        three_modules: modules::folder_of(3, &plan.modules, folder.path())?,
        twenty_modules: modules::folder_of(20, &plan.modules, folder.path())?,
        folder,
        bar: progress(plan, loads)?,
    };
    let mut results = Results::default();
    site.all_loads(loads, &mut results)?;
    for subject in &SUBJECTS {
        let wanted = plan.extremes_of.as_ref();
        if let Program::Runner(config) = subject.program
            && plan.extremes
            && wanted.is_none_or(|wanted| wanted == subject.name)
            && !results.skipped.contains_key(subject.name)
        {
            site.all_extremes(subject, config, &mut results)?;
        }
    }
    site.bar.finish_and_clear();
    Ok(results)
}

fn progress(plan: &Plan, loads: &[Load]) -> Result<ProgressBar> {
    let measurements: usize = loads.iter().map(|load| load.connections.len()).sum();
    let rounds = measurements as u64 * u64::from(plan.rounds);
    let bar = ProgressBar::new(rounds);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} {elapsed_precise}  {msg}",
    )?);
    Ok(bar)
}

impl Site<'_> {
    fn all_loads(&self, loads: &[Load], results: &mut Results) -> Result<()> {
        let mut servers = Vec::new();
        for subject in &SUBJECTS {
            match self.start(subject, &self.plan.modules) {
                Ok(server) => servers.push((subject.name, server)),
                Err(why) => {
                    results
                        .skipped
                        .insert(subject.name.into(), self.reason(&why));
                }
            }
        }
        for round in 1..=self.plan.rounds {
            for load in loads {
                let server = servers.iter().find(|(name, _)| *name == load.subject);
                for connections in load.connections {
                    let what = format!("{} on {}", load.name, load.subject);
                    self.bar.inc(1);
                    self.bar
                        .set_message(format!("round {round}: {what}, {connections} at a time"));
                    let Some((_, server)) = server else { continue };
                    if results.skipped.contains_key(&what) {
                        continue;
                    }
                    match self.measure(load, server, *connections) {
                        Ok(figures) => {
                            results.add(Key::new(&load.name, load.subject, *connections), figures);
                        }
                        Err(why) => {
                            results.skipped.insert(what, self.reason(&why));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn measure(&self, load: &Load, server: &Server, connections: u32) -> Result<Figures> {
        let words = self.words(load, connections)?;
        let runner = self.runner();
        if !load.one_core {
            return measure(&runner, server.socket(), &words, None);
        }
        let peer = self
            .plan
            .peer
            .as_ref()
            .and_then(|peer| peer.pid.as_ref()?.parse().ok());
        let pid = server.id().or(peer).context("PEER_PID is not set")?;
        confine(pid, ONE_CORE)?;
        let figures = measure(&runner, server.socket(), &words, Some(ONE_CORE));
        let last = std::thread::available_parallelism()?.get() - 1;
        confine(pid, &format!("0-{last}"))?;
        figures
    }

    fn words(&self, load: &Load, connections: u32) -> Result<Vec<String>> {
        let peer = match load.subject {
            cases::PEER => self.plan.peer.as_ref(),
            _ => None,
        };
        let (plugin, conf) = match (&load.work, peer) {
            (Work::Probe(conf), _) => ("probe", *conf),
            (Work::SetHeader, Some(peer)) => (peer.plugin.as_str(), peer.conf.as_str()),
            (Work::SetHeader, None) => ("probe", cases::SET_HEADER),
            (Work::Guest(name), _) => (name.as_str(), cases::SET_HEADER),
        };
        let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
        let mut words: Vec<String> = ["--plugin", plugin, "--conf", conf]
            .map(str::to_owned)
            .to_vec();
        words.extend(["--connections".into(), connections.to_string()]);
        words.extend(["--duration".into(), milliseconds(self.plan.time)]);
        words.extend(["--warmup".into(), milliseconds(self.plan.warmup)]);
        words.extend(load.options.iter().map(|option| (*option).to_owned()));
        if let Some(pid) = peer.and_then(|peer| peer.pid.clone()) {
            words.extend(["--pid".into(), pid]);
        }
        if load.body_kib > 0 {
            words.extend(["--body".into(), self.body(load.body_kib)?]);
        }
        Ok(words)
    }

    /// A file of text so large.
    fn body(&self, kib: usize) -> Result<String> {
        let file = self.folder.path().join(format!("body-{kib}"));
        if !file.exists() {
            std::fs::write(&file, "0123456789abcde\n".repeat(kib * 64))?;
        }
        Ok(file.to_string_lossy().into_owned())
    }

    fn all_extremes(
        &self,
        subject: &'static Subject,
        config: &str,
        results: &mut Results,
    ) -> Result<()> {
        let mut add = |name: &'static str, value: Result<f64>| match value {
            Ok(value) => results.add_extreme((name, subject.name), value),
            Err(why) => {
                let what = format!("{name} on {}", subject.name);
                results.skipped.insert(what, self.reason(&why));
            }
        };
        let three = || self.start_runner(subject.name, config, &self.three_modules);
        let twenty = || self.start_runner(subject.name, config, &self.twenty_modules);
        // Where it fails, the first measurement will say so.
        let _ = three().and_then(|server| extremes::load_all(&server));
        let _ = twenty().and_then(|server| extremes::load_all(&server));
        for round in 1..=self.plan.rounds {
            let name = subject.name;
            self.bar
                .set_message(format!("round {round}: start and configurations of {name}"));
            let first = |server: Result<Server>| extremes::first_answer_ms(&server?);
            add(table::START_3, first(three()));
            add(table::START_20, first(twenty()));
            let burst = three().and_then(|server| extremes::burst(&server));
            match burst {
                Ok(burst) => {
                    add(table::PREPARE, Ok(burst.prepare));
                    add(table::CALLS_BEFORE, Ok(burst.calls_before));
                    add(table::CALLS_DURING, Ok(burst.calls_during));
                }
                Err(why) => add(table::PREPARE, Err(why)),
            }
        }
        self.bar.set_message(format!("memory of {}", subject.name));
        add(
            table::IDLE,
            three().and_then(|server| extremes::idle_mib(&server)),
        );
        for (name, bytes) in [(table::CONFIGURED_40, 40), (table::CONFIGURED_1K, 1024)] {
            let memory = three().and_then(|server| extremes::configured_mib(&server, bytes));
            add(name, memory);
        }
        Ok(())
    }

    fn start(&self, subject: &Subject, modules: &Path) -> Result<Server> {
        match subject.program {
            Program::Floor => {
                let socket = self.folder.path().join("floor.sock");
                let mut command = Command::new(self.plan.programs.join("floor"));
                command.arg(&socket);
                Server::start(command, &socket)
            }
            Program::Runner(config) => self.start_runner(subject.name, config, modules),
            Program::Peer => {
                let peer = self.plan.peer.as_ref().context("PEER_SOCKET is not set")?;
                Ok(Server::running(&peer.socket))
            }
        }
    }

    fn start_runner(&self, name: &str, config: &str, modules: &Path) -> Result<Server> {
        let folder = self.folder.path();
        let cache = folder.join(format!("{name}-cache"));
        let file = folder.join(format!("{name}.yaml"));
        std::fs::write(&file, cases::config_file(config, &cache))?;
        let socket = folder.join(format!("{name}.sock"));
        let mut command = Command::new(self.runner());
        command
            .arg("serve")
            .arg("--modules")
            .arg(modules)
            .arg("--config")
            .arg(&file)
            .arg("--listen")
            .arg(&socket);
        Server::start(command, &socket)
    }

    /// Without the folder, which nobody will find again.
    fn reason(&self, why: &anyhow::Error) -> String {
        let folder = format!("{}/", self.folder.path().display());
        format!("{why:#}").replace(&folder, "")
    }

    fn runner(&self) -> PathBuf {
        self.plan.programs.join("runner")
    }
}
