//! What the standard WASI interfaces can reach of the world: next to nothing.
//! No files, no sockets, no environment, no arguments, no input. Output goes to
//! the log, clocks are coarse, random numbers are random.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::bindings::apisix::filter::log::Level;
use crate::call_state::Identity;
use crate::console::Console;

/// Random bytes that a guest may ask for at once: nothing interrupts the host
/// while it makes them.
const RANDOM_BYTES: u64 = 64 << 10;

/// A guest that could tell shorter times apart could measure what others do on
/// the same processor.
const RESOLUTION: Duration = Duration::from_millis(1);

/// Of one instance.
pub(crate) struct Surroundings {
    pub(crate) context: WasiCtx,
    pub(crate) table: ResourceTable,
    outputs: [Console; 2],
}

impl Surroundings {
    /// `logged` counts what a call writes into the log; `quiet`: nothing reaches
    /// it.
    pub(crate) fn new(identity: &Arc<Identity>, logged: &Arc<AtomicUsize>, quiet: bool) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(identity.account.limits.handles);
        let output = |level| Console::new(Arc::clone(identity), level, Arc::clone(logged), quiet);
        let outputs = [output(Level::Info), output(Level::Warn)];
        let mut context = WasiCtxBuilder::new();
        context
            .stdout(outputs[0].clone())
            .stderr(outputs[1].clone())
            .wall_clock(CoarseClock::start())
            .monotonic_clock(CoarseClock::start())
            .max_random_size(RANDOM_BYTES);
        Surroundings {
            context: context.build(),
            table,
            outputs,
        }
    }

    /// What is printed from here on belongs to this call.
    pub(crate) fn begin_call(&self, request: Option<u32>) {
        for output in &self.outputs {
            output.begin_call(request);
        }
    }

    /// What is printed has been printed.
    pub(crate) fn end_call(&self) {
        for output in &self.outputs {
            output.end_line();
        }
    }
}

/// A line whose end never came may be why the guest failed.
impl Drop for Surroundings {
    fn drop(&mut self) {
        self.end_call();
    }
}

/// The time in whole milliseconds.
struct CoarseClock {
    started: Instant,
}

impl CoarseClock {
    fn start() -> Self {
        CoarseClock {
            started: Instant::now(),
        }
    }
}

/// Rounded down.
fn coarse(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        coarse(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        RESOLUTION.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        u64::try_from(coarse(self.started.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_should_tell_less_than_a_millisecond() {
        let clock = CoarseClock::start();
        for _ in 0..100 {
            assert_eq!(HostMonotonicClock::now(&clock) % 1_000_000, 0);
            assert_eq!(HostWallClock::now(&clock).subsec_nanos() % 1_000_000, 0);
        }
        assert_eq!(coarse(Duration::from_micros(1_999)), RESOLUTION);
    }
}
