//! The beat that guests are interrupted at, and a clock for what need not be
//! exact. It beats fast while guests run and hardly at all while none does, so
//! that an idle runner costs nothing. Knows no guest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How often a computing guest is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// So many ticks without a guest, and the beat slows down.
const QUIET_TICKS: u32 = 16;

/// How slow. It bounds how far the clock is behind.
const SLOW_TICK: Duration = Duration::from_millis(50);

/// What guests and the beating thread share.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    /// Ticks since then.
    ticks: AtomicU64,
    /// A guest ran since the last tick.
    busy: AtomicBool,
    /// The thread sleeps a slow tick, and wants to be told when a guest runs.
    slow: AtomicBool,
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
            slow: AtomicBool::new(false),
            thread: OnceLock::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Ticks since the start. Costs nothing to read; up to a slow tick behind.
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
        if self.slow.load(Ordering::SeqCst)
            && self.slow.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Beats until it is told to stop.
    fn run(&self, mut beat: impl FnMut() -> bool) {
        let mut quiet = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            match quiet < QUIET_TICKS {
                true => std::thread::park_timeout(TICK),
                false => {
                    self.slow.store(true, Ordering::SeqCst);
                    // One that began to run before this was said did not see it.
                    if !self.busy.load(Ordering::SeqCst) {
                        std::thread::park_timeout(SLOW_TICK);
                    }
                    self.slow.store(false, Ordering::SeqCst);
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
            if beat.duration_since(last) > SLOW_TICK / 2 {
                break;
            }
            last = beat;
        }
        while felt.try_recv().is_ok() {}
        std::thread::sleep(SLOW_TICK / 10);
        // Within many slow ticks there is one that beats fast.
        let before = Instant::now();
        for _ in 0..10 {
            pulse.guest_runs();
            felt.recv().expect("a beat");
        }
        assert!(before.elapsed() < 10 * SLOW_TICK, "it stays slow");
    }
}
