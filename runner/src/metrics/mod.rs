//! What the runner counts, and the text in which Prometheus reads it. Where a
//! call is served, counting is a handful of atomic additions: every counter a
//! call can need is found when its configuration is prepared. What somebody
//! keeps count of anyway is asked for when the text is made (`levels`).
//!
//! Label values come from short fixed lists, from the configuration and from the
//! modules folders, never from the wire: a gateway or a client cannot make the text longer.
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

pub use self::levels::{Levels, PluginLevels, TenantLevels};
pub use self::line_budget::LineBudget;
pub use self::plugin::{Outcome, Phase, PluginMetrics};
use crate::tenant::Tenant;

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

/// What becomes of a version of a module.
const VERSIONS: [&str; 2] = ["taken", "refused"];

/// Everything that is counted, of all tenants.
pub struct AllMetrics {
    registry: Registry,
    calls: IntCounterVec,
    filter_calls: IntCounterVec,
    filter_durations: HistogramVec,
    versions: IntCounterVec,
    connections_accepted: IntCounterVec,
    connections_refused: IntCounterVec,
    accept_failures: IntCounterVec,
}

/// What is counted of one tenant: nothing that another could see or raise.
pub struct Metrics {
    tenant: Tenant,
    calls: [[IntCounter; REPLIES.len()]; FRAMES.len()],
    filter_calls: IntCounterVec,
    filter_durations: HistogramVec,
    versions: IntCounterVec,
    plugins: Mutex<BTreeMap<Arc<str>, Arc<PluginMetrics>>>,
    /// Connections that were accepted, refused ones among them.
    pub connections_accepted: IntCounter,
    /// Connections beyond the most allowed, or of users who may not connect.
    pub connections_refused: IntCounter,
    /// Connections that the system did not hand over.
    pub accept_failures: IntCounter,
}

impl AllMetrics {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// None in practice: the names are right.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some(NAMESPACE.into()), None)?;
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, Error>(counters)
        };
        let filter_durations = HistogramVec::new(
            HistogramOpts::new(
                "filter_duration_seconds",
                "How long a filter took for a call, with all its waiting.",
            )
            .buckets(DURATIONS.to_vec()),
            &["tenant", "plugin", "phase"],
        )?;
        registry.register(Box::new(filter_durations.clone()))?;
        Ok(AllMetrics {
            calls: counters(
                "calls_total",
                "Frames of the gateway, by what they asked for and what they were answered with.",
                &["tenant", "type", "outcome"],
            )?,
            filter_calls: counters(
                "filter_calls_total",
                "Calls of a filter, by how they ended: next, stop, or why the filter failed.",
                &["tenant", "plugin", "phase", "outcome"],
            )?,
            versions: counters(
                "module_versions_total",
                "Versions of a plugin's module, by whether they were taken into service or \
                 refused.",
                &["tenant", "plugin", "outcome"],
            )?,
            connections_accepted: counters(
                "connections_accepted_total",
                "Connections that were made.",
                &["tenant"],
            )?,
            connections_refused: counters(
                "connections_refused_total",
                "Connections beyond limits.connections, or of users who may not connect.",
                &["tenant"],
            )?,
            accept_failures: counters(
                "accept_failures_total",
                "Connections that the system did not hand over.",
                &["tenant"],
            )?,
            filter_durations,
            registry,
        })
    }

    /// Those of a tenant.
    #[must_use]
    pub fn of(&self, tenant: &Tenant) -> Arc<Metrics> {
        let name = tenant.name();
        let calls =
            |frame| REPLIES.map(|reply| self.calls.with_label_values(&[name, frame, reply]));
        let own = |counters: &IntCounterVec| counters.with_label_values(&[name]);
        Arc::new(Metrics {
            tenant: tenant.clone(),
            calls: FRAMES.map(calls),
            filter_calls: self.filter_calls.clone(),
            filter_durations: self.filter_durations.clone(),
            versions: self.versions.clone(),
            plugins: Mutex::default(),
            connections_accepted: own(&self.connections_accepted),
            connections_refused: own(&self.connections_refused),
            accept_failures: own(&self.accept_failures),
        })
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

impl Metrics {
    /// One frame was answered.
    pub fn replied(&self, frame: FrameKind, reply: ReplyKind) {
        self.calls[frame as usize][reply as usize].inc();
    }

    /// The counters of a plugin of the modules folder; the same each time.
    pub fn plugin(&self, name: &Arc<str>) -> Arc<PluginMetrics> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let of_plugin = plugins.entry(Arc::clone(name)).or_insert_with(|| {
            let (calls, durations) = (&self.filter_calls, &self.filter_durations);
            Arc::new(PluginMetrics::new(&self.tenant, name, calls, durations))
        });
        Arc::clone(of_plugin)
    }

    /// There is no plugin of this name any more: a tenant that renames its modules
    /// again and again does not fill the memory with names.
    pub fn forget(&self, name: &str) {
        if name == UNKNOWN {
            // It stands for others, too.
            return;
        }
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.remove(name);
        let (calls, durations) = (&self.filter_calls, &self.filter_durations);
        PluginMetrics::forget(&self.tenant, name, calls, durations);
        for outcome in VERSIONS {
            let labels = [self.tenant.name(), name, outcome];
            // It may never have been counted.
            let _ = self.versions.remove_label_values(&labels);
        }
    }

    /// A version of a module serves from here on; the first one, too.
    pub fn version_taken(&self, plugin: &str) {
        self.version(plugin, VERSIONS[0]);
    }

    /// A version of a module cannot be used.
    pub fn version_refused(&self, plugin: &str) {
        self.version(plugin, VERSIONS[1]);
    }

    fn version(&self, plugin: &str, outcome: &str) {
        let labels = [self.tenant.name(), plugin, outcome];
        self.versions.with_label_values(&labels).inc();
    }

    /// The counters that all names share of which there is no plugin.
    pub fn unknown_plugin(&self) -> Arc<PluginMetrics> {
        self.plugin(&Arc::from(UNKNOWN))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::Cause;

    #[test]
    fn every_cause_should_be_counted_under_its_own_name() {
        let all = AllMetrics::new().expect("metrics");
        let metrics = all.of(&Tenant::named("t"));
        let plugin = metrics.plugin(&"p".into());
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                plugin.ended(Phase::Response, Outcome::Failed(cause), Duration::ZERO);
            }
        }
        let text = all.text(&Levels::default()).expect("text");
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            let (label, times) = (cause.label(), index + 1);
            let labels =
                format!(r#"{{outcome="{label}",phase="response",plugin="p",tenant="t"}} {times}"#);
            let line = format!("wasm_runner_filter_calls_total{labels}");
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_was_counted_should_be_in_the_text_under_its_name() {
        let all = AllMetrics::new().expect("metrics");
        let metrics = all.of(&Tenant::named("t"));
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
        let tenant = TenantLevels {
            tenant: "t".into(),
            configurations: 3,
            slots_taken: 2,
            plugins_failed: 1,
            plugins_held_back: 7,
            plugins: vec![PluginLevels {
                name: odd,
                memory_peak: 1 << 20,
                log_dropped: 4,
                calls: 5,
                waiting_calls: 6,
            }],
            ..TenantLevels::default()
        };
        let levels = Levels {
            log_lines_dropped: 9,
            tenants: vec![tenant],
        };
        let text = all.text(&levels).expect("text");
        for line in [
            r#"wasm_runner_filter_calls_total{outcome="next",phase="request",plugin="a \"b\"\\\n",tenant="t"} 1"#,
            r#"wasm_runner_filter_calls_total{outcome="trap",phase="response",plugin="a \"b\"\\\n",tenant="t"} 1"#,
            r#"wasm_runner_filter_calls_total{outcome="missing",phase="request",plugin="(unknown)",tenant="t"} 1"#,
            r#"wasm_runner_filter_duration_seconds_bucket{phase="request",plugin="(unknown)",tenant="t",le="0.00001"} 1"#,
            r#"wasm_runner_calls_total{outcome="unavailable",tenant="t",type="http_req_call"} 1"#,
            r#"wasm_runner_calls_total{outcome="ok",tenant="t",type="prepare_conf"} 0"#,
            r#"wasm_runner_connections_refused_total{tenant="t"} 1"#,
            r#"wasm_runner_configurations{tenant="t"} 3"#,
            r#"wasm_runner_slots{state="taken",tenant="t"} 2"#,
            r#"wasm_runner_plugins{state="failed",tenant="t"} 1"#,
            r#"wasm_runner_module_versions_total{outcome="taken",plugin="a \"b\"\\\n",tenant="t"} 1"#,
            r#"wasm_runner_module_versions_total{outcome="refused",plugin="a \"b\"\\\n",tenant="t"} 1"#,
            r#"wasm_runner_plugins_held_back{tenant="t"} 7"#,
            "wasm_runner_log_lines_dropped_total 9",
            r#"wasm_runner_filter_memory_peak_bytes{plugin="a \"b\"\\\n",tenant="t"} 1048576"#,
            r#"wasm_runner_guest_log_dropped_total{plugin="a \"b\"\\\n",tenant="t"} 4"#,
            r#"wasm_runner_filter_calls_running{plugin="a \"b\"\\\n",tenant="t"} 5"#,
            r#"wasm_runner_filter_calls_waiting{plugin="a \"b\"\\\n",tenant="t"} 6"#,
            "# TYPE wasm_runner_log_lines_dropped_total counter",
            "# TYPE wasm_runner_slots gauge",
            "# TYPE process_open_fds gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
