//! Where a call is computed: it begins on the thread that read it, which serves
//! others too, and when it takes longer than a slice there it goes on in a lane
//! of its own, on a few threads that give way. A plugin whose calls take long
//! begins there, until they are quick again. Knows calls as futures only.

use std::cell::Cell;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::account::Account;

/// How long a guest may compute on a thread that serves others.
pub(crate) const SLICE: Duration = Duration::from_millis(1);

/// How much less of a busy processor the lane gets (`setpriority(2)`): a tenth
/// of what a serving thread gets.
const NICENESS: i32 = 10;

/// What the thread is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing that could be moved.
    Elsewhere,
    /// A call in its first slice.
    FirstSlice,
    /// The same, and it has used it up.
    Outlived,
}

thread_local! {
    static STAGE: Cell<Stage> = const { Cell::new(Stage::Elsewhere) };
}

/// What a guest does that has computed for longer than a slice: makes room for
/// others, here or in the lane.
pub(crate) fn give_way() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match STAGE.get() {
        // A plain yield would stand in line before the sockets and timers are
        // looked at.
        Stage::Elsewhere => Box::pin(tokio::task::yield_now()),
        Stage::FirstSlice | Stage::Outlived => {
            STAGE.set(Stage::Outlived);
            Box::pin(Stop { stopped: false })
        }
    }
}

/// Pending once, without waking anybody: who polls next is the lane.
struct Stop {
    stopped: bool,
}

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.stopped, true) {
            false => Poll::Pending,
            true => Poll::Ready(()),
        }
    }
}

/// The threads of the lane.
pub(crate) struct SlowLane {
    runtime: Option<Runtime>,
}

impl SlowLane {
    /// As many as there are cores: each may be all there is to run on.
    pub(crate) fn start() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("slow-lane")
            .on_thread_start(|| {
                // Without it, it competes with the calls; nothing fails.
                let _ = rustix::process::nice(NICENESS);
            })
            .enable_time()
            .build()?;
        Ok(SlowLane {
            runtime: Some(runtime),
        })
    }

    /// Runs a call of a plugin to its end. Dropped, it takes the call with it.
    pub(crate) async fn run<F>(&self, account: &Account, call: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut call = Box::pin(call);
        if !account.is_slow() {
            let quick = std::future::poll_fn(|context| {
                let (polled, stage) = first_slice(|| call.as_mut().poll(context));
                match (polled, stage) {
                    (Poll::Ready(output), _) => Poll::Ready(Some(output)),
                    (Poll::Pending, Stage::Outlived) => Poll::Ready(None),
                    (Poll::Pending, _) => Poll::Pending,
                }
            });
            if let Some(output) = quick.await {
                return output;
            }
            account.was_slow();
        }
        let (output, computed) = self.go_on(call).await;
        match computed < SLICE {
            true => account.was_quick(),
            false => account.was_slow(),
        }
        output
    }

    /// Runs it in the lane; tells how long it took there.
    async fn go_on<F>(&self, call: Pin<Box<F>>) -> (F::Output, Duration)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let Some(runtime) = &self.runtime else {
            unreachable!("it is there until this is dropped");
        };
        let timed = Timed {
            call,
            computed: Duration::ZERO,
        };
        let mut moved = Moved(runtime.spawn(timed));
        match (&mut moved.0).await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The engine is being dropped, and whoever waits here with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn first_slice<T>(work: impl FnOnce() -> T) -> (T, Stage) {
    /// Also where `work` panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            STAGE.set(Stage::Elsewhere);
        }
    }
    let _leave = Leave;
    STAGE.set(Stage::FirstSlice);
    let done = work();
    (done, STAGE.get())
}

/// A task that ends when nobody waits for it any more.
struct Moved<T>(JoinHandle<T>);

impl<T> Drop for Moved<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Measures how long a call is computed, without its waiting.
struct Timed<F> {
    call: Pin<Box<F>>,
    computed: Duration,
}

impl<F: Future> Future for Timed<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let started = Instant::now();
        let polled = self.call.as_mut().poll(context);
        self.computed += started.elapsed();
        polled.map(|output| (output, self.computed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulse::Pulse;
    use std::sync::Arc;

    fn account() -> Account {
        let limits = crate::limits::GENEROUS;
        Account::new("x".into(), limits, Arc::new(Pulse::new()), 8)
    }

    fn thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// A call that computes for so many slices and names the thread it ends on.
    async fn call(slices: u32) -> String {
        for _ in 0..slices {
            std::thread::sleep(SLICE);
            give_way().await;
        }
        thread()
    }

    #[tokio::test]
    async fn a_call_that_takes_long_should_leave_the_thread_it_began_on() {
        let (lane, account) = (SlowLane::start().expect("threads"), account());
        assert_eq!(lane.run(&account, call(0)).await, thread());
        assert_eq!(lane.run(&account, call(3)).await, "slow-lane");
        assert!(account.is_slow());
        let mut quick = 0;
        while account.is_slow() {
            assert_eq!(lane.run(&account, call(0)).await, "slow-lane");
            quick += 1;
        }
        // More where the machine was busy and a quick one looked slow.
        assert!(quick >= 16, "{quick}");
        assert_eq!(lane.run(&account, call(0)).await, thread());
    }

    #[tokio::test]
    async fn a_panic_in_the_lane_should_be_one_here() {
        let (lane, account) = (SlowLane::start().expect("threads"), account());
        let panics = async {
            give_way().await;
            assert!(thread() == "nobody", "as it must");
        };
        let waits = tokio::spawn(async move { lane.run(&account, panics).await });
        assert!(waits.await.is_err_and(|error| error.is_panic()));
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_should_end() {
        let (lane, account) = (SlowLane::start().expect("threads"), account());
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let endless = async move {
            let _held = held;
            loop {
                give_way().await;
                std::thread::sleep(SLICE);
            }
        };
        let given_up = tokio::time::timeout(5 * SLICE, lane.run(&account, endless)).await;
        assert!(given_up.is_err());
        let ended = async {
            while Arc::strong_count(&alive) > 1 {
                tokio::time::sleep(SLICE).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
        assert!(ended.is_ok(), "it runs on");
    }
}
