//! How much a guest may use: time to compute, time on the wall, time waiting for
//! the gateway, memory. The numbers come from the operator, never from the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

/// The limits of one plugin's instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance in bytes, all its memories together.
    pub memory: usize,
    /// How long a handler may compute in one call.
    pub handler_time: Duration,
    /// How long starting an instance and its `configure` may compute together.
    pub configure_time: Duration,
    /// How much longer either may take by the clock on the wall, without the
    /// waiting for the gateway: others compute too, and a guest can sleep.
    pub idle_time: Duration,
    /// How long one call may wait for the gateway's answers in total. It must
    /// stay below the gateway's own read timeout of 60 s
    /// (`ext-plugin/init.lua`).
    pub gateway_time: Duration,
    /// How many questions the filters of one call may ask the gateway.
    pub questions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 64 << 20,
            handler_time: Duration::from_millis(50),
            configure_time: Duration::from_millis(1000),
            idle_time: Duration::from_secs(1),
            gateway_time: Duration::from_secs(55),
            questions: 64,
        }
    }
}

/// Elements over all tables of one instance. Interpreted languages need about
/// ten thousand; a slot of the pool holds twenty thousand per table.
const TABLE_ELEMENTS: usize = 100_000;

/// Counts the memory and table elements of one store against its limits.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    limit: usize,
    used: usize,
    table_elements: usize,
    /// Set when a growth was refused, so that the trap which usually follows
    /// can be named by its cause.
    pub(crate) refused: bool,
}

impl MemoryMeter {
    pub(crate) fn new(limit: usize) -> Self {
        MemoryMeter {
            limit,
            used: 0,
            table_elements: 0,
            refused: false,
        }
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current));
        if total > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }
}

/// How often a running guest is looked at; computing time is counted in these.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Counts how long the guest has been computing, and how long it has taken.
///
/// Computing is counted in ticks that found the guest at work, not by a clock:
/// on a busy machine a guest is not charged for the time of others. The wall
/// clock is shared with whoever waits for the guest from outside.
#[derive(Debug)]
pub(crate) struct GuestClock {
    ticks_left: u32,
    limit: Duration,
    wall: Arc<WallClock>,
}

impl GuestClock {
    pub(crate) fn start(limit: Duration, idle: Duration) -> Self {
        let ticks = limit.as_nanos().div_ceil(TICK.as_nanos());
        GuestClock {
            // A tick finds a guest that has just begun as well.
            ticks_left: u32::try_from(ticks).unwrap_or(u32::MAX).saturating_add(1),
            limit,
            wall: Arc::new(WallClock::start(limit + idle)),
        }
    }

    /// A tick found the guest computing. False when that was its last.
    pub(crate) fn tick(&mut self) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        self.ticks_left > 0
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn wall(&self) -> &Arc<WallClock> {
        &self.wall
    }
}

/// Time since the guest was called, without what it waited for the gateway.
#[derive(Debug)]
pub(crate) struct WallClock {
    started: Instant,
    limit: Duration,
    waited_us: AtomicU64,
    /// When the present wait began, in microseconds; `NOT_WAITING` outside.
    waiting_since_us: AtomicU64,
}

const NOT_WAITING: u64 = u64::MAX;

impl WallClock {
    fn start(limit: Duration) -> Self {
        WallClock {
            started: Instant::now(),
            limit,
            waited_us: AtomicU64::new(0),
            waiting_since_us: AtomicU64::new(NOT_WAITING),
        }
    }

    /// From here on the guest waits for the gateway.
    pub(crate) fn begin_wait(&self) {
        self.waiting_since_us
            .store(self.now_us(), Ordering::Relaxed);
    }

    /// It does not any more.
    pub(crate) fn end_wait(&self) {
        self.waited_us
            .fetch_add(self.present_wait_us(), Ordering::Relaxed);
        self.waiting_since_us.store(NOT_WAITING, Ordering::Relaxed);
    }

    /// What is left. While the guest waits for the gateway it does not get
    /// less.
    pub(crate) fn left(&self) -> Duration {
        let waited = self.waited_us.load(Ordering::Relaxed) + self.present_wait_us();
        let taken = Duration::from_micros(self.now_us().saturating_sub(waited));
        self.limit.saturating_sub(taken)
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    fn present_wait_us(&self) -> u64 {
        match self.waiting_since_us.load(Ordering::Relaxed) {
            NOT_WAITING => 0,
            since => self.now_us().saturating_sub(since),
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_several_memories_should_add_up() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).expect("first"));
        assert!(!meter.memory_growing(0, 60, None).expect("second"));
        assert!(meter.refused);
        assert!(
            meter
                .memory_growing(60, 100, None)
                .expect("exactly the limit")
        );
    }

    #[test]
    fn waiting_for_the_gateway_should_not_count() {
        let clock = WallClock::start(Duration::from_millis(50));
        clock.begin_wait();
        std::thread::sleep(Duration::from_millis(80));
        assert!(clock.left() > Duration::from_millis(20), "still waiting");
        clock.end_wait();
        assert!(clock.left() > Duration::from_millis(20), "waited");
        std::thread::sleep(Duration::from_millis(80));
        assert_eq!(clock.left(), Duration::ZERO);
    }

    #[test]
    fn computing_should_be_counted_in_whole_ticks() {
        let mut clock = GuestClock::start(2 * TICK, Duration::ZERO);
        assert_eq!(
            [clock.tick(), clock.tick(), clock.tick()],
            [true, true, false]
        );
    }
}
