//! What the runner has at a moment: figures that their owners keep anyway, and
//! are asked for when somebody reads the text.
//!
//! Must not know the owners.

use std::sync::Arc;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// One look at everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    /// Places for instances.
    pub slots_total: u64,
    /// Those in use or kept.
    pub slots_taken: u64,
    /// Those of instances that wait for a call.
    pub slots_kept: u64,
    /// Calls that wait for a place.
    pub slot_waiters: u64,
    /// What snapshots of configured instances take.
    pub snapshot_bytes: u64,
    /// What the memories of all instances take.
    pub guest_memory_bytes: u64,
    /// Configurations that have a token.
    pub configurations: u64,
    /// What they take.
    pub configuration_bytes: u64,
    /// Those that went because memory was short.
    pub configurations_dropped: u64,
    /// Connections of the gateway.
    pub connections: u64,
    /// The most there may be.
    pub connections_limit: u64,
    /// Plugins that can be called.
    pub plugins_ready: u64,
    /// Plugins that are being compiled.
    pub plugins_loading: u64,
    /// Plugins that cannot be loaded.
    pub plugins_failed: u64,
    /// Plugins whose module was replaced by one that cannot be used.
    pub plugins_held_back: u64,
    /// Lines of the log that nobody took in time.
    pub log_lines_dropped: u64,
    /// What single plugins use; those that are loaded.
    pub plugins: Vec<PluginLevels>,
}

/// What one plugin uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLevels {
    /// Its name.
    pub name: Arc<str>,
    /// Memory of the largest instance it ever had.
    pub memory_peak: u64,
    /// Lines that it wanted to log and was not allowed to.
    pub log_dropped: u64,
    /// Calls that it serves now.
    pub calls: u64,
    /// Calls that wait until it may serve more.
    pub waiting_calls: u64,
}

/// A label and its value, where there is one, and the figure.
type Sample<'a> = (Option<(&'static str, &'a str)>, u64);

impl Levels {
    pub(super) fn families(&self, namespace: &str) -> Vec<MetricFamily> {
        let state = |state, value| (Some(("state", state)), value);
        let one = |value| vec![(None, value)];
        let each = |figure: fn(&PluginLevels) -> u64| {
            let plugins = self.plugins.iter();
            plugins
                .map(|plugin| (Some(("plugin", &*plugin.name)), figure(plugin)))
                .collect()
        };
        let rows: [(&str, &str, MetricType, Vec<Sample<'_>>); 16] = [
            (
                "slots",
                "Places for instances: all, those taken, and those taken by instances that wait \
                 for a call.",
                MetricType::GAUGE,
                vec![
                    state("total", self.slots_total),
                    state("taken", self.slots_taken),
                    state("kept", self.slots_kept),
                ],
            ),
            (
                "slot_waiters",
                "Calls that wait for a place.",
                MetricType::GAUGE,
                one(self.slot_waiters),
            ),
            (
                "snapshots_bytes",
                "Memory of snapshots of configured instances.",
                MetricType::GAUGE,
                one(self.snapshot_bytes),
            ),
            (
                "guest_memory_bytes",
                "Memory of all instances.",
                MetricType::GAUGE,
                one(self.guest_memory_bytes),
            ),
            (
                "configurations",
                "Configurations that have a token.",
                MetricType::GAUGE,
                one(self.configurations),
            ),
            (
                "configuration_bytes",
                "Memory of configurations.",
                MetricType::GAUGE,
                one(self.configuration_bytes),
            ),
            (
                "configurations_dropped_total",
                "Configurations that were dropped because memory was short.",
                MetricType::COUNTER,
                one(self.configurations_dropped),
            ),
            (
                "connections",
                "Connections of the gateway.",
                MetricType::GAUGE,
                one(self.connections),
            ),
            (
                "connections_limit",
                "The most connections there may be.",
                MetricType::GAUGE,
                one(self.connections_limit),
            ),
            (
                "plugins",
                "Plugins of the modules folder.",
                MetricType::GAUGE,
                vec![
                    state("ready", self.plugins_ready),
                    state("loading", self.plugins_loading),
                    state("failed", self.plugins_failed),
                ],
            ),
            (
                "plugins_held_back",
                "Plugins that serve their last good version, because a newer one was refused.",
                MetricType::GAUGE,
                one(self.plugins_held_back),
            ),
            (
                "log_lines_dropped_total",
                "Lines of the log that were dropped because nobody read it fast enough.",
                MetricType::COUNTER,
                one(self.log_lines_dropped),
            ),
            (
                "filter_memory_peak_bytes",
                "Memory of the largest instance that the plugin ever had.",
                MetricType::GAUGE,
                each(|plugin| plugin.memory_peak),
            ),
            (
                "guest_log_dropped_total",
                "Lines that the plugin wanted to log beyond its limits.",
                MetricType::COUNTER,
                each(|plugin| plugin.log_dropped),
            ),
            (
                "filter_calls_running",
                "Calls that the plugin serves.",
                MetricType::GAUGE,
                each(|plugin| plugin.calls),
            ),
            (
                "filter_calls_waiting",
                "Calls that wait until the plugin may serve more.",
                MetricType::GAUGE,
                each(|plugin| plugin.waiting_calls),
            ),
        ];
        rows.into_iter()
            // The text has no place for a name without a figure.
            .filter(|(_, _, _, samples)| !samples.is_empty())
            .map(|(name, help, kind, samples)| {
                let mut family = MetricFamily::default();
                family.set_name(format!("{namespace}_{name}"));
                family.set_help(help.into());
                family.set_field_type(kind);
                family.set_metric(samples.into_iter().map(|row| metric(kind, row)).collect());
                family
            })
            .collect()
    }
}

fn metric(kind: MetricType, (label, value): Sample<'_>) -> Metric {
    let labels = label.map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.into());
        label.set_value(value.into());
        label
    });
    let mut metric = Metric::from_label(labels.into_iter().collect());
    // Exact up to 2^53.
    let value = value as f64;
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}
