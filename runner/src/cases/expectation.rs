//! What is to come of a case, held against what came. Only what is written is
//! compared, and every difference is named.
//!
//! Must not know how the case was run.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use gateway_model::{ClientResponse, HttpOutcome, UpstreamRequest, query};
use protocol::gateway_side::NamedValue;
use sandbox::SandboxError;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::strict::{self, unique};
use super::written::{Values, WrittenBody, WrittenRequest};
use crate::failure::Cause;
use crate::trial::witness::Event;
use crate::trial::{Came, NoResult};

/// What is to come of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected what is to come, such as `{stop: {status: 403}}`"
)]
pub struct Expectation {
    /// The request goes on, and the upstream gets this.
    #[serde(default, deserialize_with = "there")]
    request: Option<ExpectedRequest>,
    /// The request is stopped, and the client gets this.
    #[serde(default, deserialize_with = "there")]
    stop: Option<ExpectedResponse>,
    /// In the response phase: the client gets this.
    #[serde(default, deserialize_with = "there")]
    response: Option<ExpectedResponse>,
    /// The request goes on, and these are set on the response to come.
    #[serde(default, deserialize_with = "there")]
    response_headers: Option<UniqueNames>,
    /// The filter refuses its configuration, for a reason that has this text.
    #[serde(default, deserialize_with = "there")]
    rejected: Option<String>,
    /// The filter fails for this cause, one of docs/failures.md.
    #[serde(default, deserialize_with = "there")]
    fails: Option<String>,
    /// The filter logs lines that have these texts.
    #[serde(default, deserialize_with = "there")]
    log: Option<Values>,
}

/// By name: one value, several in order, or null for none at all.
type Names = BTreeMap<String, Option<Values>>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct UniqueNames(#[serde(deserialize_with = "unique")] Names);

/// Of a key that is written something is expected, if only that there is none:
/// for most keys nothing would be a slip.
fn there<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected what the upstream gets, such as `{headers: {x-a: b}}`, or {} for anything"
)]
struct ExpectedRequest {
    #[serde(default)]
    method: Option<String>,
    /// Path and arguments; the order of different arguments means nothing.
    #[serde(default)]
    url: Option<String>,
    /// Decoded.
    #[serde(default)]
    path: Option<String>,
    #[serde(default, deserialize_with = "unique")]
    args: Names,
    #[serde(default, deserialize_with = "unique")]
    headers: Names,
    /// null: no body.
    #[serde(default, deserialize_with = "there")]
    body: Option<WrittenBody>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected a response, such as `{status: 403}`, or {} for any"
)]
struct ExpectedResponse {
    #[serde(default, deserialize_with = "there")]
    status: Option<u16>,
    #[serde(default, deserialize_with = "unique")]
    headers: Names,
    /// null: no body.
    #[serde(default, deserialize_with = "there")]
    body: Option<WrittenBody>,
}

/// What came of a case.
pub struct Seen<'a> {
    /// `None`: the filter only read its configuration, and took it.
    pub came: Result<Option<&'a Came>, &'a NoResult>,
    /// What it did.
    pub events: &'a [Event],
}

impl Expectation {
    /// Whether it can be met at all.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, called: bool, in_response_phase: bool) -> Result<()> {
        ensure!(
            *self != Expectation::default() || !called,
            "it expects nothing"
        );
        let of_request =
            self.request.is_some() || self.stop.is_some() || self.response_headers.is_some();
        ensure!(
            called || !(of_request || self.response.is_some() || self.fails.is_some()),
            "it expects something of a call and has no request"
        );
        ensure!(
            !of_request || !in_response_phase,
            "it has a response, so the filter is called in the response phase: expect `response`"
        );
        ensure!(
            self.response.is_none() || in_response_phase,
            "it expects a response and has none; write the upstream's under `response`"
        );
        let kinds = [
            self.request.is_some() || self.response_headers.is_some(),
            self.stop.is_some(),
            self.response.is_some(),
            self.rejected.is_some(),
            self.fails.is_some(),
        ];
        ensure!(
            kinds.iter().filter(|is| **is).count() <= 1,
            "only one of request, stop, response, rejected and fails can come"
        );
        if let Some(cause) = &self.fails {
            let known = Cause::ALL.map(Cause::label);
            ensure!(
                known.contains(&cause.as_str()),
                "{cause:?} is no cause; they are {}",
                known.join(", ")
            );
        }
        ensure!(
            self.rejected.as_ref().is_none_or(|text| !text.is_empty()),
            "it expects a refusal without a reason; write a part of the reason"
        );
        ensure!(
            self.log.as_ref().is_none_or(|log| !log.texts().is_empty()),
            "it expects no line of the log"
        );
        if let Some(url) = self
            .request
            .as_ref()
            .and_then(|request| request.url.as_ref())
        {
            WrittenRequest::to(url).request()?;
        }
        Ok(())
    }

    /// What is not as it should be, one difference each.
    #[must_use]
    pub fn differences(&self, seen: &Seen<'_>) -> Vec<String> {
        let mut differences = Differences::default();
        match seen.came {
            Ok(came) => self.compare(came, &mut differences),
            Err(reason) => self.compare_failure(reason, &mut differences),
        }
        let lines = || {
            seen.events.iter().filter_map(|event| match event {
                Event::Line(_, line) => Some(line.as_str()),
                _ => None,
            })
        };
        for text in self.log.iter().flat_map(Values::texts) {
            if !lines().any(|line| line.contains(text)) {
                let lines: Vec<&str> = lines().collect();
                differences.add(format!("log: no line has {text:?}; there are {lines:?}"));
            }
        }
        differences.0
    }

    fn compare(&self, came: Option<&Came>, differences: &mut Differences) {
        let found = match came {
            None => "the configuration was taken".to_owned(),
            Some(Came::Request(HttpOutcome::Upstream(_))) => "the request goes on".to_owned(),
            Some(Came::Request(HttpOutcome::Client(response))) => {
                format!("a stop with status {}", response.status)
            }
            Some(Came::Response(_)) => "a response".to_owned(),
        };
        if let Some(text) = &self.rejected {
            return differences.add(format!("expected a refusal with {text:?}, found: {found}"));
        }
        if let Some(cause) = &self.fails {
            return differences.add(format!("expected a failure ({cause}), found: {found}"));
        }
        let expects_upstream = self.request.is_some() || self.response_headers.is_some();
        match came {
            Some(Came::Request(HttpOutcome::Upstream(request))) => {
                if self.stop.is_some() {
                    return differences.add(format!("expected a stop, found: {found}"));
                }
                if let Some(expected) = &self.request {
                    expected.compare(request, differences);
                }
                let names = self.response_headers.iter().flat_map(|names| &names.0);
                differences.names("response_headers", names, &request.response_headers, true);
            }
            Some(Came::Request(HttpOutcome::Client(response))) => {
                if expects_upstream {
                    return differences
                        .add(format!("expected the request to go on, found: {found}"));
                }
                if let Some(expected) = &self.stop {
                    expected.compare("stop", response, differences);
                }
            }
            Some(Came::Response(response)) => {
                if let Some(expected) = &self.response {
                    expected.compare("response", response, differences);
                }
            }
            None => {}
        }
    }

    fn compare_failure(&self, reason: &NoResult, differences: &mut Differences) {
        let rejection = match reason {
            NoResult::Filter(SandboxError::ConfigurationRejected(reason)) => Some(reason),
            _ => None,
        };
        match (&self.rejected, &self.fails, rejection, reason) {
            (Some(text), _, Some(reason), _) if reason.contains(text.as_str()) => {}
            (Some(text), ..) => {
                differences.add(format!("expected a refusal with {text:?}, found: {reason}"));
            }
            (None, Some(cause), _, NoResult::Filter(error))
                if Cause::from(error).label() == cause => {}
            (None, Some(cause), ..) => {
                differences.add(format!("expected a failure ({cause}), found: {reason}"));
            }
            (None, None, ..) => differences.add(format!("the filter failed: {reason}")),
        }
    }
}

impl ExpectedRequest {
    fn compare(&self, found: &UpstreamRequest, differences: &mut Differences) {
        let (path, args) = target(&found.path_and_query);
        if let Some(method) = &self.method {
            differences.text("request.method", method, found.method.as_bytes());
        }
        if let Some(url) = &self.url {
            let whole = String::from_utf8_lossy(&found.path_and_query);
            if !same_target(&target(url.as_bytes()), &(path.clone(), args.clone())) {
                differences.add(format!("request.url: expected {url:?}, found {whole:?}"));
            }
        }
        if let Some(expected) = &self.path {
            differences.text("request.path", expected, &path);
        }
        differences.names("request.args", &self.args, &args, false);
        differences.names("request.headers", &self.headers, &found.headers, true);
        if let Some(body) = &self.body {
            differences.body(
                "request.body",
                body,
                found.body.as_deref().unwrap_or_default(),
            );
        }
    }
}

/// A path and its arguments, decoded and nothing else: where dots and slashes of
/// what the upstream gets lead is for the upstream to say.
type Target = (Vec<u8>, Vec<NamedValue>);

fn target(written: &[u8]) -> Target {
    let (path, query) = query::split_target(written);
    let path = query::decode(path);
    (path, query::parse_args(query.unwrap_or_default()))
}

/// The same path, and for each name the same values in the same order.
fn same_target(expected: &Target, found: &Target) -> bool {
    let by_name = |args: &[NamedValue]| {
        let mut args = args.to_vec();
        args.sort_by(|a, b| a.name.cmp(&b.name));
        args
    };
    expected.0 == found.0 && by_name(&expected.1) == by_name(&found.1)
}

impl ExpectedResponse {
    fn compare(&self, place: &str, found: &ClientResponse, differences: &mut Differences) {
        if let Some(status) = self.status
            && status != found.status
        {
            let found = found.status;
            differences.add(format!("{place}.status: expected {status}, found {found}"));
        }
        let headers = format!("{place}.headers");
        differences.names(&headers, &self.headers, &found.headers, true);
        if let Some(body) = &self.body {
            differences.body(&format!("{place}.body"), body, &found.body);
        }
    }
}

/// In place of the value of an argument without one, which only a URL can say.
const NO_VALUE: &str = "(no value)";

/// What was found, so that it can be shown anywhere.
fn cut(found: &[u8]) -> String {
    const SHOWN: usize = 400;
    let shown = String::from_utf8_lossy(&found[..found.len().min(SHOWN)]);
    match found.len() > SHOWN {
        true => format!("{shown:?}... ({} bytes)", found.len()),
        false => format!("{shown:?}"),
    }
}

/// What is not as it should be.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, difference: String) {
        self.0.push(difference);
    }

    fn text(&mut self, place: &str, expected: &str, found: &[u8]) {
        if expected.as_bytes() != found {
            let found = cut(found);
            self.add(format!("{place}: expected {expected:?}, found {found}"));
        }
    }

    /// JSON is compared as what it says.
    fn body(&mut self, place: &str, expected: &WrittenBody, found: &[u8]) {
        match expected {
            WrittenBody::Text(text) => self.text(place, text, found),
            WrittenBody::Json(Value::Null) if found.is_empty() => {}
            WrittenBody::Json(value) => {
                if strict::json(found).as_ref() != Some(value) {
                    let found = cut(found);
                    self.add(format!("{place}: expected {value}, found {found}"));
                }
            }
        }
    }

    fn names<'a>(
        &mut self,
        place: &str,
        expected: impl IntoIterator<Item = (&'a String, &'a Option<Values>)>,
        found: &[NamedValue],
        any_case: bool,
    ) {
        for (name, values) in expected {
            let named = found.iter().filter(|entry| match any_case {
                true => entry.name.eq_ignore_ascii_case(name.as_bytes()),
                false => entry.name == name.as_bytes(),
            });
            let found: Vec<String> = named
                .map(|entry| match entry.value.as_deref() {
                    Some(value) => String::from_utf8_lossy(value).into_owned(),
                    None => NO_VALUE.into(),
                })
                .collect();
            let expected = values.as_ref().map(Values::texts).unwrap_or_default();
            if expected != found {
                let said = |values: &[&str]| match values {
                    [] => "none".to_owned(),
                    [one] => format!("{one:?}"),
                    many => format!("{many:?}"),
                };
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                let (expected, found) = (said(&expected), said(&found));
                self.add(format!(
                    "{place}.{name}: expected {expected}, found {found}"
                ));
            }
        }
    }
}
