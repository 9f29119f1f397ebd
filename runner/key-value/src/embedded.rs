//! A table with a file behind it, from the side of those who ask: an operation
//! is one on the table, as soon as the table is filled.
//!
//! What a crash loses: what changed within the last `flush_interval` and while
//! the last write went on. What is in the file is whole at any time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::store_file::Place;
use crate::table::Table;
use crate::writer::{Message, Progress, Writer};
use crate::{EmbeddedSettings, Limits, OpenError, StoreError, folder};

/// How many operations may wait for a store that is not open yet.
const MAX_WAITING: usize = 1024;

const NOT_OPEN: StoreError = StoreError::Unavailable("the store is not open yet");
const FAILING: StoreError = StoreError::Unavailable("the store cannot be opened");
const NOT_WRITTEN: StoreError = StoreError::Unavailable("the store could not be written");

/// See the head of this file.
pub(crate) struct Embedded {
    table: Arc<Table>,
    messages: Sender<Message>,
    progress: watch::Receiver<Progress>,
    /// Read by every operation, without the lock of `progress`.
    is_open: OnceLock<()>,
    closing: AtomicBool,
    waiting: Arc<Semaphore>,
    open_wait: Duration,
    runtime: Handle,
}

impl Embedded {
    pub(crate) fn open(
        settings: &EmbeddedSettings,
        limits: Limits,
        tenant: &str,
        runtime: &Handle,
    ) -> Result<Self, OpenError> {
        folder::claim(&settings.folder)?;
        let (messages, received) = channel();
        let to_writer = messages.clone();
        // A writer that is gone needs to hear nothing.
        let on_first_change = move || drop(to_writer.send(Message::Changed));
        let table = Table::new(limits.max_bytes, Some(Box::new(on_first_change)));
        let table = Arc::new(table);
        let (progress, seen) = watch::channel(Progress::Opening);
        let writer = Writer {
            place: Place::new(&settings.folder, tenant),
            table: table.clone(),
            messages: received,
            progress,
            flush_interval: settings.flush_interval,
        };
        let thread_start = Arc::clone(&settings.thread_start);
        let write = move || {
            thread_start();
            writer.run();
        };
        std::thread::Builder::new()
            .name(format!("kv {tenant}"))
            .spawn(write)
            .map_err(|source| OpenError::Thread {
                tenant: tenant.to_owned(),
                source,
            })?;
        Ok(Embedded {
            table,
            messages,
            progress: seen,
            is_open: OnceLock::new(),
            closing: AtomicBool::new(false),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            open_wait: settings.open_wait,
            runtime: runtime.clone(),
        })
    }

    /// The table, as soon as it is filled.
    pub(crate) async fn table(&self) -> Result<&Table, StoreError> {
        if self.is_open.get().is_none() {
            self.wait().await?;
            let _ = self.is_open.set(());
        }
        Ok(&self.table)
    }

    /// Where it is filled.
    pub(crate) fn filled_table(&self) -> Option<&Table> {
        let filled = *self.progress.borrow() == Progress::Open;
        filled.then_some(&*self.table)
    }

    async fn wait(&self) -> Result<(), StoreError> {
        let place = self.waiting.clone().try_acquire_owned();
        let Ok(place) = place else {
            return Err(StoreError::Busy);
        };
        let (mut progress, limit) = (self.progress.clone(), self.open_wait);
        // The runtime of whoever asks may have no clock.
        let waited = self.runtime.spawn(async move {
            let _place = place;
            let known = progress.wait_for(|progress| *progress != Progress::Opening);
            let known = tokio::time::timeout(limit, known).await;
            known.map_or(Progress::Opening, |known| {
                known.map_or(Progress::Closed, |known| *known)
            })
        });
        match waited.await {
            // A closed table says so itself.
            Ok(Progress::Open | Progress::Closed) => Ok(()),
            Ok(Progress::Failing) => Err(FAILING),
            Ok(Progress::Opening) | Err(_) => Err(NOT_OPEN),
        }
    }

    /// Writes what is left and lets go of the file.
    pub(crate) async fn close(&self, limit: Duration) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.closing.store(true, Ordering::Relaxed);
        if self.messages.send(Message::Close(Some(answer))).is_err() {
            // The writer is gone, so the store was closed before.
            return Ok(());
        }
        let waited = self.runtime.spawn(tokio::time::timeout(limit, answered));
        match waited.await {
            Ok(Ok(Ok(true))) => Ok(()),
            // Closed by another call, which has the answer.
            Ok(Ok(Err(_))) => Ok(()),
            _ => Err(NOT_WRITTEN),
        }
    }
}

/// The writer goes on by itself until all is written; nobody waits here, since
/// this may be a thread that serves.
impl Drop for Embedded {
    fn drop(&mut self) {
        if !self.closing.load(Ordering::Relaxed) {
            let _ = self.messages.send(Message::Close(None));
        }
    }
}
