//! The request phase: read and report, edit, then stop or go on.

use guest_sdk::{Error, Request, StopResponse, Verdict, variables};

use crate::config::{Config, Edits, Reads, Stop};
use crate::report::Report;

pub(crate) fn run(config: &Config, request: &mut Request) -> Result<Verdict, Error> {
    let report = read(config, request)?;
    edit(&config.edits, request)?;
    match &config.stop {
        Some(stop) => Ok(answer(stop, report).into()),
        None => {
            if let Some((header, report)) = report {
                request.set_header(header, &report)?;
            }
            Ok(Verdict::Next)
        }
    }
}

/// The report with the header that is to carry it. What the configuration
/// asks of the gateway is asked even if nobody wants a report.
fn read<'a>(config: &'a Config, request: &Request) -> Result<Option<(&'a str, String)>, Error> {
    let Some(header) = &config.report else {
        ask(&config.reads, request, None)?;
        return Ok(None);
    };
    let mut report = Report::new();
    report.string("method", &request.method()?);
    report.string("path", &request.path()?);
    report.string("src_ip", &request.source_address()?);
    report.number("id", request.id()?);
    let args = request.args()?;
    let args = args
        .iter()
        .map(|arg| (arg.name.as_str(), arg.value.as_deref()));
    report.entries("args", args);
    report.headers(&request.headers()?);
    ask(&config.reads, request, Some(&mut report))?;
    Ok(Some((header, report.finish())))
}

fn ask(reads: &Reads, request: &Request, report: Option<&mut Report>) -> Result<(), Error> {
    ask_gateway(reads, || request.body(), report)
}

/// Asks for variables and body in either phase.
pub(crate) fn ask_gateway(
    reads: &Reads,
    body: impl Fn() -> Result<Option<Vec<u8>>, Error>,
    mut report: Option<&mut Report>,
) -> Result<(), Error> {
    if let Some(names) = &reads.vars {
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        let values = variables::get_many(&asked)?;
        if let Some(report) = report.as_deref_mut() {
            report.vars(names, &values);
        }
    }
    if reads.body {
        let body = body()?;
        if let Some(report) = report {
            let text = body.as_deref().map(String::from_utf8_lossy);
            report.string_or_null("body", text.as_deref());
        }
    }
    Ok(())
}

fn edit(edits: &Edits, request: &mut Request) -> Result<(), Error> {
    if let Some(path) = &edits.set_path {
        request.set_path(path)?;
    }
    for (name, value) in &edits.set_headers {
        request.set_header(name, value)?;
    }
    for (name, value) in &edits.add_headers {
        request.add_header(name, value)?;
    }
    for name in &edits.remove_headers {
        request.remove_header(name)?;
    }
    for (name, value) in &edits.set_args {
        request.set_arg(name, value)?;
    }
    for (name, value) in &edits.add_args {
        request.add_arg(name, value)?;
    }
    for name in &edits.remove_args {
        request.remove_arg(name)?;
    }
    if let Some(body) = &edits.set_body {
        request.set_body(body.as_bytes())?;
    }
    if edits.echo_body
        && let Some(body) = request.body()?
    {
        request.set_body(&body)?;
    }
    for (name, value) in &edits.set_response_headers {
        request.set_response_header(name, value)?;
    }
    Ok(())
}

fn answer(stop: &Stop, report: Option<(&str, String)>) -> StopResponse {
    let mut response = StopResponse::new(stop.status.unwrap_or(200)).body(stop.body.as_str());
    for (name, value) in &stop.headers {
        response = response.header(name, value);
    }
    match report {
        Some((header, report)) => response.header(header, report),
        None => response,
    }
}
