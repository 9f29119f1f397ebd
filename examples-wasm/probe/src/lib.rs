//! A filter for tests and benchmarks: its configuration names what it reads
//! and what it changes, and it reports what it read.
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
        request::run(&self.0, request)
    }
}

impl ResponseFilter for Probe {
    fn on_response(&self, response: &mut Response) -> Result<(), Failure> {
        response::run(&self.0, response)
    }
}

guest_sdk::export_filter!(Probe);
