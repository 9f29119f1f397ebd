//! `runner test`: an author's cases against the real component. Text for people,
//! JUnit XML for programs.

mod junit;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail};

use super::try_filter::{duration, plugin_name};
use crate::cases::{Case, CaseFile, Seen, files_at};
use crate::cli::TestOptions;
use crate::config::{self, ProcessEnvironment};
use crate::trial::witness::Event;
use crate::trial::{Candidate, NoResult, Workshop};

/// The cases of one file and what came of them.
struct Suite {
    file: PathBuf,
    verdicts: Vec<Verdict>,
}

/// What came of one case.
struct Verdict {
    case: String,
    /// None: it is as it should be.
    differences: Vec<String>,
    /// What the filter logged.
    lines: Vec<String>,
    took: Duration,
}

impl Verdict {
    fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Runs all cases at a path.
///
/// # Errors
/// Where one is not met, or cannot be tried at all.
pub fn run(options: &TestOptions) -> Result<()> {
    let files = files_at(&options.path)?;
    // Before anything is compiled: a slip in the last file is known at once.
    let files: Vec<(PathBuf, CaseFile)> = files
        .into_iter()
        .map(|file| CaseFile::read(&file).map(|cases| (file, cases)))
        .collect::<Result<_>>()?;
    let config = config::load(options.config.as_deref(), None, &ProcessEnvironment)?;
    let tenant = config.tenant(options.tenant.as_deref());
    let workshop = Workshop::open(&config, tenant.map_err(anyhow::Error::msg)?)?;
    let mut out = anstream::stdout();
    let mut suites = Vec::new();
    for (file, cases) in files {
        let filter = filter_of(&file, &cases, options.filter.as_deref())?;
        writeln!(out, "{} ({})", file.display(), filter.display())?;
        let name = match &cases.plugin {
            Some(name) => name.clone(),
            None => plugin_name(&filter)?,
        };
        let candidate = workshop.load(&filter, &name)?;
        let mut verdicts = Vec::new();
        for case in &cases.cases {
            let verdict = try_case(&candidate, &cases, case)?;
            print(&mut out, &verdict)?;
            verdicts.push(verdict);
        }
        suites.push(Suite { file, verdicts });
    }
    if let Some(file) = &options.junit {
        let report = junit::report(&suites)?;
        std::fs::write(file, report).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let verdicts = || suites.iter().flat_map(|suite| &suite.verdicts);
    let failed = verdicts().filter(|verdict| !verdict.passed()).count();
    let passed = verdicts().count() - failed;
    writeln!(out, "\n{passed} passed, {failed} failed")?;
    match failed {
        0 => Ok(()),
        1 => bail!("one case failed"),
        failed => bail!("{failed} cases failed"),
    }
}

/// The module that a file of cases is about.
fn filter_of(file: &Path, cases: &CaseFile, given: Option<&Path>) -> Result<PathBuf> {
    match (given, &cases.filter) {
        (Some(given), _) => Ok(given.to_owned()),
        (None, Some(named)) => Ok(file.parent().unwrap_or(Path::new("")).join(named)),
        (None, None) => bail!(
            "{} does not say which module it is about: write `filter: FILE.wasm`, or give \
             --filter FILE.wasm",
            file.display()
        ),
    }
}

fn try_case(candidate: &Candidate<'_>, cases: &CaseFile, case: &Case) -> Result<Verdict> {
    let configuration = cases.configuration_of(case);
    let provided = case.provided()?;
    let started = Instant::now();
    let (came, events) = match case.exchange()? {
        Some(exchange) => {
            let report = candidate.run(&configuration, &exchange, &provided, false)?;
            (report.came.map(Some), report.events)
        }
        None => {
            let (outcome, events) = candidate.configure(&configuration, &provided);
            (outcome.map(|()| None).map_err(NoResult::Filter), events)
        }
    };
    let took = started.elapsed();
    let seen = Seen {
        came: came.as_ref().map(Option::as_ref),
        events: &events,
    };
    let differences = case.expect.differences(&seen);
    let lines = events.into_iter().filter_map(|event| match event {
        Event::Line(level, line) => Some(format!("{level} {line}")),
        _ => None,
    });
    Ok(Verdict {
        case: case.name.clone(),
        differences,
        lines: lines.collect(),
        took,
    })
}

fn print(out: &mut impl Write, verdict: &Verdict) -> std::io::Result<()> {
    let dim = Style::new().dimmed();
    let (mark, style) = match verdict.passed() {
        true => ("ok", AnsiColor::Green.on_default()),
        false => ("FAIL", AnsiColor::Red.on_default().bold()),
    };
    let (case, took) = (&verdict.case, duration(verdict.took));
    writeln!(out, "  {style}{mark:<4}{style:#} {case} {dim}{took}{dim:#}")?;
    for difference in &verdict.differences {
        writeln!(out, "       {difference}")?;
    }
    if !verdict.passed() {
        for line in &verdict.lines {
            writeln!(out, "       {dim}log: {line}{dim:#}")?;
        }
    }
    Ok(())
}
