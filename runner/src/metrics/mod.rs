//! What the runner counts, and the text in which Prometheus reads it. Where a
//! call is served, counting is a handful of atomic additions: every counter a
//! call can need is found when its configuration is prepared. What somebody
//! keeps count of anyway is asked for when the text is made (`levels`).
//!
//! Label values come from short fixed lists and from the modules folder, never
//! from the wire: a gateway or a client cannot make the text longer.
//!
//! Must not know who serves the text, or how a call is served.

pub mod levels;
pub mod line_budget;
pub mod plugin;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Error, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

pub use self::levels::{Levels, PluginLevels};
pub use self::line_budget::LineBudget;
pub use self::plugin::{Outcome, Phase, PluginMetrics};

/// What every name of ours begins with.
const NAMESPACE: &str = "wasm_runner";

/// The label of all plugins that are not in the modules folder: their names are
/// the gateway's, and there is no end to them.
const UNKNOWN: &str = "(unknown)";

/// Seconds. A filter takes from some microseconds to the minute for which the
/// gateway waits.
const DURATIONS: [f64; 17] = [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0,
    5.0, 60.0,
];

/// What a frame asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameKind {
    PrepareConf,
    HttpReqCall,
    HttpRespCall,
    /// What no gateway sends.
    Other,
}

/// What a frame was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// What it asked for.
    Ok,
    /// It could not be read.
    BadRequest,
    /// Its token means nothing here.
    UnknownToken,
    /// It failed.
    Unavailable,
}

const FRAMES: [&str; 4] = ["prepare_conf", "http_req_call", "http_resp_call", "other"];
const REPLIES: [&str; 4] = ["ok", "bad_request", "unknown_token", "unavailable"];

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    calls: [[IntCounter; REPLIES.len()]; FRAMES.len()],
    filter_calls: IntCounterVec,
    filter_durations: HistogramVec,
    versions: IntCounterVec,
    plugins: Mutex<BTreeMap<Arc<str>, Arc<PluginMetrics>>>,
    /// Connections that were accepted, refused ones among them.
    pub connections_accepted: IntCounter,
    /// Connections beyond the most allowed.
    pub connections_refused: IntCounter,
    /// Connections that the system did not hand over.
    pub accept_failures: IntCounter,
}

impl Metrics {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// None in practice: the names are right.
    pub fn new() -> Result<Arc<Self>, Error> {
        let registry = Registry::new_custom(Some(NAMESPACE.into()), None)?;
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let calls = counters(
            "calls_total",
            "Frames of the gateway, by what they asked for and what they were answered with.",
            &["type", "outcome"],
        )?;
        let filter_calls = counters(
            "filter_calls_total",
            "Calls of a filter, by how they ended: next, stop, or why the filter failed.",
            &["plugin", "phase", "outcome"],
        )?;
        let versions = counters(
            "module_versions_total",
            "Versions of a plugin's module, by whether they were taken into service or refused.",
            &["plugin", "outcome"],
        )?;
        let filter_durations = HistogramVec::new(
            HistogramOpts::new(
                "filter_duration_seconds",
                "How long a filter took for a call, with all its waiting.",
            )
            .buckets(DURATIONS.to_vec()),
            &["plugin", "phase"],
        )?;
        registry.register(Box::new(filter_durations.clone()))?;
        let connections_accepted =
            counter("connections_accepted_total", "Connections that were made.")?;
        let connections_refused = counter(
            "connections_refused_total",
            "Connections beyond limits.connections.",
        )?;
        let accept_failures = counter(
            "accept_failures_total",
            "Connections that the system did not hand over.",
        )?;
        Ok(Arc::new(Metrics {
            calls: FRAMES
                .map(|frame| REPLIES.map(|reply| calls.with_label_values(&[frame, reply]))),
            filter_calls,
            filter_durations,
            versions,
            plugins: Mutex::default(),
            connections_accepted,
            connections_refused,
            accept_failures,
            registry,
        }))
    }

    /// One frame was answered.
    pub fn replied(&self, frame: FrameKind, reply: ReplyKind) {
        self.calls[frame as usize][reply as usize].inc();
    }

    /// The counters of a plugin of the modules folder; the same each time.
    pub fn plugin(&self, name: &Arc<str>) -> Arc<PluginMetrics> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let of_plugin = plugins.entry(Arc::clone(name)).or_insert_with(|| {
            let metrics = PluginMetrics::new(name, &self.filter_calls, &self.filter_durations);
            Arc::new(metrics)
        });
        Arc::clone(of_plugin)
    }

    /// A version of a module serves from here on; the first one, too.
    pub fn version_taken(&self, plugin: &str) {
        self.versions.with_label_values(&[plugin, "taken"]).inc();
    }

    /// A version of a module cannot be used.
    pub fn version_refused(&self, plugin: &str) {
        self.versions.with_label_values(&[plugin, "refused"]).inc();
    }

    /// The counters that all names share of which there is no plugin.
    pub fn unknown_plugin(&self) -> Arc<PluginMetrics> {
        self.plugin(&Arc::from(UNKNOWN))
    }

    /// All of it as text, with what others keep count of.
    ///
    /// # Errors
    /// None in practice: text can be written to memory.
    pub fn text(&self, levels: &Levels) -> Result<String, Error> {
        let mut families = levels.families(NAMESPACE);
        families.extend(self.registry.gather());
        // Without our prefix: every process has these, and under these names.
        let process = Registry::new();
        process.register(Box::new(ProcessCollector::for_self()))?;
        families.extend(process.gather());
        TextEncoder::new().encode_to_string(&families)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::Cause;

    #[test]
    fn every_cause_should_be_counted_under_its_own_name() {
        let metrics = Metrics::new().expect("metrics");
        let plugin = metrics.plugin(&"p".into());
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                plugin.ended(Phase::Response, Outcome::Failed(cause), Duration::ZERO);
            }
        }
        let text = metrics.text(&Levels::default()).expect("text");
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            let (label, times) = (cause.label(), index + 1);
            let labels = format!(r#"{{outcome="{label}",phase="response",plugin="p"}} {times}"#);
            let line = format!("wasm_runner_filter_calls_total{labels}");
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_was_counted_should_be_in_the_text_under_its_name() {
        let metrics = Metrics::new().expect("metrics");
        let odd: Arc<str> = "a \"b\"\\\n".into();
        let plugin = metrics.plugin(&odd);
        plugin.ended(Phase::Request, Outcome::Next, Duration::from_micros(30));
        metrics.plugin(&odd).ended(
            Phase::Response,
            Outcome::Failed(Cause::Trap),
            Duration::from_secs(120),
        );
        metrics.unknown_plugin().ended(
            Phase::Request,
            Outcome::Failed(Cause::Missing),
            Duration::ZERO,
        );
        metrics.replied(FrameKind::HttpReqCall, ReplyKind::Unavailable);
        metrics.connections_refused.inc();
        metrics.version_taken(&odd);
        metrics.version_refused(&odd);
        let levels = Levels {
            configurations: 3,
            slots_taken: 2,
            plugins_failed: 1,
            plugins_held_back: 7,
            log_lines_dropped: 9,
            plugins: vec![PluginLevels {
                name: odd,
                memory_peak: 1 << 20,
                log_dropped: 4,
                calls: 5,
                waiting_calls: 6,
            }],
            ..Levels::default()
        };
        let text = metrics.text(&levels).expect("text");
        for line in [
            r#"wasm_runner_filter_calls_total{outcome="next",phase="request",plugin="a \"b\"\\\n"} 1"#,
            r#"wasm_runner_filter_calls_total{outcome="trap",phase="response",plugin="a \"b\"\\\n"} 1"#,
            r#"wasm_runner_filter_calls_total{outcome="missing",phase="request",plugin="(unknown)"} 1"#,
            r#"wasm_runner_filter_duration_seconds_bucket{phase="request",plugin="(unknown)",le="0.00001"} 1"#,
            r#"wasm_runner_calls_total{outcome="unavailable",type="http_req_call"} 1"#,
            r#"wasm_runner_calls_total{outcome="ok",type="prepare_conf"} 0"#,
            "wasm_runner_connections_refused_total 1",
            "wasm_runner_configurations 3",
            r#"wasm_runner_slots{state="taken"} 2"#,
            r#"wasm_runner_plugins{state="failed"} 1"#,
            r#"wasm_runner_module_versions_total{outcome="taken",plugin="a \"b\"\\\n"} 1"#,
            r#"wasm_runner_module_versions_total{outcome="refused",plugin="a \"b\"\\\n"} 1"#,
            "wasm_runner_plugins_held_back 7",
            "wasm_runner_log_lines_dropped_total 9",
            r#"wasm_runner_filter_memory_peak_bytes{plugin="a \"b\"\\\n"} 1048576"#,
            r#"wasm_runner_guest_log_dropped_total{plugin="a \"b\"\\\n"} 4"#,
            r#"wasm_runner_filter_calls_running{plugin="a \"b\"\\\n"} 5"#,
            r#"wasm_runner_filter_calls_waiting{plugin="a \"b\"\\\n"} 6"#,
            "# TYPE wasm_runner_log_lines_dropped_total counter",
            "# TYPE wasm_runner_slots gauge",
            "# TYPE process_open_fds gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
