//! `apisix:filter/log`: the guest's lines in the runner's log, marked as the
//! guest's, cut and escaped so that they cannot pass for anything else.

use crate::bindings::apisix::filter::log::{Host, Level};
use crate::call_state::CallState;

/// The log target of all guest lines, so that an operator can filter them.
const TARGET: &str = "guest";

/// Bytes of one line; `wit/log.wit` promises it.
const LINE_LIMIT: usize = 8 << 10;

impl Host for CallState {
    fn log(&mut self, level: Level, message: String) {
        if !enabled(level) {
            return;
        }
        let line = printable(&message);
        let plugin = &*self.identity.name;
        let request = self.call.as_ref().map(|call| call.source().id());
        match level {
            Level::Trace => tracing::trace!(target: TARGET, plugin, request, "{line}"),
            Level::Debug => tracing::debug!(target: TARGET, plugin, request, "{line}"),
            Level::Info => tracing::info!(target: TARGET, plugin, request, "{line}"),
            Level::Warn => tracing::warn!(target: TARGET, plugin, request, "{line}"),
            Level::Error => tracing::error!(target: TARGET, plugin, request, "{line}"),
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

/// The message on one line: control characters escaped, a long one cut.
fn printable(message: &str) -> String {
    let mut end = message.len().min(LINE_LIMIT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut line = String::with_capacity(end);
    for character in message[..end].chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    if end < message.len() {
        line.push_str(" [cut]");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_line_should_stay_one_line() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn a_long_line_should_be_cut_between_characters() {
        let cut = printable(&"\u{20ac}".repeat(LINE_LIMIT));
        assert!(cut.len() <= LINE_LIMIT + " [cut]".len());
        assert!(cut.ends_with("\u{20ac} [cut]"));
    }
}
