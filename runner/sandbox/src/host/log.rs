//! `apisix:filter/log`: the guest's lines in the runner's log, marked as the
//! guest's, cut and escaped so that they cannot pass for anything else.

use crate::bindings::apisix::filter::log::{Host, Level};
use crate::call_state::{CallState, OpenCall};
use crate::printable::printable;

/// The log target of all guest lines, so that an operator can filter them.
const TARGET: &str = "guest";

/// Bytes that a line has around what the guest says, about: an empty one is not
/// free.
const AROUND: usize = 256;

impl Host for CallState {
    fn log(&mut self, level: Level, message: String) {
        if self.quiet || !enabled(level) {
            return;
        }
        let line = printable(&message);
        let account = &self.identity.account;
        if !account.may_log(AROUND + line.len(), &mut self.logged) {
            return;
        }
        let (plugin, route) = (&*account.name, &*self.identity.route);
        let request = match &self.call {
            OpenCall::Request(call) => Some(call.source().id()),
            OpenCall::Response(call) => Some(call.source().id()),
            OpenCall::None => None,
        };
        match level {
            Level::Trace => tracing::trace!(target: TARGET, plugin, route, request, "{line}"),
            Level::Debug => tracing::debug!(target: TARGET, plugin, route, request, "{line}"),
            Level::Info => tracing::info!(target: TARGET, plugin, route, request, "{line}"),
            Level::Warn => tracing::warn!(target: TARGET, plugin, route, request, "{line}"),
            Level::Error => tracing::error!(target: TARGET, plugin, route, request, "{line}"),
        }
    }

    fn enabled(&mut self, level: Level) -> bool {
        enabled(level)
    }
}

fn enabled(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: TARGET, tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: TARGET, tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: TARGET, tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: TARGET, tracing::Level::ERROR),
    }
}
