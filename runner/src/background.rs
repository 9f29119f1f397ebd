//! Work that no call waits for on its own thread: compiling, checking
//! configurations, capturing snapshots. It runs on threads that give way to
//! those that serve calls.

use std::io;

use sandbox::ThreadStart;
use tokio::runtime::{Builder, Handle, Runtime};

/// How much less of a busy processor the background gets (`setpriority(2)`): a
/// third of what a serving thread gets. Not nothing, since the first calls of
/// a route wait for it.
pub(crate) const NICENESS: i32 = 5;

/// The runtime of the background. Dropped, it stops; a compiler at work is not
/// waited for.
pub struct Background {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    /// Starts it; its threads do `thread_start` first.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn start(thread_start: ThreadStart) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("background")
            .on_thread_start(move || {
                thread_start.run();
                // Without it, it competes with the calls; nothing fails.
                let _ = rustix::process::nice(NICENESS);
            })
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Background {
            runtime: Some(runtime),
            handle,
        })
    }

    /// Where to spawn.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
