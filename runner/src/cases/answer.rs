//! What a filter's own requests come to, as people write it down.
//!
//! Must not know what a filter makes of it.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use sandbox::{OutboundError, OutboundResponse};
use serde::Deserialize;

use super::strict::unique;
use super::written::{Values, WrittenBody};
use crate::trial::provided::Answer;

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected an answer, such as `{url: \"https://auth.test/\", status: 200}`"
)]
pub struct WrittenAnswer {
    /// Any unless it says so.
    #[serde(default)]
    pub method: Option<String>,
    /// Letter by letter as the filter writes it.
    pub url: String,
    /// 200 unless it says so.
    #[serde(default)]
    pub status: Option<u16>,
    /// By name.
    #[serde(default, deserialize_with = "unique")]
    pub headers: BTreeMap<String, Values>,
    /// Empty unless it is written.
    #[serde(default)]
    pub body: Option<WrittenBody>,
    /// There is no response, but this error.
    #[serde(default)]
    pub error: Option<String>,
}

impl WrittenAnswer {
    /// The answer.
    ///
    /// # Errors
    /// A status or an error that does not exist.
    pub fn answer(&self) -> Result<Answer> {
        let result = match &self.error {
            None => Ok(self.response()?),
            Some(error) => {
                let is_alone =
                    self.status.is_none() && self.headers.is_empty() && self.body.is_none();
                ensure!(is_alone, "where there is an error, there is no response");
                Err(self.error(error)?)
            }
        };
        Ok(Answer {
            method: self.method.clone(),
            url: self.url.clone(),
            result,
        })
    }

    fn response(&self) -> Result<OutboundResponse> {
        let status = self.status.unwrap_or(200);
        ensure!(
            (200..=599).contains(&status),
            "a response to {} has no status {status}: it is 200 to 599",
            self.url
        );
        let mut headers = Vec::new();
        for (name, values) in &self.headers {
            for value in values.texts() {
                headers.push((name.clone(), value.as_bytes().to_vec()));
            }
        }
        let body = self.body.as_ref().map(WrittenBody::bytes);
        Ok(OutboundResponse {
            status,
            headers,
            body: body.unwrap_or_default().into(),
        })
    }

    /// By the names that `wit/http.wit` has.
    fn error(&self, name: &str) -> Result<OutboundError> {
        let text = format!("{} was to fail so", self.url);
        Ok(match name {
            "denied" => OutboundError::Denied(text),
            "invalid" => OutboundError::Invalid(text),
            "limit" => OutboundError::Limit(text),
            "unresolvable" => OutboundError::Unresolvable(text),
            "unreachable" => OutboundError::Unreachable(text),
            "timeout" => OutboundError::Timeout(text),
            "protocol" => OutboundError::Protocol(text),
            "other" => OutboundError::Other(text),
            _ => bail!(
                "a request does not fail with {name:?}, but with denied, invalid, limit, \
                 unresolvable, unreachable, timeout, protocol or other"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_should_be_a_response_or_an_error() {
        for (text, expected) in [
            ("{url: /}", Some("Ok 200")),
            (
                "{url: /, status: 403, body: {a: 1}}",
                Some(r#"Ok 403 {"a":1}"#),
            ),
            ("{url: /, error: timeout}", Some("Err / was to fail so")),
            ("{url: /, error: late}", None),
            ("{url: /, status: 99}", None),
            ("{url: /, status: 200, error: timeout}", None),
        ] {
            let written: WrittenAnswer = serde_yaml::from_str(text).expect(text);
            let answer = written.answer().ok().map(|answer| match answer.result {
                Ok(response) => {
                    let body = String::from_utf8_lossy(&response.body).into_owned();
                    format!("Ok {} {body}", response.status)
                        .trim_end()
                        .to_owned()
                }
                Err(error) => format!("Err {error}"),
            });
            assert_eq!(answer.as_deref(), expected, "{text}");
        }
    }
}
