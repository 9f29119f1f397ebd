//! The counters of one plugin, all of them found beforehand, so that a call
//! looks nothing up.
//!
//! Must not know why a filter fails, only what that is called.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::LineBudget;
use crate::failure::Cause;
use crate::tenant::Tenant;

/// Where in its life a call met the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Phase {
    Request,
    Response,
}

/// How a filter's part in a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call went on.
    Next,
    /// The filter answered the request itself.
    Stop,
    /// It failed, whatever became of the call.
    Failed(Cause),
}

const PHASES: [&str; 2] = ["request", "response"];

/// The counters of one plugin.
pub struct PluginMetrics {
    /// How many of its failures are told one by one.
    pub lines: LineBudget,
    request: OfPhase,
    response: OfPhase,
}

struct OfPhase {
    next: IntCounter,
    stop: IntCounter,
    /// In the order of [`Cause::ALL`], which is that of the enum.
    failed: [IntCounter; Cause::ALL.len()],
    took: Histogram,
}

impl PluginMetrics {
    pub(super) fn new(
        tenant: &Tenant,
        name: &str,
        calls: &IntCounterVec,
        durations: &HistogramVec,
    ) -> Self {
        let tenant = tenant.name();
        let of_phase = |phase: &str| {
            let counter = |outcome: &str| calls.with_label_values(&[tenant, name, phase, outcome]);
            OfPhase {
                next: counter("next"),
                stop: counter("stop"),
                failed: Cause::ALL.map(|cause| counter(cause.label())),
                took: durations.with_label_values(&[tenant, name, phase]),
            }
        };
        let [request, response] = PHASES.map(of_phase);
        PluginMetrics {
            lines: LineBudget::default(),
            request,
            response,
        }
    }

    /// Takes the counters of a plugin out of the text. Who still has them counts
    /// for nobody.
    pub(super) fn forget(
        tenant: &Tenant,
        name: &str,
        calls: &IntCounterVec,
        durations: &HistogramVec,
    ) {
        let tenant = tenant.name();
        let outcomes = || {
            ["next", "stop"]
                .into_iter()
                .chain(Cause::ALL.map(Cause::label))
        };
        for phase in PHASES {
            for outcome in outcomes() {
                // What is not there need not go.
                let _ = calls.remove_label_values(&[tenant, name, phase, outcome]);
            }
            let _ = durations.remove_label_values(&[tenant, name, phase]);
        }
    }

    /// The filter is done with one call.
    pub fn ended(&self, phase: Phase, outcome: Outcome, took: Duration) {
        let of_phase = match phase {
            Phase::Request => &self.request,
            Phase::Response => &self.response,
        };
        match outcome {
            Outcome::Next => of_phase.next.inc(),
            Outcome::Stop => of_phase.stop.inc(),
            Outcome::Failed(cause) => of_phase.failed[cause as usize].inc(),
        }
        of_phase.took.observe(took.as_secs_f64());
    }
}
