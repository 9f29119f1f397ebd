//! Writes down what a filter does: each host call with what was passed and what
//! came back, each line that it logs. It stands where the log stands in `runner
//! serve`, and shows what of the log is not the filter's as the runner's own
//! words.
//!
//! Must not know what the filter is tried on.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use sandbox::{HOST_CALLS, Secrets};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Where wasmtime-wasi's host functions say that they were called.
const WASI_CALLS: &str = "wasmtime_wasi::p2::bindings";

/// Where guests' lines come from.
const GUEST_LINES: &str = "guest";

/// Characters of a value that are shown.
const VALUE_LIMIT: usize = 160;

/// Something that a filter did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It called the host.
    HostCall {
        /// `request.header`.
        function: String,
        /// What it passed, as it would stand between parentheses.
        arguments: String,
        /// What it got, unless that says nothing.
        result: Option<String>,
    },
    /// It used a standard interface.
    Wasi(String),
    /// It logged or printed a line.
    Line(Level, String),
    /// The runner had something to say about it.
    Runner(Level, String),
}

/// Sees what filters do, one call at a time.
#[derive(Debug, Clone)]
pub struct Witness {
    record: Arc<Mutex<Option<Record>>>,
}

/// What is written down of one call.
#[derive(Debug, Default)]
struct Record {
    events: Vec<Event>,
    /// What must not be read in it.
    secrets: Arc<Secrets>,
}

impl Witness {
    /// Takes the place of this process's log.
    ///
    /// # Errors
    /// Where there is a log already.
    pub(super) fn install() -> Result<Self> {
        let witness = Witness {
            record: Arc::default(),
        };
        let listening = Targets::new()
            .with_target(HOST_CALLS, LevelFilter::TRACE)
            .with_target(WASI_CALLS, LevelFilter::TRACE)
            .with_target(GUEST_LINES, LevelFilter::TRACE)
            .with_target("sandbox", LevelFilter::WARN)
            .with_target("runner", LevelFilter::WARN);
        let layer = WitnessLayer(witness.clone()).with_filter(listening);
        let installed = tracing_subscriber::registry().with(layer).try_init();
        installed.map_err(|error| anyhow!("{error}"))?;
        Ok(witness)
    }

    /// Begins to write down, but not these.
    pub(super) fn begin(&self, secrets: &Arc<Secrets>) {
        *self.lock() = Some(Record {
            events: Vec::new(),
            secrets: Arc::clone(secrets),
        });
    }

    /// What was written down.
    pub(super) fn end(&self) -> Vec<Event> {
        self.lock().take().unwrap_or_default().events
    }

    fn lock(&self) -> MutexGuard<'_, Option<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mut event: Event) {
        if let Some(record) = &mut *self.lock() {
            if let Event::HostCall { arguments, .. } = &mut event {
                *arguments = record.secrets.redact(arguments).into_owned();
            }
            record.events.push(event);
        }
    }

    fn returned(&self, value: Option<String>) {
        // A host function cannot call another: it is the last that was called.
        let mut record = self.lock();
        let Some(Record { events, secrets }) = &mut *record else {
            return;
        };
        let value = value.map(|value| secrets.redact(&value).into_owned());
        let mut calls = events.iter_mut().rev().filter_map(|event| match event {
            Event::HostCall { result, .. } => Some(result),
            _ => None,
        });
        if let Some(result) = calls.next() {
            *result = value;
        }
    }
}

struct WitnessLayer(Witness);

/// Which host function a span is about.
#[derive(Debug, Default)]
struct HostFunction {
    module: String,
    function: String,
}

impl<S> Layer<S> for WitnessLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let function = HostFunction {
            module: fields.take("module"),
            function: fields.take("function"),
        };
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(function);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take("message");
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        if target == GUEST_LINES {
            return self.0.add(Event::Line(level, message));
        }
        if !target.starts_with(HOST_CALLS) && !target.starts_with(WASI_CALLS) {
            return self.0.add(Event::Runner(level, message));
        }
        let span = context.event_span(event);
        let extensions = span.as_ref().map(|span| span.extensions());
        let function = extensions
            .as_ref()
            .and_then(|all| all.get::<HostFunction>());
        let Some(HostFunction { module, function }) = function else {
            return;
        };
        let called = message == "call";
        match (target.starts_with(WASI_CALLS), called) {
            (true, true) => self.0.add(Event::Wasi(format!("{module}.{function}"))),
            (true, false) => {}
            // Its lines are seen as lines.
            (false, _) if module == "log" => {}
            (false, true) => self.0.add(Event::HostCall {
                function: format!("{module}.{function}"),
                arguments: fields.joined(),
                result: None,
            }),
            (false, false) => self.0.returned(worth_saying(fields.take("result"))),
        }
    }
}

/// `Ok(())` says nothing, and `Ok` around a value nothing more.
fn worth_saying(result: String) -> Option<String> {
    if matches!(&*result, "Ok(())" | "()" | "") {
        return None;
    }
    let inner = result
        .strip_prefix("Ok(")
        .and_then(|rest| rest.strip_suffix(')'));
    Some(inner.map_or_else(|| result.clone(), str::to_owned))
}

/// An event's fields in order, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn take(&mut self, name: &str) -> String {
        let at = self.0.iter().position(|(field, _)| *field == name);
        at.map(|at| self.0.remove(at).1).unwrap_or_default()
    }

    fn joined(self) -> String {
        let values: Vec<String> = self.0.into_iter().map(|(_, value)| value).collect();
        values.join(", ")
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "message" => format!("{value:?}"),
            _ => shown(value),
        };
        self.0.push((field.name(), text));
    }
}

/// A value in one line. Bytes are shown as text where they are text.
fn shown(value: &dyn fmt::Debug) -> String {
    let mut text = Short::default();
    // It is an error where the text is long enough.
    let _ = write!(text, "{value:?}");
    let text = with_bytes_as_text(&text.0);
    match text.char_indices().nth(VALUE_LIMIT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Takes as much as could be shown: a body may have megabytes, and each byte
/// takes up to five characters.
#[derive(Default)]
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        match self.0.len() < 6 * VALUE_LIMIT {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// `[104, 105]` becomes `"hi"`, wherever it stands.
fn with_bytes_as_text(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(']').unwrap_or(rest.len());
        let numbers = rest[1..end].trim_end_matches([' ', ',']);
        let bytes: Option<Vec<u8>> = numbers
            .split(", ")
            .map(|number| number.parse().ok())
            .collect();
        let whole = end < rest.len();
        let bytes = bytes.filter(|_| !numbers.is_empty());
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(text) => {
                let _ = write!(shown, "{text:?}");
            }
            None => shown.push_str(&rest[..end + usize::from(whole)]),
        }
        rest = &rest[end + usize::from(whole)..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_should_be_shown_as_an_author_would_write_it() {
        let long = "x".repeat(500);
        let rows: [(&dyn fmt::Debug, &str); 6] = [
            (&"a\"b", r#""a\"b""#),
            (&Some(b"hi".to_vec()), r#"Some("hi")"#),
            (&vec![0xff_u8, 1], "[255, 1]"),
            (&Vec::<String>::new(), "[]"),
            (&vec!["a".to_owned()], r#"["a"]"#),
            (&(1, b"a".to_vec(), 2), r#"(1, "a", 2)"#),
        ];
        for (value, expected) in rows {
            assert_eq!(shown(value), expected);
        }
        assert_eq!(shown(&long).chars().count(), VALUE_LIMIT + 3);
        assert!(shown(&vec![b'a'; 1 << 20]).len() < 2 * VALUE_LIMIT);
    }

    #[test]
    fn what_says_nothing_should_not_be_said() {
        for (result, expected) in [
            ("Ok(())", None),
            ("Ok(Some(\"x\"))", Some("Some(\"x\")")),
            (
                "Err(Error::Invalid(\"x\"))",
                Some("Err(Error::Invalid(\"x\"))"),
            ),
            ("7", Some("7")),
        ] {
            assert_eq!(worth_saying(result.into()).as_deref(), expected);
        }
    }
}
