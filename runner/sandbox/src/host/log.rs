//! `apisix:filter/log`: the guest's lines in the runner's log, marked as the
//! guest's, cut and escaped so that they cannot pass for anything else, and without
//! the secrets that it was granted. What a
//! guest prints (`console`) comes here too.

use std::sync::atomic::AtomicUsize;

use crate::bindings::apisix::filter::log::{Host, Level};
use crate::call_state::{CallState, Identity};

/// The log target of all guest lines, so that an operator can filter them.
const TARGET: &str = "guest";

/// Bytes that a line has around what the guest says, about: an empty one is not
/// free.
const AROUND: usize = 256;

impl Host for CallState {
    fn log(&mut self, level: Level, message: String) {
        if !self.quiet {
            let (request, logged) = (self.call.id(), self.logged());
            let message = Message {
                text: &message,
                is_cut: false,
            };
            write(&self.identity, request, level, message, &logged);
        }
    }

    fn enabled(&mut self, level: Level) -> bool {
        enabled(level)
    }
}

/// What a guest says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) text: &'a str,
    /// Only its beginning is here.
    pub(crate) is_cut: bool,
}

/// Writes one line of a guest, unless the limits forbid it: then false. `logged`
/// is what its call has written so far.
pub(crate) fn write(
    identity: &Identity,
    request: Option<u32>,
    level: Level,
    message: Message<'_>,
    logged: &AtomicUsize,
) -> bool {
    if !enabled(level) {
        return true;
    }
    let line = identity.line(message.text, message.is_cut);
    let account = &identity.account;
    if !account.may_log(AROUND + line.len(), logged) {
        return false;
    }
    let (plugin, route) = (&*account.name, &*identity.route);
    match level {
        Level::Trace => tracing::trace!(target: TARGET, plugin, route, request, "{line}"),
        Level::Debug => tracing::debug!(target: TARGET, plugin, route, request, "{line}"),
        Level::Info => tracing::info!(target: TARGET, plugin, route, request, "{line}"),
        Level::Warn => tracing::warn!(target: TARGET, plugin, route, request, "{line}"),
        Level::Error => tracing::error!(target: TARGET, plugin, route, request, "{line}"),
    }
    true
}

pub(crate) fn enabled(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: TARGET, tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: TARGET, tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: TARGET, tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: TARGET, tracing::Level::ERROR),
    }
}
