//! The course of `measure languages`: the same filter in every language that
//! `just languages` has built, each in a fresh instance and in a warm one,
//! beside the floor and, where there is one, another runner.
//!
//! Must not know which languages there are.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench_command::{Figures, measure};
use crate::cases;
use crate::machine::Machine;
use crate::peer::Peer;
use crate::server::{Server, wait_for_rest};
use crate::statistics::median;

/// What the filter is told: to set one header. It looks at the path and at one
/// argument besides, and would log a line if anybody read it.
const CONFIGURATION: &str = r#"{"header":"X-A","value":"1"}"#;

/// Connections of the measurements.
const CONNECTIONS: [u32; 2] = [1, 8];

/// The largest component takes most of it to compile.
const LOADING: Duration = Duration::from_secs(300);

/// How a plugin runs, for the runner's configuration.
const WAYS: [(&str, &str); 3] = [
    ("fresh", "snapshot: \"off\", instances: fresh"),
    ("snapshot", "snapshot: always, instances: fresh"),
    ("warm", "snapshot: \"off\", instances: warm"),
];

/// What to do.
pub(crate) struct Plan {
    /// Where `runner` and `floor` are.
    pub(crate) programs: PathBuf,
    /// The built modules.
    pub(crate) modules: PathBuf,
    pub(crate) rounds: u32,
    /// How long one measurement takes.
    pub(crate) time: Duration,
    pub(crate) peer: Option<Peer>,
}

/// One line of the result.
struct Line {
    what: String,
    socket: PathBuf,
    plugin: String,
    configuration: String,
    pid: Option<String>,
    /// By number of connections.
    figures: [Vec<Figures>; CONNECTIONS.len()],
    /// Why there are none.
    failure: Option<String>,
}

/// Measures all of it; returns the document.
pub(crate) fn run(plan: &Plan) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let plugins = plugins(&plan.modules)?;
    let (floor, mut lines) = floor(plan, folder.path())?;
    let mut servers = vec![floor];
    for (way, settings) in WAYS {
        let server = start(plan, folder.path(), way, settings, &plugins)?;
        for plugin in &plugins {
            lines.push(Line::new(&format!("{plugin}, {way}"), &server, plugin));
        }
        servers.push(server);
    }
    if let Some(peer) = &plan.peer {
        lines.push(Line {
            configuration: peer.conf.clone(),
            pid: peer.pid.clone(),
            ..Line::new("peer", &Server::running(&peer.socket), &peer.plugin)
        });
    }
    // Snapshots are made in the background, of what is used.
    for line in &mut lines {
        line.measure(plan);
        line.figures = Default::default();
    }
    for pid in servers.iter().filter_map(Server::id) {
        wait_for_rest(pid, LOADING)?;
    }
    for _ in 0..plan.rounds {
        for line in &mut lines {
            line.measure(plan);
        }
    }
    document(plan, &lines)
}

/// The names of the modules.
fn plugins(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder);
    let entries =
        entries.with_context(|| format!("{}: run `./just languages`", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let (Some("wasm"), Some(name)) = (
            path.extension().and_then(|ending| ending.to_str()),
            path.file_stem().and_then(|name| name.to_str()),
        ) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        bail!("no module in {}: run `./just languages`", folder.display());
    }
    names.sort();
    Ok(names)
}

fn floor(plan: &Plan, folder: &Path) -> Result<(Server, Vec<Line>)> {
    let socket = folder.join("floor.sock");
    let mut command = Command::new(plan.programs.join("floor"));
    command.arg(&socket);
    let server = Server::start(command, &socket)?;
    let lines = vec![Line::new("floor", &server, "any")];
    Ok((server, lines))
}

/// A runner that has all modules compiled.
fn start(
    plan: &Plan,
    folder: &Path,
    way: &str,
    settings: &str,
    plugins: &[String],
) -> Result<Server> {
    let named: Vec<String> = plugins
        .iter()
        .map(|plugin| format!("  {plugin}: {{{settings}}}\n"))
        .collect();
    // Room for snapshots of the largest, and time for a compiler.
    let own = format!(
        "limits: {{snapshots_mib: 1024, prepare_ms: 30000}}\nplugins:\n{}",
        named.concat()
    );
    let file = folder.join(format!("{way}.yaml"));
    std::fs::write(&file, cases::config_file(&own, &folder.join("cache")))?;
    let socket = folder.join(format!("{way}.sock"));
    let mut command = Command::new(plan.programs.join("runner"));
    command.args(["serve", "--modules"]).arg(&plan.modules);
    command
        .arg("--config")
        .arg(&file)
        .arg("--listen")
        .arg(&socket);
    let server = Server::start(command, &socket)?;
    let pid = server.id().context("a process of ours")?;
    if !wait_for_rest(pid, LOADING)? {
        bail!("it still compiles after {} s", LOADING.as_secs());
    }
    Ok(server)
}

impl Line {
    fn new(what: &str, server: &Server, plugin: &str) -> Self {
        Line {
            what: what.to_owned(),
            socket: server.socket().to_owned(),
            plugin: plugin.to_owned(),
            configuration: CONFIGURATION.to_owned(),
            pid: None,
            figures: Default::default(),
            failure: None,
        }
    }

    fn measure(&mut self, plan: &Plan) {
        for (index, connections) in CONNECTIONS.iter().enumerate() {
            if self.failure.is_some() {
                return;
            }
            let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
            let mut words: Vec<String> = ["--plugin", &self.plugin, "--conf", &self.configuration]
                .map(str::to_owned)
                .to_vec();
            words.extend(["--connections".into(), connections.to_string()]);
            words.extend(["--duration".into(), milliseconds(plan.time)]);
            words.extend(["--warmup".into(), milliseconds(plan.time / 2)]);
            if let Some(pid) = &self.pid {
                words.extend(["--pid".into(), pid.clone()]);
            }
            let runner = plan.programs.join("runner");
            match measure(&runner, &self.socket, &words, None) {
                Ok(figures) => self.figures[index].push(figures),
                Err(error) => self.failure = Some(format!("{error:#}")),
            }
        }
    }

    fn cpu(&self, index: usize) -> Option<f64> {
        let figures = self.figures[index].iter();
        median(figures.filter_map(|figures| Some(figures.process.as_ref()?.cpu_us)))
    }
}

fn document(plan: &Plan, lines: &[Line]) -> Result<String> {
    let machine = Machine::this();
    let mut text = String::new();
    writeln!(
        text,
        "# The same filter in every language\n\nWritten by `./just bench-languages`; do not edit. \
         Medians of {} rounds of {:.1} s each, all lines in turn within a round, on {}: {}, {} \
         cores, Linux {}. The load driver shares these cores.\n\nThe filter is that of `runner \
         new`: it looks at the path, sets one header, looks at one argument and would log a line. \
         *fresh*: an instance for each call, configured in it. *snapshot*: an instance for each \
         call, begun from a configured state; where that cannot be captured it is as *fresh*. \
         *warm*: one that is used again. CPU is that of the runner's process for one request, in \
         microseconds; *x floor* is beside a program that only answers.\n",
        plan.rounds,
        plan.time.as_secs_f64(),
        machine.date,
        machine.cpu,
        machine.cores,
        machine.kernel
    )?;
    let peer = lines.iter().find(|line| line.what == "peer");
    let mut head =
        String::from("| filter | CPU, 1 connection | p50 | CPU, 8 connections | x floor |");
    let mut rule = String::from("|---|---|---|---|---|");
    if peer.is_some() {
        head.push_str(" of peer |");
        rule.push_str("---|");
    }
    writeln!(text, "{head}\n{rule}")?;
    let floor = lines.first().and_then(|line| line.cpu(1));
    for line in lines {
        if let Some(failure) = &line.failure {
            writeln!(text, "| {} | {failure} |", line.what)?;
            continue;
        }
        let p50 = median(line.figures[0].iter().map(|figures| figures.latency_us.p50));
        let shown = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
        let times = |of: Option<f64>| match (line.cpu(1), of) {
            (Some(cpu), Some(of)) => format!("{:.2}", cpu / of),
            _ => "-".into(),
        };
        write!(
            text,
            "| {} | {} | {} | {} | {} |",
            line.what,
            shown(line.cpu(0)),
            shown(p50),
            shown(line.cpu(1)),
            times(floor)
        )?;
        match peer {
            Some(peer) => writeln!(text, " {} |", times(peer.cpu(1)))?,
            None => writeln!(text)?,
        }
    }
    Ok(text)
}
