//! `runner try`: one call of one filter, shown as curl would show a request:
//! before and after, what the filter did, what it cost.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail, ensure};
use sandbox::{Instructions, Secrets};
use tracing::Level;

use super::bench::grouped;
use crate::cases::{WrittenAnswer, WrittenResponse, request};
use crate::cli::TryOptions;
use crate::config::{self, ProcessEnvironment};
use crate::picture::Picture;
use crate::trial::provided::{Answer, Provided};
use crate::trial::witness::Event;
use crate::trial::{Came, Candidate, Exchange, Report, Workshop};

/// Tries a filter.
///
/// # Errors
/// Where it cannot be loaded, refuses its configuration or fails on the call;
/// what it did until then is printed.
pub fn run(options: &TryOptions) -> Result<()> {
    let config = config::load(options.config.as_deref(), None, &ProcessEnvironment)?;
    let mut exchange = exchange(options)?;
    let provided = provided(options)?;
    let configuration = text_or_file(&options.conf).context("--conf")?;
    let tenant = config.tenant(options.tenant.as_deref());
    let workshop = Workshop::open(&config, tenant.map_err(anyhow::Error::msg)?)?;
    let name = match &options.plugin {
        Some(name) => name.clone(),
        None => plugin_name(&options.file)?,
    };
    let candidate = workshop.load(&options.file, &name)?;
    let phases = candidate.plugin.phases();
    if exchange.response.is_none() && !phases.request {
        exchange.response = Some(WrittenResponse::default().response()?);
    }
    let report = candidate.run(&configuration, &exchange, &provided, true)?;
    let mut out = anstream::stdout();
    print(&mut out, &candidate, &exchange, &report)?;
    match &report.came {
        Ok(_) => Ok(()),
        Err(reason) => bail!("{name}: {reason}"),
    }
}

/// The plugin that a file would be in a folder of modules.
///
/// # Errors
/// Where its name is no text.
pub(super) fn plugin_name(file: &Path) -> Result<String> {
    let name = file.file_stem().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name to go by", file.display()))?;
    Ok(name.to_owned())
}

/// What stands on the command line, or what is in the file that `@` names.
fn text_or_file(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(file) => std::fs::read(file).with_context(|| format!("cannot read {file}")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

fn exchange(options: &TryOptions) -> Result<Exchange> {
    let (method, url) = match options.target.as_slice() {
        [url] => ("GET", url),
        [method, url] => (method.as_str(), url),
        _ => bail!("one URL, with a method before it if it is not GET"),
    };
    let headers = options.headers.iter().map(|header| header_of(header));
    let headers: Vec<(String, String)> = headers.collect::<Result<_>>()?;
    let body = options.data.as_deref().map(text_or_file).transpose();
    let body = body.context("--data")?;
    let mut request = request(method, url, headers, body, options.source_address)?;
    for variable in &options.variables {
        let (name, value) = variable
            .split_once('=')
            .with_context(|| format!("--var {variable:?} is not NAME=VALUE"))?;
        request.variables.insert(name.into(), value.into());
    }
    let response = match &options.response {
        Some(text) => Some(response_of(text)?.response().context("--response")?),
        None => None,
    };
    Ok(Exchange { request, response })
}

/// What the filter finds behind its grants.
fn provided(options: &TryOptions) -> Result<Provided> {
    let secret = |secret: &String| {
        let (name, value) = secret
            .split_once('=')
            .with_context(|| format!("--secret {secret:?} is not NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let secrets: Result<Secrets> = options.secrets.iter().map(secret).collect();
    let answers = options.http.iter().map(|text| {
        let written: WrittenAnswer = serde_yaml::from_str(text)?;
        written.answer()
    });
    let answers: Result<Vec<Answer>> = answers.collect();
    let answers = answers.context(
        "--http is an answer as JSON or YAML, such as '{url: \"https://auth.test/\", status: 200}'",
    )?;
    Ok(Provided {
        answers,
        secrets: Arc::new(secrets?),
    })
}

/// `Name: value`.
fn header_of(header: &str) -> Result<(String, String)> {
    let (name, value) = header
        .split_once(':')
        .with_context(|| format!("--header {header:?} is not `Name: value`"))?;
    ensure!(!name.is_empty(), "--header {header:?} has no name");
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// A status, or what stands under `response` in a case.
fn response_of(text: &str) -> Result<WrittenResponse> {
    if let Ok(status) = text.parse() {
        return Ok(WrittenResponse {
            status,
            ..WrittenResponse::default()
        });
    }
    let text = String::from_utf8(text_or_file(text)?).context("--response")?;
    serde_yaml::from_str(&text).context(
        "--response is a status, or status, headers and body as JSON or YAML, such as \
         '{status: 404, headers: {Content-Type: text/plain}, body: gone}'",
    )
}

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

fn print(
    out: &mut impl Write,
    candidate: &Candidate<'_>,
    exchange: &Exchange,
    report: &Report,
) -> std::io::Result<()> {
    match (&report.came, &exchange.response) {
        (Ok(Came::Request(outcome)), _) => {
            write!(out, "{}", Picture::of_request(&exchange.request, outcome))?;
        }
        (Ok(Came::Response(after)), Some(before)) => {
            write!(out, "{}", Picture::of_response(before, after))?;
        }
        (_, None) => write!(out, "{}", Picture::before_request(&exchange.request))?,
        (_, Some(before)) => write!(out, "{}", Picture::before_response(before))?,
    }
    print_events(out, &report.events)?;
    match report.came {
        Ok(_) => print_costs(out, candidate, report),
        Err(_) => Ok(()),
    }
}

fn print_events(out: &mut impl Write, events: &[Event]) -> std::io::Result<()> {
    let mut wasi = 0;
    let mut heading = "\ncalls of the host and log\n";
    for event in events {
        if let Event::Wasi(_) = event {
            wasi += 1;
            continue;
        }
        write!(out, "{BOLD}{heading}{BOLD:#}")?;
        heading = "";
        print_event(out, event)?;
    }
    match wasi {
        0 => Ok(()),
        1 => writeln!(out, "  {DIM}and one call of WASI{DIM:#}"),
        more => writeln!(out, "  {DIM}and {more} calls of WASI{DIM:#}"),
    }
}

fn print_event(out: &mut impl Write, event: &Event) -> std::io::Result<()> {
    match event {
        Event::HostCall {
            function,
            arguments,
            result,
        } => match result {
            Some(result) => {
                writeln!(out, "  {function}({arguments}) {DIM}={DIM:#} {result}")
            }
            None => writeln!(out, "  {function}({arguments})"),
        },
        Event::Line(level, line) => {
            let style = style_of(*level);
            writeln!(out, "  {style}{level:<5}{style:#} {line}")
        }
        Event::Runner(level, line) => {
            let style = style_of(*level);
            writeln!(
                out,
                "  {style}{level:<5}{style:#} {DIM}runner:{DIM:#} {line}"
            )
        }
        Event::Wasi(_) => Ok(()),
    }
}

fn style_of(level: Level) -> Style {
    match level {
        Level::ERROR => AnsiColor::Red.on_default(),
        Level::WARN => AnsiColor::Yellow.on_default(),
        Level::INFO => AnsiColor::Green.on_default(),
        _ => DIM,
    }
}

fn print_costs(
    out: &mut impl Write,
    candidate: &Candidate<'_>,
    report: &Report,
) -> std::io::Result<()> {
    let loaded = duration(candidate.loaded_in);
    let how = match candidate.was_compiled() {
        true => "compiled",
        false => "from the cache",
    };
    writeln!(
        out,
        "\n{BOLD}cost{BOLD:#} {DIM}(a fresh instance, instructions counted){DIM:#}"
    )?;
    let (took, first) = (duration(report.took), duration(report.first_took));
    writeln!(
        out,
        "  time          {took}, the first time {first}; loaded in {loaded} ({how})"
    )?;
    writeln!(out, "  memory        {}", bytes(report.memory))?;
    if let Some(Instructions { configure, handler }) = report.instructions {
        // Exact up to 2^53.
        let (configure, handler) = (grouped(configure as f64), grouped(handler as f64));
        writeln!(
            out,
            "  instructions  {handler} in the handler, {configure} to start and configure"
        )?;
    }
    Ok(())
}

/// With the unit that leaves few digits.
pub(super) fn duration(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        _ if micros < 1e3 => format!("{micros:.0} us"),
        _ if micros < 1e6 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// In KiB or MiB.
pub(super) fn bytes(bytes: usize) -> String {
    match bytes {
        _ if bytes < 10 << 20 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_should_be_short() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(duration(Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!(duration(Duration::from_nanos(7_800)), "8 us");
        assert_eq!(bytes(65_537), "65 KiB");
        assert_eq!(bytes(20 << 20), "20.0 MiB");
    }

    #[test]
    fn a_header_should_be_read_as_curl_reads_it() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("X-A: b", Some(pair("X-A", "b"))),
            ("X-A:b: c", Some(pair("X-A", "b: c"))),
            ("X-A:", Some(pair("X-A", ""))),
            ("X-A", None),
            (": b", None),
        ] {
            assert_eq!(header_of(text).ok(), expected, "{text}");
        }
    }
}
