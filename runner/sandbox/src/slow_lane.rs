//! Where a call is computed. It begins on the thread that read it, which serves
//! others too; when it takes longer than a slice there it goes on in a lane of
//! its own, on a few threads that give way, and when it takes long there as well,
//! in one that gives way to that. A plugin whose calls take long begins where
//! they ended, until they are quick again. In a lane no plugin computes on more
//! threads at a time than there are, however many calls it has there. Knows
//! calls as futures only.

use std::cell::Cell;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::ThreadStart;
use crate::account::Account;

/// How long a guest may compute on a thread that serves others.
pub(crate) const SLICE: Duration = Duration::from_millis(1);

/// How long a call may compute in all before it goes to the second lane.
const LONG: Duration = Duration::from_millis(10);

/// A lane: its threads' name, how much less of a busy processor they get
/// (`setpriority(2)`: a tenth of what a serving thread gets, a seventh of that),
/// and how long a call may have computed that stays in it.
const LANES: [(&str, i32, Duration); 2] =
    [("slow-lane", 10, LONG), ("slower-lane", 19, Duration::MAX)];

/// What the thread is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing that could be moved.
    Elsewhere,
    /// A call that may compute for so long here.
    Until(Duration),
    /// The same, and it has made room for others in between.
    Yielded(Duration),
    /// It has used up its time.
    Outlived,
}

thread_local! {
    static STAGE: Cell<Stage> = const { Cell::new(Stage::Elsewhere) };
    /// Whether this is a thread of a lane.
    static IN_LANE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread gives way to others, so that what passes on the clock is
/// not what a guest computes.
pub(crate) fn is_lane() -> bool {
    IN_LANE.get()
}

/// What this thread has computed so far: others may have the processor in
/// between.
pub(crate) fn processor_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map(Duration::from).unwrap_or_default()
}

/// What a guest does that has computed for so long, more than a slice: makes
/// room for others, here or in a lane.
pub(crate) fn give_way(computed: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match STAGE.get() {
        Stage::Until(most) | Stage::Yielded(most) if computed >= most => {
            STAGE.set(Stage::Outlived);
            Box::pin(Once { polled: false })
        }
        stage => {
            if let Stage::Until(most) = stage {
                STAGE.set(Stage::Yielded(most));
            }
            // A plain yield would stand in line before the sockets and timers
            // are looked at.
            Box::pin(tokio::task::yield_now())
        }
    }
}

/// Pending once, without waking anybody.
struct Once {
    polled: bool,
}

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.polled, true) {
            false => Poll::Pending,
            true => Poll::Ready(()),
        }
    }
}

/// The threads of the lanes.
pub(crate) struct SlowLane {
    lanes: [Option<Runtime>; LANES.len()],
}

/// What came of a call in a lane.
enum Course<F: Future> {
    /// It is done, having computed there for so long.
    Done(F::Output, Duration),
    /// It does not belong there any more.
    Outlived(Pin<Box<F>>),
}

impl SlowLane {
    /// Starts the threads, in each lane as many as there are cores: each may be
    /// all there is to run on.
    pub(crate) fn start(thread_start: &ThreadStart) -> std::io::Result<Self> {
        let start = |(name, niceness, _): (&'static str, i32, Duration)| {
            let thread_start = thread_start.clone();
            Builder::new_multi_thread()
                .worker_threads(threads())
                .thread_name(name)
                .on_thread_start(move || {
                    thread_start.run();
                    IN_LANE.set(true);
                    // Without it, it competes with the calls; nothing fails.
                    let _ = rustix::process::nice(niceness);
                })
                .enable_time()
                .build()
        };
        let [slow, slower] = LANES;
        Ok(SlowLane {
            lanes: [Some(start(slow)?), Some(start(slower)?)],
        })
    }

    /// Runs a call of a plugin to its end. Dropped, it takes the call with it.
    pub(crate) async fn run<F>(&self, account: &Arc<Account>, call: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut call = Box::pin(call);
        let mut level = account.level();
        if level == 0 {
            let quick = std::future::poll_fn(|context| {
                match watched(account, || staged(SLICE, || call.as_mut().poll(context))) {
                    (Poll::Ready(output), _) => Poll::Ready(Some(output)),
                    (Poll::Pending, Stage::Outlived) => Poll::Ready(None),
                    (Poll::Pending, _) => Poll::Pending,
                }
            });
            if let Some(output) = quick.await {
                return output;
            }
            level = 1;
        }
        loop {
            match self.go_on(level, account, call).await {
                Course::Done(output, computed) => {
                    let fits = match () {
                        () if computed < SLICE => 0,
                        () if computed < LONG => 1,
                        () => 2,
                    };
                    account.note_level(level, fits);
                    return output;
                }
                Course::Outlived(back) => call = back,
            }
            level = LANES.len();
        }
    }

    async fn go_on<F>(&self, level: usize, account: &Arc<Account>, call: Pin<Box<F>>) -> Course<F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let lane = level.clamp(1, LANES.len()) - 1;
        let Some(runtime) = &self.lanes[lane] else {
            unreachable!("they are there until this is dropped");
        };
        let (_, _, most) = LANES[lane];
        let mut moved = Moved(runtime.spawn(compute(Arc::clone(account), call, most)));
        match (&mut moved.0).await {
            Ok(course) => course,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The engine is being dropped, and whoever waits here with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// How many threads a lane has.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        for lane in &mut self.lanes {
            if let Some(runtime) = lane.take() {
                runtime.shutdown_background();
            }
        }
    }
}

/// Computes a call in a lane, when it is its turn among those of its plugin, and
/// again whenever what it waited for is there.
async fn compute<F: Future>(
    account: Arc<Account>,
    mut call: Pin<Box<F>>,
    most: Duration,
) -> Course<F> {
    let mut computed = Duration::ZERO;
    loop {
        let turn = account.turn_in_lane().await;
        let outcome = std::future::poll_fn(|context| {
            let began = processor_time();
            let (polled, stage) = staged(most, || call.as_mut().poll(context));
            computed += processor_time().saturating_sub(began);
            match (polled, stage) {
                (Poll::Ready(output), _) => Poll::Ready((Some(output), stage)),
                (Poll::Pending, stage) => Poll::Ready((None, stage)),
            }
        });
        match outcome.await {
            (Some(output), _) => return Course::Done(output, computed),
            (None, Stage::Outlived) => return Course::Outlived(call),
            // The plugin's next call has its turn, and then other plugins'.
            (None, Stage::Yielded(_)) => {
                drop(turn);
                // A thread that serves may have been waiting for this processor:
                // the kernel would let us finish our share.
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
            // What it waits for wakes this task.
            (None, _) => {
                drop(turn);
                Once { polled: false }.await;
            }
        }
    }
}

/// Finds out whether work on a serving thread takes too long where nothing
/// interrupts it: inside of the host, or when an instance is given back. Only
/// of a plugin that is under suspicion, because a beat came in the middle of a
/// call, is the processor's time asked for; the clock on the wall would tell of
/// others' work, too.
fn watched<T>(account: &Account, work: impl FnOnce() -> T) -> T {
    if !account.is_suspect() {
        let before = account.pulse.now();
        let done = work();
        if account.pulse.now() != before {
            account.suspect();
        }
        return done;
    }
    let before = processor_time();
    let done = work();
    account.acquit(processor_time().saturating_sub(before) < SLICE);
    done
}

fn staged<T>(most: Duration, work: impl FnOnce() -> T) -> (T, Stage) {
    /// Also where `work` panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            STAGE.set(Stage::Elsewhere);
        }
    }
    let _leave = Leave;
    STAGE.set(Stage::Until(most));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn account() -> Arc<Account> {
        crate::account::tests::account(crate::limits::GENEROUS)
    }

    fn thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// Computes for so long, as a guest does, and names the thread it ends on.
    async fn call(time: Duration) -> String {
        let mut computed = Duration::ZERO;
        while computed < time {
            let began = Instant::now();
            while began.elapsed() < SLICE {
                std::hint::spin_loop();
            }
            computed += SLICE;
            give_way(computed).await;
        }
        thread()
    }

    #[tokio::test]
    async fn a_call_that_takes_long_should_leave_the_thread_it_began_on() {
        let (lane, account) = (
            SlowLane::start(&ThreadStart::default()).expect("threads"),
            account(),
        );
        assert_eq!(lane.run(&account, call(Duration::ZERO)).await, thread());
        assert_eq!(lane.run(&account, call(3 * SLICE)).await, "slow-lane");
        assert_eq!(account.level(), 1);
        assert_eq!(lane.run(&account, call(2 * LONG)).await, "slower-lane");
        assert_eq!(account.level(), 2);
        for (level, name) in [(2, "slower-lane"), (1, "slow-lane")] {
            let mut quick = 0;
            while account.level() == level {
                assert_eq!(lane.run(&account, call(Duration::ZERO)).await, name);
                quick += 1;
            }
            assert!(quick >= 16, "{quick}");
        }
        assert_eq!(lane.run(&account, call(Duration::ZERO)).await, thread());
    }

    #[test]
    fn one_that_nothing_interrupts_should_be_found_out() {
        let account = account();
        let _beating = crate::pulse::Beating::start(&account.pulse, || true);
        for _ in 0..100 {
            account.pulse.guest_runs();
            watched(&account, || {
                let began = Instant::now();
                while began.elapsed() < 8 * SLICE {
                    std::hint::spin_loop();
                }
            });
            if account.level() > 0 {
                return;
            }
        }
        panic!("it is still served with others");
    }

    #[tokio::test]
    async fn calls_of_one_plugin_should_take_turns_and_leave_room_for_others() {
        let lane = Arc::new(SlowLane::start(&ThreadStart::default()).expect("threads"));
        let (greedy, modest) = (account(), account());
        let hundred: Vec<_> = (0..100)
            .map(|_| {
                let (lane, greedy) = (Arc::clone(&lane), Arc::clone(&greedy));
                tokio::spawn(async move { lane.run(&greedy, call(9 * SLICE)).await })
            })
            .collect();
        tokio::time::sleep(5 * SLICE).await;
        lane.run(&modest, call(5 * SLICE)).await;
        let done = hundred.iter().filter(|task| task.is_finished()).count();
        assert!(done < 50, "{done} of 100 came before it");
        for task in hundred {
            task.await.expect("done");
        }
    }

    #[tokio::test]
    async fn a_panic_in_the_lane_should_be_one_here() {
        let (lane, account) = (
            SlowLane::start(&ThreadStart::default()).expect("threads"),
            account(),
        );
        let panics = async {
            give_way(SLICE).await;
            assert!(thread() == "nobody", "as it must");
        };
        let waits = tokio::spawn(async move { lane.run(&account, panics).await });
        assert!(waits.await.is_err_and(|error| error.is_panic()));
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_should_end() {
        let (lane, account) = (
            SlowLane::start(&ThreadStart::default()).expect("threads"),
            account(),
        );
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let endless = async move {
            let _held = held;
            loop {
                call(SLICE).await;
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
