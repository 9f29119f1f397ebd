//! A filter for tests and benchmarks: its configuration names what it reads
//! and what it changes, and it reports what it read. `config.rs` has the keys.
//!
//! The report leaves out what was not read: `vars` and `body` are in it only
//! if the configuration asks for them.
//!
//! It must stay light, because benchmarks measure the runner with it: a call
//! does nothing for a key that is absent.

mod config;
mod json;
mod report;
mod request;
mod response;
#[cfg(test)]
mod tests;

use config::Config;
use guest_sdk::{Failure, Filter, Request, RequestFilter, Response, ResponseFilter, Verdict};

struct Probe(Config);

impl Filter for Probe {
    fn configure(text: &str) -> Result<Self, Failure> {
        Ok(Probe(config::parse(text)?))
    }
}

impl RequestFilter for Probe {
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        // Inside it is `Error` throughout: one conversion is less code than many.
        Ok(request::run(&self.0, request)?)
    }
}

impl ResponseFilter for Probe {
    fn on_response(&self, response: &mut Response) -> Result<(), Failure> {
        Ok(response::run(&self.0, response)?)
    }
}

guest_sdk::export_filter!(Probe);
