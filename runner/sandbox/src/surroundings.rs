//! What the standard WASI interfaces can reach of the world: next to nothing.
//! No files, no sockets, no environment, no arguments, no input. Output goes to
//! the log, clocks are coarse, random numbers are random, unless the operator
//! says otherwise of either. Requests go where `apisix:filter/http` goes.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::bindings::apisix::filter::log::Level;
use crate::call_state::Identity;
use crate::console::Console;
use crate::fixed_numbers::FixedNumbers;
use crate::host::wasi_http::WasiHttpState;
use crate::{Grants, Randomness};

/// Random bytes that a guest may ask for at once: nothing interrupts the host
/// while it makes them.
const RANDOM_BYTES: u64 = 64 << 10;

/// Of one instance.
pub(crate) struct Surroundings {
    pub(crate) context: WasiCtx,
    pub(crate) table: ResourceTable,
    /// Made at the first use of `wasi:http`; what it hands out is in the table.
    pub(crate) http: Option<Box<WasiHttpState>>,
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
            .wall_clock(CoarseClock::start(&identity.grants))
            .monotonic_clock(CoarseClock::start(&identity.grants))
            .max_random_size(RANDOM_BYTES);
        if identity.grants.random == Randomness::Fixed {
            context
                .secure_random(FixedNumbers::default())
                .insecure_random(FixedNumbers::default())
                .insecure_random_seed(0);
        }
        Surroundings {
            context: context.build(),
            table,
            http: None,
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

/// The time in whole multiples of the resolution that the operator grants.
struct CoarseClock {
    started: Instant,
    resolution: Duration,
}

impl CoarseClock {
    fn start(grants: &Grants) -> Self {
        CoarseClock {
            started: Instant::now(),
            resolution: grants.clock_resolution,
        }
    }
}

/// Rounded down to a multiple of a resolution.
pub(crate) fn coarse(time: Duration, resolution: Duration) -> Duration {
    let nanos = time.as_nanos();
    let rest = nanos % resolution.as_nanos().max(1);
    let rest = Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX));
    time.saturating_sub(rest)
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        self.resolution.max(Duration::from_nanos(1))
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        coarse(now.unwrap_or_default(), self.resolution)
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        u64::try_from(self.resolution.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        let now = coarse(self.started.elapsed(), self.resolution);
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_should_tell_less_than_its_resolution() {
        for millis in [1, 20, 1_500] {
            let resolution = Duration::from_millis(millis);
            let clock = CoarseClock::start(&Grants {
                clock_resolution: resolution,
                ..Grants::none()
            });
            for _ in 0..100 {
                let monotonic = u128::from(HostMonotonicClock::now(&clock));
                assert_eq!(monotonic % resolution.as_nanos(), 0);
                let wall = HostWallClock::now(&clock).as_nanos();
                assert_eq!(wall % resolution.as_nanos(), 0);
            }
        }
    }

    #[test]
    fn a_time_should_be_rounded_down() {
        for (nanos, resolution, expected) in [
            (1_999_999, 1_000_000, 1_000_000),
            (1_999_999, 1_000, 1_999_000),
            (1_999_999, 0, 1_999_999),
            (999, 1_000, 0),
        ] {
            let [time, resolution, expected] =
                [nanos, resolution, expected].map(Duration::from_nanos);
            assert_eq!(coarse(time, resolution), expected);
        }
    }
}
