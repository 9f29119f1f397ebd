//! The course of a run: connect, warm up, measure, wait for the last replies.
//!
//! Must not know what is sent, nor how figures are shown.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::task::JoinSet;

use super::caller::{call_once, call_until_over};
use super::failure::Failure;
use super::process::Usage;
use super::progress::Progress;
use super::request::Traffic;
use super::stage::Stage;
use crate::cli::BenchOptions;

/// How often the progress is shown.
const GLANCE: Duration = Duration::from_millis(200);

/// As long the gateway waits for a reply.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the calls in flight at the end may still take.
const LAST_REPLIES: Duration = Duration::from_secs(5);

/// What a run came to.
#[derive(Debug)]
pub(super) struct Run {
    /// With the counts.
    pub(super) stage: Arc<Stage>,
    /// How long was measured.
    pub(super) elapsed: Duration,
    /// Calls that were served in that time.
    pub(super) served: u64,
    /// Calls that were served or failed in that time.
    pub(super) calls: u64,
    /// The process that was measured.
    pub(super) pid: Option<u32>,
    /// Its use before and after.
    pub(super) usage: Option<(Usage, Usage)>,
    /// CPU time that the driver itself took.
    pub(super) own_cpu: Duration,
}

/// Runs the whole course.
pub(super) async fn run(options: &BenchOptions, traffic: Traffic) -> Result<Run> {
    let requests = options.requests.map(u64::from);
    let socket = path_of(options);
    if let Some(pid) = options.pid {
        // Before the run rather than after it.
        Usage::of(pid).context("--pid")?;
    }
    let (stage, peer) = Stage::set(socket, traffic, requests)
        .await
        .map_err(with_advice)
        .with_context(|| format!("--socket {}", options.socket.display()))?;
    let pid = options.pid.or(peer);
    let stage = Arc::new(stage);
    tokio::time::timeout(PATIENCE, call_once(&stage))
        .await
        .with_context(|| format!("the first call is not answered within {PATIENCE:.0?}"))?;
    let mut callers = JoinSet::new();
    for number in 0..options.connections.get() {
        callers.spawn(call_until_over(Arc::clone(&stage), number));
    }
    let progress = Progress::new(options);
    progress.warming();
    if !options.warmup.is_zero() {
        tokio::time::sleep(options.warmup).await;
    }

    let measure = |pid| Usage::of(pid).ok();
    let (before, own_before) = (pid.and_then(measure), own_cpu()?);
    let began = Instant::now();
    stage.begin();
    progress.begin();
    match options.requests {
        Some(_) => until_served(&stage, &mut callers, &progress).await,
        None => until_late(&stage, began + options.duration, &progress).await,
    }
    let elapsed = began.elapsed();
    let (served, calls) = {
        let tally = stage.tally();
        (tally.requests(), tally.calls())
    };
    let (after, own_after) = (pid.and_then(measure), own_cpu()?);
    stage.end();
    wait_for_last_replies(&stage, &mut callers).await;
    progress.done();
    if stage.tally().calls() == 0 {
        bail!("no call was answered in {elapsed:.1?}");
    }
    Ok(Run {
        stage,
        elapsed,
        served,
        calls,
        pid: after.and(pid),
        usage: before.zip(after),
        own_cpu: own_after.saturating_sub(own_before),
    })
}

/// Until the time is over.
async fn until_late(stage: &Stage, end: Instant, progress: &Progress) {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(GLANCE)).await;
        progress.show(&stage.tally());
    }
}

/// Until each call has come to an end, or nothing moves any more.
async fn until_served(stage: &Stage, callers: &mut JoinSet<()>, progress: &Progress) {
    let mut moved = (Instant::now(), 0);
    while !callers.is_empty() {
        // An error is a glance's end.
        let _ = tokio::time::timeout(GLANCE, async {
            while callers.join_next().await.is_some() {}
        })
        .await;
        let calls = stage.tally().calls();
        progress.show(&stage.tally());
        if calls > moved.1 {
            moved = (Instant::now(), calls);
        } else if moved.0.elapsed() > PATIENCE {
            return;
        }
    }
}

async fn wait_for_last_replies(stage: &Stage, callers: &mut JoinSet<()>) {
    let all = async { while callers.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_REPLIES, all).await.is_err() {
        stage
            .tally()
            .failed(Failure::Unanswered, callers.len() as u64);
    }
}

/// Says what would make it work.
fn with_advice(error: anyhow::Error) -> anyhow::Error {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    let advice = match kind {
        Some(NotFound | ConnectionRefused) => {
            "nobody listens there; start a runner, for example with \
             `runner serve --modules DIR --listen unix:PATH`"
        }
        Some(PermissionDenied) => "the socket belongs to another user",
        _ => return error,
    };
    error.context(advice)
}

fn path_of(options: &BenchOptions) -> PathBuf {
    let bare = options
        .socket
        .to_str()
        .and_then(|path| path.strip_prefix("unix:"));
    bare.map_or_else(|| options.socket.clone(), Into::into)
}

fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(
        u64::try_from(microseconds).unwrap_or_default(),
    ))
}
