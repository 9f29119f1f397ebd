//! The log: lines of text on stderr, coloured on a terminal. Writing happens
//! on a thread of its own and drops lines rather than block a call, since the
//! gateway may not read our stderr.

use std::io::IsTerminal;
use std::sync::mpsc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// Lines that wait to be written. A guest's line has up to 8 KiB.
const WAITING_LINES: usize = 1000;

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(50);

/// The running log; dropping it writes what still waits, if anybody reads.
pub struct Log {
    worker: Option<WorkerGuard>,
}

/// Starts the log.
#[must_use]
pub fn start(level: LevelFilter) -> Log {
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .finish(std::io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer)
        .init();
    Log {
        worker: Some(worker),
    }
}

impl Drop for Log {
    /// The worker's own guard waits for more than a second where nobody reads,
    /// and by then the gateway has killed us.
    fn drop(&mut self) {
        let worker = self.worker.take();
        let (written, wait) = mpsc::channel();
        std::thread::spawn(move || {
            drop(worker);
            let _ = written.send(());
        });
        let _ = wait.recv_timeout(LAST_LINES);
    }
}
