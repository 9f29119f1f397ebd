//! What is left of a run that did not end: a note of how far it came, for
//! inputs that take the whole process with them or never come back.
//!
//! Must not know how inputs are made.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// No batch of inputs takes so long.
const STUCK: Duration = Duration::from_secs(60);

/// A note that is kept while a target is attacked, and a thread that sees to it
/// that it goes on.
pub(crate) struct Watch {
    note: File,
    path: PathBuf,
    stop: Sender<()>,
}

impl Watch {
    /// Says what became of the last run, if that did not end.
    pub(crate) fn start(
        target: &'static str,
        seed: u64,
        reached: Arc<AtomicU64>,
    ) -> std::io::Result<Self> {
        let path = folder()?.join(format!("{target}.running"));
        if let Ok(left) = std::fs::read_to_string(&path) {
            say(&format!("the last run of {target} did not end: {left}"));
        }
        let note = File::create(&path)?;
        let (stop, stopped) = channel::<()>();
        std::thread::spawn(move || {
            loop {
                let before = reached.load(Ordering::Relaxed);
                if stopped.recv_timeout(STUCK) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                if before == reached.load(Ordering::Relaxed) {
                    say(&format!(
                        "{target} does not come back: target/debug/fuzz run {target} \
                         --seed {seed} --from {before}"
                    ));
                    std::process::abort();
                }
            }
        });
        Ok(Watch { note, path, stop })
    }

    /// From here on it is at this input.
    pub(crate) fn note(&self, number: u64) -> std::io::Result<()> {
        let text = format!("--from {number:<20}");
        self.note.write_all_at(text.as_bytes(), 0)
    }

    /// It came to its end.
    pub(crate) fn end(self) -> std::io::Result<()> {
        let _ = self.stop.send(());
        std::fs::remove_file(self.path)
    }
}

/// Writes an input where it can be found again.
pub(crate) fn keep(target: &str, input: &[u8]) -> std::io::Result<PathBuf> {
    let sum = input.iter().fold(0_u64, |sum, byte| {
        fuzz::mutation::mix(sum, u64::from(*byte))
    });
    let path = folder()?.join(format!("{target}-{sum:016x}"));
    std::fs::write(&path, input)?;
    Ok(path)
}

fn folder() -> std::io::Result<PathBuf> {
    let folder = PathBuf::from("target/fuzz");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn say(text: &str) {
    // Whoever does not read it does not mind.
    let _ = writeln!(std::io::stderr(), "{text}");
}
