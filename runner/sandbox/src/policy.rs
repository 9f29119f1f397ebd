//! How instances of a plugin are made and how long they live, as the operator
//! chose. How much one may use is in `limits`.

use std::sync::Arc;
use std::time::Duration;

use crate::{Grants, Limits};

/// Everything the operator says of one plugin.
#[derive(Debug, Clone)]
pub struct PluginSettings {
    /// What an instance may use.
    pub limits: Limits,
    /// When the state after `configure` is captured.
    pub snapshot: SnapshotPolicy,
    /// How long an instance lives.
    pub instances: InstancePolicy,
    /// Whether a call that the plugin fails on comes back as it was before, so
    /// that it can go on without it. Costs a copy of what the filters before it
    /// changed.
    pub keep_failed_calls: bool,
    /// What it may ask for beyond its calls.
    pub grants: Arc<Grants>,
}

/// When the state of an instance after `configure` is captured, so that later
/// instances start from it instead of configuring themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SnapshotPolicy {
    /// Once configuring has cost as much as capturing will, unless `configure`
    /// looked at something that is another each time, such as the clock.
    #[default]
    Auto,
    /// As soon as the configuration is accepted, whatever it looked at.
    Always,
    /// Never.
    Off,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InstancePolicy {
    /// For one call.
    #[default]
    Fresh,
    /// For many, one after the other, all of the same tenant, plugin and
    /// configuration. One that trapped, ran out of time, was given up or
    /// answered with an error is not used again.
    Warm {
        /// Calls until it is replaced, at least 1.
        uses: u32,
        /// How long it may wait for the next call.
        idle: Duration,
    },
}
