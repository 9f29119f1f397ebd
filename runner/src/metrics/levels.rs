//! What the runner has at a moment: figures that their owners keep anyway, and
//! are asked for when somebody reads the text.
//!
//! Must not know the owners.

use std::sync::Arc;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// One look at everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    /// Lines of the log that nobody took in time.
    pub log_lines_dropped: u64,
    /// What each tenant has.
    pub tenants: Vec<TenantLevels>,
}

/// What one tenant has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantLevels {
    /// Its name.
    pub tenant: Arc<str>,
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
    /// Entries and bytes that filters keep beyond a call, where the tenant keeps
    /// them itself.
    pub stored: Option<(u64, u64)>,
    /// Plugins that can be called.
    pub plugins_ready: u64,
    /// Plugins that are being compiled.
    pub plugins_loading: u64,
    /// Plugins that cannot be loaded.
    pub plugins_failed: u64,
    /// Modules beyond the most that there may be.
    pub plugins_beyond: u64,
    /// Plugins whose module was replaced by one that cannot be used.
    pub plugins_held_back: u64,
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

/// Labels and their values, and the figure.
struct Sample<'a> {
    tenant: Option<&'a str>,
    other: Option<(&'static str, &'a str)>,
    value: u64,
}

/// What is told of each tenant in one family.
type OfTenant = fn(&TenantLevels) -> Vec<(Option<(&'static str, &str)>, u64)>;

fn state(state: &'static str, value: u64) -> (Option<(&'static str, &'static str)>, u64) {
    (Some(("state", state)), value)
}

fn one(value: u64) -> Vec<(Option<(&'static str, &'static str)>, u64)> {
    vec![(None, value)]
}

fn each(
    levels: &TenantLevels,
    figure: fn(&PluginLevels) -> u64,
) -> Vec<(Option<(&'static str, &str)>, u64)> {
    let plugins = levels.plugins.iter();
    plugins
        .map(|plugin| (Some(("plugin", &*plugin.name)), figure(plugin)))
        .collect()
}

impl Levels {
    pub(super) fn families(&self, namespace: &str) -> Vec<MetricFamily> {
        let rows: [(&str, &str, MetricType, OfTenant); 17] = [
            (
                "slots",
                "Places for instances: all, those taken, and those taken by instances that wait \
                 for a call.",
                MetricType::GAUGE,
                |of| {
                    vec![
                        state("total", of.slots_total),
                        state("taken", of.slots_taken),
                        state("kept", of.slots_kept),
                    ]
                },
            ),
            (
                "slot_waiters",
                "Calls that wait for a place.",
                MetricType::GAUGE,
                |of| one(of.slot_waiters),
            ),
            (
                "snapshots_bytes",
                "Memory of snapshots of configured instances.",
                MetricType::GAUGE,
                |of| one(of.snapshot_bytes),
            ),
            (
                "guest_memory_bytes",
                "Memory of all instances.",
                MetricType::GAUGE,
                |of| one(of.guest_memory_bytes),
            ),
            (
                "configurations",
                "Configurations that have a token.",
                MetricType::GAUGE,
                |of| one(of.configurations),
            ),
            (
                "configuration_bytes",
                "Memory of configurations.",
                MetricType::GAUGE,
                |of| one(of.configuration_bytes),
            ),
            (
                "configurations_dropped_total",
                "Configurations that were dropped because memory was short.",
                MetricType::COUNTER,
                |of| one(of.configurations_dropped),
            ),
            (
                "connections",
                "Connections of the gateway.",
                MetricType::GAUGE,
                |of| one(of.connections),
            ),
            (
                "connections_limit",
                "The most connections there may be.",
                MetricType::GAUGE,
                |of| one(of.connections_limit),
            ),
            (
                "key_value_entries",
                "Values that filters keep beyond a call.",
                MetricType::GAUGE,
                |of| of.stored.map_or(Vec::new(), |(entries, _)| one(entries)),
            ),
            (
                "key_value_bytes",
                "What they take.",
                MetricType::GAUGE,
                |of| of.stored.map_or(Vec::new(), |(_, bytes)| one(bytes)),
            ),
            (
                "plugins",
                "Plugins of the modules folder.",
                MetricType::GAUGE,
                |of| {
                    vec![
                        state("ready", of.plugins_ready),
                        state("loading", of.plugins_loading),
                        state("failed", of.plugins_failed),
                        state("beyond_limit", of.plugins_beyond),
                    ]
                },
            ),
            (
                "plugins_held_back",
                "Plugins that serve their last good version, because a newer one was refused.",
                MetricType::GAUGE,
                |of| one(of.plugins_held_back),
            ),
            (
                "filter_memory_peak_bytes",
                "Memory of the largest instance that the plugin ever had.",
                MetricType::GAUGE,
                |of| each(of, |plugin| plugin.memory_peak),
            ),
            (
                "guest_log_dropped_total",
                "Lines that the plugin wanted to log beyond its limits.",
                MetricType::COUNTER,
                |of| each(of, |plugin| plugin.log_dropped),
            ),
            (
                "filter_calls_running",
                "Calls that the plugin serves.",
                MetricType::GAUGE,
                |of| each(of, |plugin| plugin.calls),
            ),
            (
                "filter_calls_waiting",
                "Calls that wait until the plugin may serve more.",
                MetricType::GAUGE,
                |of| each(of, |plugin| plugin.waiting_calls),
            ),
        ];
        let of_tenants = rows.into_iter().map(|(name, help, kind, of_tenant)| {
            let samples = self.tenants.iter().flat_map(|levels| {
                let tenant = Some(&*levels.tenant);
                let samples = of_tenant(levels).into_iter();
                samples.map(move |(other, value)| Sample {
                    tenant,
                    other,
                    value,
                })
            });
            family(namespace, name, help, kind, samples)
        });
        let dropped = Sample {
            tenant: None,
            other: None,
            value: self.log_lines_dropped,
        };
        let dropped = family(
            namespace,
            "log_lines_dropped_total",
            "Lines of the log that were dropped because nobody read it fast enough.",
            MetricType::COUNTER,
            [dropped].into_iter(),
        );
        of_tenants
            .chain([dropped])
            // The text has no place for a name without a figure.
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

fn family<'a>(
    namespace: &str,
    name: &str,
    help: &str,
    kind: MetricType,
    samples: impl Iterator<Item = Sample<'a>>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("{namespace}_{name}"));
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(samples.map(|sample| metric(kind, &sample)).collect());
    family
}

fn metric(kind: MetricType, sample: &Sample<'_>) -> Metric {
    let tenant = sample.tenant.map(|tenant| ("tenant", tenant));
    let labels = sample.other.into_iter().chain(tenant).map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.into());
        label.set_value(value.into());
        label
    });
    let mut metric = Metric::from_label(labels.collect());
    // Exact up to 2^53.
    let value = sample.value as f64;
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
