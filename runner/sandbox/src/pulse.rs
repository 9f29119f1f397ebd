//! The beat that guests are interrupted at, and a clock for what need not be
//! exact. It beats fast while a guest takes long, slowly while others run, and
//! hardly at all while none does: each beat disturbs whoever has the processor.
//! Knows no guest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// The unit of the clock, and how often a guest that takes long is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// How often other guests are looked at, and so how long one may go unnoticed.
pub(crate) const BEAT: Duration = Duration::from_millis(5);

/// Fast beats after one that found a guest that takes long.
const FAST_BEATS: u32 = 20;

/// So many beats without a guest, and they become rare.
const QUIET_BEATS: u32 = 100;

/// How rare. It bounds how far the clock is behind.
const RARE: Duration = Duration::from_millis(50);

/// What guests and the beating thread share.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    /// Ticks since then.
    ticks: AtomicU64,
    /// A guest ran since the last tick.
    busy: AtomicBool,
    /// A guest was found that takes long.
    alarm: AtomicBool,
    /// Beats are rare, and the thread wants to be told when a guest runs.
    rare: AtomicBool,
    thread: OnceLock<Thread>,
    stopped: AtomicBool,
}

/// So long in ticks.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX)
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Pulse {
            started: Instant::now(),
            ticks: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            alarm: AtomicBool::new(false),
            rare: AtomicBool::new(false),
            thread: OnceLock::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Ticks since the start. Costs nothing to read; up to a rare beat behind.
    pub(crate) fn now(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A guest runs, or is about to.
    pub(crate) fn guest_runs(&self) {
        // Written only when it changes: all threads read it.
        if !self.busy.load(Ordering::Relaxed) {
            self.busy.store(true, Ordering::SeqCst);
        }
        if self.rare.load(Ordering::SeqCst)
            && self.rare.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// A guest takes long.
    pub(crate) fn guest_takes_long(&self) {
        if !self.alarm.load(Ordering::Relaxed) {
            self.alarm.store(true, Ordering::Relaxed);
        }
    }

    /// Beats until it is told to stop.
    fn run(&self, mut beat: impl FnMut() -> bool) {
        let (mut quiet, mut fast) = (0, 0);
        while !self.stopped.load(Ordering::Relaxed) {
            if self.alarm.swap(false, Ordering::Relaxed) {
                fast = FAST_BEATS;
            }
            match (quiet < QUIET_BEATS, fast) {
                (true, 0) => std::thread::park_timeout(BEAT),
                (true, _) => {
                    fast -= 1;
                    std::thread::park_timeout(TICK);
                }
                (false, _) => {
                    self.rare.store(true, Ordering::SeqCst);
                    // One that began to run before this was said did not see it.
                    if !self.busy.load(Ordering::SeqCst) {
                        std::thread::park_timeout(RARE);
                    }
                    self.rare.store(false, Ordering::SeqCst);
                }
            }
            quiet = match self.busy.swap(false, Ordering::SeqCst) {
                true => 0,
                false => quiet + 1,
            };
            self.ticks.store(ticks(self.elapsed()), Ordering::Relaxed);
            if !beat() {
                return;
            }
        }
    }
}

/// The thread that beats, until this is dropped.
pub(crate) struct Beating {
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

impl Beating {
    /// Starts the thread. It calls `beat` at every tick, and ends when that is
    /// false.
    pub(crate) fn start(
        pulse: &Arc<Pulse>,
        beat: impl FnMut() -> bool + Send + 'static,
    ) -> std::io::Result<Self> {
        let beating = Arc::clone(pulse);
        let thread = std::thread::Builder::new()
            .name("pulse".into())
            .spawn(move || beating.run(beat))?;
        // Nobody else sets it.
        let _ = pulse.thread.set(thread.thread().clone());
        Ok(Beating {
            pulse: Arc::clone(pulse),
            thread: Some(thread),
        })
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.pulse.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It ends at once; a panic in it has nothing left to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_should_beat_at_once_when_a_guest_runs_after_a_silence() {
        let pulse = Arc::new(Pulse::new());
        let (beats, felt) = mpsc::channel();
        let _beating = Beating::start(&pulse, move || beats.send(Instant::now()).is_ok());
        // Until it has slowed down.
        let mut last = felt.recv().expect("a beat");
        loop {
            let beat = felt.recv().expect("a beat");
            if beat.duration_since(last) > RARE / 2 {
                break;
            }
            last = beat;
        }
        while felt.try_recv().is_ok() {}
        std::thread::sleep(RARE / 10);
        // Otherwise each beat would be a rare one.
        let before = Instant::now();
        for _ in 0..10 {
            pulse.guest_runs();
            felt.recv().expect("a beat");
        }
        assert!(before.elapsed() < 10 * RARE, "it stays slow");
    }
}
