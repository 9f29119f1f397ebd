//! Keeps the folder below its size: what was used longest ago goes first.
//!
//! Touches only files with names of the cache's own making.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::folder::DRAFT_PREFIX;
use super::key;

/// A draft is written within seconds; one that is older was left by a runner
/// that was killed.
const DRAFT_LIFETIME: Duration = Duration::from_secs(3600);

/// What is looked at in one go. More can only lie there if somebody else put
/// it there.
const MAX_FILES: usize = 100_000;

struct Entry {
    path: PathBuf,
    bytes: u64,
    last_used: SystemTime,
}

/// Removes drafts that nobody will finish, and entries until the rest has at
/// most so many bytes; never the one that is called `newest`. Another runner
/// may be doing the same, so a file that is gone is no failure.
pub(super) fn make_room(folder: &Path, max_bytes: u64, newest: &str) {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!("{} cannot be listed: {error}", folder.display());
            return;
        }
    };
    let mut entries = Vec::new();
    let mut total = 0;
    for file in files.take(MAX_FILES).flatten() {
        let Some(name) = file.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if name.starts_with(DRAFT_PREFIX) {
            remove_abandoned(&file);
        } else if key::names_an_entry(&name)
            && let Some(entry) = Entry::of(&file)
        {
            total += entry.bytes;
            if name != newest {
                entries.push(entry);
            }
        }
    }
    entries.sort_by_key(|entry| entry.last_used);
    for entry in entries {
        if total <= max_bytes {
            return;
        }
        total -= entry.bytes;
        let removed = std::fs::remove_file(&entry.path);
        tracing::debug!("dropped {} ({removed:?})", entry.path.display());
    }
}

impl Entry {
    fn of(file: &DirEntry) -> Option<Self> {
        // Of the file itself: a link is not followed.
        let metadata = file.metadata().ok()?;
        Some(Entry {
            path: file.path(),
            bytes: metadata.len(),
            last_used: metadata.modified().ok()?,
        })
    }
}

fn remove_abandoned(draft: &DirEntry) {
    let written = draft.metadata().and_then(|metadata| metadata.modified());
    let age = written.ok().and_then(|written| written.elapsed().ok());
    if age.is_some_and(|age| age > DRAFT_LIFETIME) {
        let _ = std::fs::remove_file(draft.path());
    }
}
