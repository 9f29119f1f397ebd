//! The log: lines of text on stderr, coloured on a terminal. Writing happens
//! on a thread of its own and drops lines rather than block a call, since the
//! gateway may not read our stderr.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;

/// Starts the log; dropping the guard writes what is still queued.
pub fn start(level: LevelFilter) -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer)
        .init();
    guard
}
