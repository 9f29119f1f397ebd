//! What no steady load shows: the start of a runner, its memory, and many
//! configurations at once.
//!
//! Must not know how the figures are shown.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::gateway::{Gateway, small_call};
use crate::server::{Server, resident_mib, wait_for_rest};
use crate::statistics::percentile;

const PLUGIN: &str = "probe";

/// Configurations whose memory is measured.
const CONFIGURATIONS: usize = 10_000;

/// Configurations in a burst.
const BURST: usize = 1_000;

/// Connections that call while the burst goes on.
const CALLERS: u32 = 8;

/// How long calls are watched without a burst, and at least with one.
const WATCH: Duration = Duration::from_secs(1);

/// A runner may prepare in the background for so long before its memory is
/// looked at.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// Waits until every module is loaded, so that the next start finds its code in
/// the cache.
pub(crate) fn load_all(server: &Server) -> Result<()> {
    first_answer_ms(server)?;
    rested_mib(server)?;
    Ok(())
}

/// Milliseconds from the start of the process to the first answered call.
pub(crate) fn first_answer_ms(server: &Server) -> Result<f64> {
    let mut gateway = Gateway::connect(server.socket())?;
    let conf_token = gateway.prepare(PLUGIN, &conf(0, 0))?;
    gateway.call(&small_call(conf_token)?)?;
    Ok(server.started().elapsed().as_secs_f64() * 1e3)
}

/// Resident memory before any configuration, MiB.
pub(crate) fn idle_mib(server: &Server) -> Result<f64> {
    first_answer_ms(server)?;
    rested_mib(server)
}

/// Resident memory with many configurations of so many bytes, MiB.
pub(crate) fn configured_mib(server: &Server, bytes: usize) -> Result<f64> {
    first_answer_ms(server)?;
    let mut gateway = Gateway::connect(server.socket())?;
    for number in 0..CONFIGURATIONS {
        gateway.prepare(PLUGIN, &conf(number, bytes))?;
    }
    rested_mib(server)
}

fn rested_mib(server: &Server) -> Result<f64> {
    let pid = server.id().context("not our process")?;
    wait_for_rest(pid, REST_LIMIT)?;
    resident_mib(pid)
}

/// What a burst of configurations costs those who send them and those who
/// call meanwhile. All microseconds, all the 99th percentile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) prepare: f64,
    pub(crate) calls_before: f64,
    pub(crate) calls_during: f64,
}

/// Configurations one after the other on one connection, first alone, then
/// while others call.
pub(crate) fn burst(server: &Server) -> Result<Burst> {
    let pid = server.id().context("not our process")?;
    let alone = prepare_many(server, 1)?;
    wait_for_rest(pid, REST_LIMIT)?;

    let mut gateway = Gateway::connect(server.socket())?;
    let conf_token = gateway.prepare(PLUGIN, &conf(0, 0))?;
    let over = AtomicBool::new(false);
    let (calls, began) = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| call_until(server.socket(), conf_token, &over)))
            .collect();
        std::thread::sleep(WATCH);
        let began = Instant::now();
        let sent = prepare_many(server, 2);
        std::thread::sleep(WATCH.saturating_sub(began.elapsed()));
        over.store(true, Ordering::Relaxed);
        let calls: Result<Vec<_>> = callers
            .into_iter()
            .map(|caller| caller.join().unwrap_or_else(|_| Ok(Vec::new())))
            .collect();
        sent.and(calls).map(|calls| (calls.concat(), began))
    })?;
    let part = |during: bool| {
        let of_part = move |call: &&(Instant, Duration)| (call.0 + call.1 >= began) == during;
        let latencies = calls.iter().filter(of_part);
        percentile(latencies.map(|(_, latency)| micros(*latency)), 0.99).context("no calls")
    };
    Ok(Burst {
        prepare: percentile(alone.into_iter().map(micros), 0.99).context("no configuration")?,
        calls_before: part(false)?,
        calls_during: part(true)?,
    })
}

/// The time of each; configurations of another `series` are others.
fn prepare_many(server: &Server, series: usize) -> Result<Vec<Duration>> {
    let mut gateway = Gateway::connect(server.socket())?;
    (0..BURST)
        .map(|number| {
            let conf = conf(series * BURST + number, 40);
            let began = Instant::now();
            gateway.prepare(PLUGIN, &conf)?;
            Ok(began.elapsed())
        })
        .collect()
}

/// When each call began, and how long it took.
fn call_until(
    socket: &Path,
    conf_token: u32,
    over: &AtomicBool,
) -> Result<Vec<(Instant, Duration)>> {
    let mut gateway = Gateway::connect(socket)?;
    let call = small_call(conf_token)?;
    let mut calls = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        gateway.call(&call)?;
        calls.push((began, began.elapsed()));
    }
    Ok(calls)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The usual configuration with a number in it, so many bytes long.
fn conf(number: usize, bytes: usize) -> String {
    let (front, back) = (r#"{"set_headers":{"X-A":""#, r#""}}"#);
    let width = bytes.saturating_sub(front.len() + back.len());
    format!("{front}{number:0width$}{back}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_should_differ_and_be_as_long_as_asked_for() {
        for bytes in [40, 1024] {
            assert_eq!(conf(0, bytes).len(), bytes);
            assert_eq!(conf(9_999, bytes).len(), bytes);
            assert_ne!(conf(1, bytes), conf(2, bytes));
        }
        assert_eq!(conf(1, 0), r#"{"set_headers":{"X-A":"1"}}"#);
    }
}
