//! The thread behind one embedded store: gets the file, fills the table from it,
//! then writes to it what changed, once an interval, and when the store closes.
//! No operation waits for it but those that come before the table is filled.
//!
//! Must not know the operations.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::StoreError;
use crate::store_file::{FileError, Lock, Place, StoreFile};
use crate::table::Table;

/// How often a file is tried that another process has, or that fails.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// How long the runner before this one may take to end before that is worth a
/// line in the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often what is over is looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What the thread is told.
pub(crate) enum Message {
    /// The table changed, for the first time since its changes were taken.
    Changed,
    /// To write what is left, let go of the file, and say whether that went
    /// well.
    Close(Answer),
}

/// To whoever waits for the end, if anybody does: whether all is written.
type Answer = Option<oneshot::Sender<bool>>;

/// How far the thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Another process has the file, or it is being read.
    Opening,
    /// The table is filled.
    Open,
    /// The file can neither be read nor made. It is tried again.
    Failing,
    /// It is over.
    Closed,
}

/// See the head of this file.
pub(crate) struct Writer {
    pub(crate) place: Place,
    pub(crate) table: Arc<Table>,
    pub(crate) messages: Receiver<Message>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) flush_interval: Duration,
}

/// What the thread has while it serves.
struct OpenFile {
    lock: Lock,
    /// None after a failure: redb refuses a file that failed once until it is
    /// opened again.
    file: Option<StoreFile>,
    /// One line in the log when writing begins to fail, one when it ends.
    failing: bool,
}

impl Writer {
    pub(crate) fn run(self) {
        let (written, answer) = match self.open() {
            Ok(mut open) => {
                self.progress.send_replace(Progress::Open);
                let answer = self.serve(&mut open);
                // In this order: what changes until here is written.
                self.table.close();
                let written = self.flush(&mut open);
                // Whoever gets the answer may open the file.
                drop(open);
                (written, answer)
            }
            // Nothing changed yet.
            Err(answer) => (true, answer),
        };
        self.table.close();
        // Nobody who still waits waits in vain.
        self.progress.send_replace(Progress::Closed);
        if let Some(answer) = answer {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(written);
        }
    }

    /// Tries until it succeeds or the store is closed.
    fn open(&self) -> Result<OpenFile, Answer> {
        let mut waiting = Waiting::default();
        loop {
            match self.try_open() {
                Ok(open) => {
                    waiting.end(&self.place);
                    return Ok(open);
                }
                Err(error) => {
                    let progress = waiting.note(&self.place, &error);
                    self.progress.send_replace(progress);
                }
            }
            match self.messages.recv_timeout(RETRY_INTERVAL) {
                Ok(Message::Changed) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Close(answer)) => return Err(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(None),
            }
        }
    }

    fn try_open(&self) -> Result<OpenFile, FileError> {
        let lock = self.place.lock()?;
        let file = match self.read(&lock) {
            Err(FileError::Damaged(reason)) => {
                put_aside(&self.place, &lock, &reason)?;
                self.read(&lock)?
            }
            file => file?,
        };
        Ok(OpenFile {
            lock,
            file: Some(file),
            failing: false,
        })
    }

    fn read(&self, lock: &Lock) -> Result<StoreFile, FileError> {
        let file = lock.open()?;
        let mut without_room = 0_u64;
        // An attempt before this one may have ended halfway.
        self.table.clear();
        file.read(|key, value, deadline| {
            if let Err(StoreError::Full { .. }) = self.table.restore(key, value, deadline) {
                without_room += 1;
            }
        })?;
        if without_room > 0 {
            let path = self.place.file();
            tracing::warn!(
                "{without_room} entries of {} are dropped: more than max_bytes allows",
                path.display()
            );
        }
        Ok(file)
    }

    fn serve(&self, open: &mut OpenFile) -> Answer {
        // What was over or had no room is to be removed.
        let mut due = self.table.has_changes().then(Instant::now);
        let mut next_sweep = Instant::now() + SWEEP_INTERVAL;
        loop {
            let until = due.map_or(next_sweep, |due| due.min(next_sweep));
            if let ControlFlow::Break(answer) = self.listen(until, &mut due) {
                return answer;
            }
            let now = Instant::now();
            if next_sweep <= now {
                next_sweep = now + SWEEP_INTERVAL;
                if self.table.sweep() > 0 {
                    due.get_or_insert(now);
                }
            }
            if due.is_some_and(|due| due <= now) {
                let written = self.flush(open);
                due = (!written).then(|| now + self.flush_interval);
            }
        }
    }

    /// Waits for a message.
    fn listen(&self, until: Instant, due: &mut Option<Instant>) -> ControlFlow<Answer> {
        let left = until.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(Message::Changed) => {
                due.get_or_insert(Instant::now() + self.flush_interval);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Close(answer)) => return ControlFlow::Break(answer),
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(None),
        }
        ControlFlow::Continue(())
    }

    /// Writes what changed. Whether that went well; if not, it is still to be
    /// written.
    fn flush(&self, open: &mut OpenFile) -> bool {
        let outcome = self.try_flush(open);
        let path = self.place.file();
        match &outcome {
            Ok(()) if open.failing => tracing::info!("{} is written again", path.display()),
            Err(error) if !open.failing => tracing::error!(
                "{} cannot be written, so a restart will lose what changes from here on; it is \
                 tried again: {error}",
                path.display()
            ),
            _ => {}
        }
        open.failing = outcome.is_err();
        outcome.is_ok()
    }

    fn try_flush(&self, open: &mut OpenFile) -> Result<(), FileError> {
        let file = match open.file.take() {
            Some(file) => file,
            None => self.reopen(&open.lock)?,
        };
        let changes = self.table.take_changes();
        let written = file.write(&changes);
        match written {
            Ok(()) => open.file = Some(file),
            Err(_) => self.table.put_back(changes),
        }
        written
    }

    /// The table knows better than the file what was in it.
    fn reopen(&self, lock: &Lock) -> Result<StoreFile, FileError> {
        match lock.open() {
            Err(FileError::Damaged(reason)) => {
                put_aside(&self.place, lock, &reason)?;
                self.table.change_all();
                lock.open()
            }
            file => file,
        }
    }
}

fn put_aside(place: &Place, lock: &Lock, reason: &str) -> Result<(), FileError> {
    let aside = lock.put_aside()?;
    tracing::error!(
        "{} is damaged and lies aside as {}; the store starts empty: {reason}",
        place.file().display(),
        aside.display()
    );
    Ok(())
}

/// What was said in the log about a file that cannot be opened yet.
struct Waiting {
    since: Instant,
    said: bool,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting {
            since: Instant::now(),
            said: false,
        }
    }
}

impl Waiting {
    fn note(&mut self, place: &Place, error: &FileError) -> Progress {
        let locked = matches!(error, FileError::Locked);
        let long = !locked || self.since.elapsed() >= PATIENCE;
        if long && !self.said {
            self.said = true;
            tracing::error!(
                "{} cannot be opened, so the store cannot be used; it is tried again: {error}",
                place.file().display()
            );
        }
        if locked {
            Progress::Opening
        } else {
            Progress::Failing
        }
    }

    fn end(&self, place: &Place) {
        if self.said {
            tracing::info!("{} is open now", place.file().display());
        }
    }
}
