//! What the runner's admin listener says, read as Prometheus would.
//!
//! Must not know which figures there are, but for the one that tests ask for
//! most.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the listener may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Each sample's name and labels with its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Asks the listener on this unix socket.
    ///
    /// # Errors
    /// The socket's, or that it does not answer with figures.
    pub fn read(admin: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(admin)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: runner\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(Self::parse(body)),
            _ => Err(io::Error::other(format!("no figures: {answer}"))),
        }
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Metrics {
            samples: lines.filter_map(sample).collect(),
        }
    }

    /// The sum of the samples of this name that have all these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let named = self.samples.iter().filter(|sample| sample.name == name);
        named
            .filter(|sample| {
                labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
            })
            .map(|sample| sample.value)
            .sum()
    }

    /// How often each outcome was counted for the calls of a plugin in a phase.
    #[must_use]
    pub fn outcomes(&self, plugin: &str, phase: &str) -> BTreeMap<String, u64> {
        const NAME: &str = "wasm_runner_filter_calls_total";
        let of_them = self.samples.iter().filter(|sample| {
            let is =
                |label: &str, value: &str| sample.labels.get(label).is_some_and(|is| is == value);
            sample.name == NAME && is("plugin", plugin) && is("phase", phase)
        });
        of_them
            .filter(|sample| sample.value > 0.0)
            .filter_map(|sample| {
                let outcome = sample.labels.get("outcome")?.clone();
                Some((outcome, sample.value as u64))
            })
            .collect()
    }
}

/// `name{label="value",...} number`. No label's value has a quote in it here.
fn sample(line: &str) -> Option<Sample> {
    let (named, value) = line.rsplit_once(' ')?;
    let (name, labels) = named.split_once('{').unwrap_or((named, "}"));
    let labels = labels.strip_suffix('}')?.split("\",");
    let labels = labels.filter_map(|label| {
        let (label, value) = label.split_once("=\"")?;
        Some((label.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    Some(Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_should_be_found_by_name_and_labels() {
        let text = "# HELP a b\n# TYPE a counter\n\
            wasm_runner_filter_calls_total{outcome=\"trap\",phase=\"request\",plugin=\"a,b\"} 3\n\
            wasm_runner_filter_calls_total{outcome=\"next\",phase=\"request\",plugin=\"a,b\"} 0\n\
            wasm_runner_filter_calls_total{outcome=\"trap\",phase=\"request\",plugin=\"c\"} 4\n\
            connections 7\n";
        let metrics = Metrics::parse(text);
        let expected = BTreeMap::from([("trap".to_owned(), 3)]);
        assert_eq!(metrics.outcomes("a,b", "request"), expected);
        assert!(metrics.outcomes("a,b", "response").is_empty());
        let traps = [("outcome", "trap")];
        assert_eq!(metrics.sum("wasm_runner_filter_calls_total", &traps), 7.0);
        assert_eq!(metrics.sum("connections", &[]), 7.0);
    }
}
