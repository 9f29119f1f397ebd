//! The log: lines of text on stderr, coloured on a terminal, or one JSON object
//! per line. Writing happens on a thread of its own and drops lines rather than
//! block a call, since the gateway may not read our stderr; what was dropped is
//! counted. Where tenants are named, each line of what works for one begins with
//! its name, before anything that a guest could write, and waits among its own
//! lines only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::io::IsTerminal;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use sandbox::HOST_CALLS;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
use crate::tenant::Tenant;

/// Lines that wait to be written, of each tenant. A guest's line has up to 8 KiB.
const WAITING_LINES: usize = 1000;

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(50);

/// Between two lines about lines that were dropped.
const SAY_DROPPED: Duration = Duration::from_secs(60);

/// The running log; dropping it writes what still waits, if anybody reads.
pub struct Log {
    workers: Vec<WorkerGuard>,
    dropped: DroppedLines,
}

/// Counts the lines that could not wait to be written.
#[derive(Debug, Clone)]
pub struct DroppedLines(Arc<[ErrorCounter]>);

/// Lines that wait: where tenants are named, each tenant's for themselves, so that
/// one who says much loses lines of nobody else.
struct Queues {
    of_tenants: HashMap<Tenant, NonBlocking>,
    others: NonBlocking,
}

impl MakeWriter<'_> for Queues {
    type Writer = NonBlocking;

    fn make_writer(&self) -> NonBlocking {
        let own = whose().and_then(|tenant| self.of_tenants.get(&tenant));
        own.unwrap_or(&self.others).clone()
    }
}

fn queue() -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .finish(std::io::stderr())
}

/// Starts the log. `tenants` are those whose lines will bear their names.
#[must_use]
pub fn start(level: LevelFilter, format: LogFormat, tenants: &[Tenant]) -> Log {
    let (others, worker) = queue();
    let (mut workers, mut counters) = (vec![worker], vec![others.error_counter()]);
    let mut of_tenants = HashMap::new();
    for tenant in tenants {
        let (own, worker) = queue();
        counters.push(own.error_counter());
        workers.push(worker);
        of_tenants.insert(tenant.clone(), own);
    }
    let dropped = DroppedLines(counters.into());
    let lines = tracing_subscriber::fmt::layer().with_writer(Queues { of_tenants, others });
    let lines = match format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .event_format(TextLines)
            .boxed(),
        LogFormat::Json => {
            let format = tracing_subscriber::fmt::format().json();
            let format = format
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            lines.json().event_format(JsonLines(format)).boxed()
        }
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
    Log { workers, dropped }
}

thread_local! {
    /// Whom this thread works for.
    static TENANT: RefCell<Option<Tenant>> = const { RefCell::new(None) };
}

/// From here on this thread's lines bear the name of the tenant.
pub fn this_thread_is_of(tenant: &Tenant) {
    TENANT.set(Some(tenant.clone()));
}

/// Whose name this thread's lines bear now.
#[must_use]
pub fn whose() -> Option<Tenant> {
    // At a thread's end it may be gone already.
    let tenant = TENANT.try_with(|tenant| tenant.borrow().clone());
    tenant.ok().flatten()
}

/// Does something whose lines bear the name of the tenant, if there is one, on a
/// thread that works for several.
pub fn on_behalf_of<T>(tenant: Option<&Tenant>, work: impl FnOnce() -> T) -> T {
    let _restore = Restore(TENANT.replace(tenant.cloned()));
    work()
}

/// The same for what takes its turns with others.
pub fn turns_of<F: Future>(tenant: Option<Tenant>, work: F) -> impl Future<Output = F::Output> {
    let mut work = Box::pin(work);
    poll_fn(move |context| on_behalf_of(tenant.as_ref(), || work.as_mut().poll(context)))
}

/// Whoever panics does not keep the thread.
struct Restore(Option<Tenant>);

impl Drop for Restore {
    fn drop(&mut self) {
        TENANT.set(self.0.take());
    }
}

/// Writes `begin` with the name of this thread's tenant, where it has one.
fn begin_with_tenant(
    writer: &mut Writer<'_>,
    begin: impl FnOnce(&mut Writer<'_>, &str) -> fmt::Result,
) -> fmt::Result {
    match whose() {
        Some(tenant) => begin(writer, tenant.name()),
        None => Ok(()),
    }
}

/// Time, level, where from, whose, what.
struct TextLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let (dim, colour) = match writer.has_ansi_escapes() {
            true => (Style::new().dimmed(), colour_of(level)),
            false => (Style::new(), Style::new()),
        };
        write!(writer, "{dim}")?;
        SystemTime.format_time(&mut writer)?;
        write!(
            writer,
            "{dim:#} {colour}{level:>5}{colour:#} {dim}{target}:{dim:#} "
        )?;
        begin_with_tenant(&mut writer, |writer, name| write!(writer, "tenant={name} "))?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn colour_of(level: &Level) -> Style {
    let colour = match *level {
        Level::ERROR => AnsiColor::Red,
        Level::WARN => AnsiColor::Yellow,
        Level::INFO => AnsiColor::Green,
        Level::DEBUG => AnsiColor::Blue,
        Level::TRACE => AnsiColor::Magenta,
    };
    colour.on_default()
}

/// One object, in which the tenant comes first.
struct JsonLines(Format<Json>);

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<Json>: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut object = String::new();
        self.0
            .format_event(context, Writer::new(&mut object), event)?;
        let Some(members) = object.strip_prefix('{') else {
            return writer.write_str(&object);
        };
        writer.write_char('{')?;
        // A tenant's name has nothing that would have to be escaped.
        begin_with_tenant(&mut writer, |writer, name| {
            write!(writer, "\"tenant\":\"{name}\",")
        })?;
        writer.write_str(members)
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
        let counters = self.0.iter();
        counters.map(|counter| counter.dropped_lines() as u64).sum()
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
        let workers = std::mem::take(&mut self.workers);
        let (written, wait) = mpsc::channel();
        std::thread::spawn(move || {
            drop(workers);
            let _ = written.send(());
        });
        let _ = wait.recv_timeout(LAST_LINES);
    }
}
