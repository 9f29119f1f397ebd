//! The threads that serve the calls of a tenant: one for each core, each with a
//! runtime of its own. Each tenant has its own, so that the kernel shares the
//! processor out between tenants, however many calls one of them has. A call is served where its bytes were read, because waking another
//! thread costs as much as the rest of the way. Knows connections as tasks, not
//! what is said on them.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use sandbox::ThreadStart;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// All of them. Dropped, they end, and what they serve with them.
pub struct ServingThreads {
    threads: Vec<ServingThread>,
}

/// How many connections there are, for whoever wants to know.
#[derive(Debug, Clone)]
pub struct ConnectionCount(Arc<[Arc<AtomicUsize>]>);

impl ConnectionCount {
    /// Now.
    #[must_use]
    pub fn get(&self) -> usize {
        let counts = self.0.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

struct ServingThread {
    runtime: Handle,
    /// Connections it has now.
    connections: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ServingThreads {
    /// Starts as many as there are cores to run them; each does `thread_start`
    /// first.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn start(thread_start: &ThreadStart) -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count)
            .map(|number| ServingThread::start(number, thread_start.clone()))
            .collect::<io::Result<_>>()?;
        Ok(ServingThreads { threads })
    }

    /// Counts the connections they serve.
    #[must_use]
    pub fn connections(&self) -> ConnectionCount {
        let threads = self.threads.iter();
        ConnectionCount(
            threads
                .map(|thread| Arc::clone(&thread.connections))
                .collect(),
        )
    }

    /// Serves a connection on the thread that has the fewest.
    pub fn serve<F>(
        &self,
        stream: UnixStream,
        serve: impl FnOnce(tokio::net::UnixStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let idlest = self
            .threads
            .iter()
            .min_by_key(|thread| thread.connections.load(Ordering::Relaxed));
        let Some(thread) = idlest else { return };
        let counted = Counted::one_more(&thread.connections);
        thread.runtime.spawn(async move {
            let _counted = counted;
            // Registered here, so that this thread hears of its bytes.
            match tokio::net::UnixStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::error!("a connection is lost: {error}"),
            }
        });
    }
}

impl ServingThread {
    fn start(number: usize, thread_start: ThreadStart) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("serving-{number}"))
            .spawn(move || {
                thread_start.run();
                // An error is the sender's end, which means the same.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        Ok(ServingThread {
            runtime: handle,
            connections: Arc::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for ServingThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A guest gives its thread back within a tick; a panic has been
            // logged where it happened.
            let _ = thread.join();
        }
    }
}

/// One connection more, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::sync::Mutex;

    #[tokio::test]
    async fn connections_should_be_shared_out_evenly() {
        let threads = ServingThreads::start(&ThreadStart::default()).expect("threads");
        let count = threads.threads.len();
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
        for _ in 0..3 * count {
            let (ours, _theirs) = UnixStream::pair().expect("sockets");
            ours.set_nonblocking(true).expect("nonblocking");
            let (seen, done) = (Arc::clone(&seen), done.clone());
            threads.serve(ours, move |_| async move {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                *seen.lock().expect("not poisoned").entry(name).or_insert(0) += 1;
                drop(done);
                std::future::pending::<()>().await;
            });
        }
        drop(done);
        assert_eq!(all_done.recv().await, None, "nobody sends");
        let seen = seen.lock().expect("not poisoned");
        assert_eq!(seen.len(), count);
        assert!(seen.values().all(|served| *served == 3), "{seen:?}");
    }
}
