//! Cases for `runner test`: what a filter is shown, and what is to come of it,
//! as an author writes it down in YAML. Here are the shapes and the files; what
//! is compared is in `expectation`.
//!
//! Must not know how a filter is run.

mod answer;
mod expectation;
mod strict;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

pub use self::answer::WrittenAnswer;
pub use self::expectation::{Expectation, Seen};
pub use self::written::{Scalar, WrittenBody, WrittenRequest, WrittenResponse, request};
use crate::trial::Exchange;
use crate::trial::provided::Provided;

/// The names under which `runner test FOLDER` looks.
const FILE: &str = "cases.yaml";
const FOLDER: &str = "cases";

/// One file of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected the keys `filter` and `cases`"
)]
pub struct CaseFile {
    /// The module, relative to the file.
    #[serde(default)]
    pub filter: Option<PathBuf>,
    /// What the gateway calls the plugin; the module's file name otherwise.
    #[serde(default)]
    pub plugin: Option<String>,
    /// For all cases that have none of their own: a text as it is, anything
    /// else as JSON.
    #[serde(default)]
    pub configuration: Option<Value>,
    /// What is tried, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected a case, with the keys `name` and `expect` at least"
)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// In place of the file's.
    #[serde(default)]
    pub configuration: Option<Value>,
    /// The client's request. Without one, the filter only reads its
    /// configuration.
    #[serde(default)]
    pub request: Option<WrittenRequest>,
    /// The upstream's response: the filter is called in the response phase.
    #[serde(default)]
    pub response: Option<WrittenResponse>,
    /// What the gateway knows by name.
    #[serde(default, deserialize_with = "strict::unique")]
    pub variables: BTreeMap<String, Scalar>,
    /// What requests of the filter come to. Any other is denied: there is no
    /// network.
    #[serde(default)]
    pub http: Vec<WrittenAnswer>,
    /// Secrets that are granted to the filter.
    #[serde(default, deserialize_with = "strict::unique")]
    pub secrets: BTreeMap<String, String>,
    /// What is to come of it.
    pub expect: Expectation,
}

impl CaseFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or is not a file of cases: the key and the line.
    pub fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
        ensure!(
            !bytes.starts_with(b"\0asm"),
            "{shown} is a filter; give the file of its cases, and the filter with --filter"
        );
        let text = String::from_utf8(bytes)
            .map_err(|_| anyhow!("{shown} is no text, so it is no file of cases"))?;
        let cases: CaseFile = serde_yaml::from_str(&text).with_context(|| {
            let tabs = match text.contains('\t') {
                true => " (it has tabs, and YAML is indented by spaces)",
                false => "",
            };
            format!("{shown} is no file of cases{tabs}; docs/testing.md has the keys")
        })?;
        ensure!(!cases.cases.is_empty(), "{shown} has no cases");
        for case in &cases.cases {
            let checked = case.check();
            checked.with_context(|| format!("{shown}, case {:?}", case.name))?;
        }
        Ok(cases)
    }

    /// The configuration of one of its cases, as the gateway would send it.
    #[must_use]
    pub fn configuration_of(&self, case: &Case) -> Vec<u8> {
        let configuration = case.configuration.as_ref().or(self.configuration.as_ref());
        match configuration {
            None | Some(Value::Null) => b"{}".to_vec(),
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(value) => value.to_string().into_bytes(),
        }
    }
}

impl Case {
    /// What the filter is shown, if it is called at all.
    ///
    /// # Errors
    /// What is no request.
    pub fn exchange(&self) -> Result<Option<Exchange>> {
        let written = match (&self.request, &self.response) {
            (Some(request), _) => request.clone(),
            (None, Some(_)) => WrittenRequest::to("/"),
            (None, None) => return Ok(None),
        };
        let mut request = written.request()?;
        for (name, value) in &self.variables {
            let (name, value) = (name.as_bytes().to_vec(), value.as_str().as_bytes().to_vec());
            request.variables.insert(name, value);
        }
        let response = self.response.as_ref().map(WrittenResponse::response);
        let response = response.transpose()?;
        Ok(Some(Exchange { request, response }))
    }

    /// What the filter finds behind its grants.
    ///
    /// # Errors
    /// What is no answer.
    pub fn provided(&self) -> Result<Provided> {
        let answers = self.http.iter().map(WrittenAnswer::answer);
        let secrets = self.secrets.clone().into_iter().collect();
        Ok(Provided {
            answers: answers.collect::<Result<_>>()?,
            secrets: Arc::new(secrets),
        })
    }

    fn check(&self) -> Result<()> {
        self.exchange()?;
        self.provided()?;
        let called = self.request.is_some() || self.response.is_some();
        self.expect.check(called, self.response.is_some())
    }
}

/// The files of cases at a path: itself, or `cases.yaml` and `cases/*.yaml` in
/// a folder.
///
/// # Errors
/// Where there are none.
pub fn files_at(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        ensure!(path.exists(), "there is no {}", path.display());
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    let single = path.join(FILE);
    if single.is_file() {
        files.push(single);
    }
    let folder = path.join(FOLDER);
    if folder.is_dir() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let mut more = Vec::new();
        for entry in entries {
            let file = entry?.path();
            if file.extension().is_some_and(|ending| ending == "yaml") {
                more.push(file);
            }
        }
        more.sort();
        files.extend(more);
    }
    if files.is_empty() {
        bail!(
            "{} has no {FILE} and no {FOLDER}/*.yaml; `runner new` writes one to begin with",
            path.display()
        );
    }
    Ok(files)
}
