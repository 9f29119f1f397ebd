//! The log: lines of text on stderr, coloured on a terminal, or one JSON object
//! per line. Writing happens on a thread of its own and drops lines rather than
//! block a call, since the gateway may not read our stderr; what was dropped is
//! counted.

use std::io::IsTerminal;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sandbox::HOST_CALLS;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;

/// Lines that wait to be written. A guest's line has up to 8 KiB.
const WAITING_LINES: usize = 1000;

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(50);

/// Between two lines about lines that were dropped.
const SAY_DROPPED: Duration = Duration::from_secs(60);

/// The running log; dropping it writes what still waits, if anybody reads.
pub struct Log {
    worker: Option<WorkerGuard>,
    dropped: DroppedLines,
}

/// Counts the lines that could not wait to be written.
#[derive(Debug, Clone)]
pub struct DroppedLines(ErrorCounter);

/// Starts the log.
#[must_use]
pub fn start(level: LevelFilter, format: LogFormat) -> Log {
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .finish(std::io::stderr());
    let dropped = DroppedLines(writer.error_counter());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    // What strangers' requests carry is nobody's business here.
    let filter = Targets::new()
        .with_default(level)
        .with_target(HOST_CALLS, LevelFilter::OFF)
        .with_target("wasmtime_wasi", level.min(LevelFilter::INFO))
        // A line for each request that a guest gets wrong, past the guest's
        // limits; the guest is told.
        .with_target("wasmtime_wasi_http", LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    // The standard hook writes to stderr itself, past the format, and waits
    // where nobody reads.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Log {
        worker: Some(worker),
        dropped,
    }
}

impl Log {
    /// Counts its dropped lines.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl DroppedLines {
    /// So many since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.dropped_lines() as u64
    }

    /// Says so in the log, once a minute at most, until it is dropped. Where
    /// that line is dropped too, it counts, and there is a next one.
    pub async fn say(self) {
        let (mut said, mut last) = (0, None::<Instant>);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let count = self.count();
            if count > said && last.is_none_or(|last| last.elapsed() >= SAY_DROPPED) {
                tracing::warn!(
                    "{} lines of the log were dropped, {count} since the start: nobody read them \
                     fast enough",
                    count - said
                );
                (said, last) = (count, Some(Instant::now()));
            }
        }
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
