//! The response phase: read and report, then edit.

use guest_sdk::{Error, Response};

use crate::config::{Config, ResponseConfig};
use crate::report::Report;
use crate::request::ask_gateway;

pub(crate) fn run(config: &Config, response: &mut Response) -> Result<(), Error> {
    let report = read(config, response)?;
    edit(&config.response, response)?;
    if let Some((header, report)) = report {
        response.set_header(header, &report)?;
    }
    Ok(())
}

fn read<'a>(config: &'a Config, response: &Response) -> Result<Option<(&'a str, String)>, Error> {
    let reads = &config.response.reads;
    let Some(header) = &config.report else {
        ask_gateway(reads, || response.body(), None)?;
        return Ok(None);
    };
    let mut report = Report::new();
    report.number("id", response.id()?);
    report.number("status", response.status()?.into());
    report.headers(&response.headers()?);
    ask_gateway(reads, || response.body(), Some(&mut report))?;
    Ok(Some((header, report.finish())))
}

fn edit(edits: &ResponseConfig, response: &mut Response) -> Result<(), Error> {
    if let Some(status) = edits.set_status {
        response.set_status(status)?;
    }
    for (name, value) in &edits.set_headers {
        response.set_header(name, value)?;
    }
    for (name, value) in &edits.add_headers {
        response.add_header(name, value)?;
    }
    for name in &edits.remove_headers {
        response.remove_header(name)?;
    }
    if let Some(body) = &edits.set_body {
        response.set_body(body.as_bytes())?;
    }
    Ok(())
}
