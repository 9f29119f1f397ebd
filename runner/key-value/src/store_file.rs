//! The file behind a table: one tenant's entries as they were when they were
//! last written, in redb. Only one process has it at a time; the lock is a file
//! of its own, so that it holds while a damaged file is put aside.
//!
//! What redb promises, and this relies on: a commit with
//! `Durability::Immediate`, its default, is on the disk when `commit` returns,
//! and a crash in the middle of one leaves the commit before it
//! (`redb::Durability`, and docs/design.md in its sources). Two phases are asked
//! for, because guests choose what is written. Every page is checked against its
//! checksum when a file is opened. redb may panic on a damaged file all the
//! same, at the latest where debug assertions are on, so panics are caught here.
//!
//! Must not know the thread that calls, or when.

use std::fs::{File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError};
use redb::{TableDefinition, TableError};

use crate::folder;
use crate::shard::Change;
use crate::table::Changes;

/// Key to deadline, in eight bytes with the lowest first, and value. Another
/// layout gets another name.
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries-1");

/// Everything is in memory already, so redb need not keep it there again.
const CACHE_BYTES: usize = 1 << 20;

/// How many damaged files are kept for whoever wants to look at them; then the
/// last one is replaced.
const MAX_DAMAGED: u32 = 9;

/// Where the files of a tenant lie.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    tenant: String,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Another process has it.
    #[error("another process has it")]
    Locked,
    /// What is in it is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The system says no.
    #[error("{0}")]
    Failed(String),
}

/// The right to the files of a tenant, until it is dropped.
pub(crate) struct Lock {
    place: Place,
    _locked: File,
}

/// An open file.
pub(crate) struct StoreFile {
    database: Database,
}

impl Place {
    pub(crate) fn new(folder: &Path, tenant: &str) -> Self {
        Place {
            folder: folder.to_owned(),
            tenant: tenant.to_owned(),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.named("kv")
    }

    fn named(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.tenant))
    }

    /// # Errors
    /// [`FileError::Locked`] where another process, or another store of this
    /// one, has the file.
    pub(crate) fn lock(&self) -> Result<Lock, FileError> {
        let path = self.named("lock");
        let failed = |error: io::Error| FileError::Failed(format!("{}: {error}", path.display()));
        let file = folder::open_file(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock {
                place: self.clone(),
                _locked: file,
            }),
            Err(TryLockError::WouldBlock) => Err(FileError::Locked),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Lock {
    /// Opens the file, an empty one where there is none.
    pub(crate) fn open(&self) -> Result<StoreFile, FileError> {
        let file = folder::open_file(&self.place.file())?;
        let database = without_panic(|| {
            let backend = FileBackend::new(file)?;
            let opened = redb::Builder::new()
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true)
                .create_with_backend(backend);
            Ok(opened?)
        })?;
        Ok(StoreFile { database })
    }

    /// Gives a damaged file another name. Which.
    pub(crate) fn put_aside(&self) -> io::Result<PathBuf> {
        let names = (1..=MAX_DAMAGED).map(|n| self.place.named(&format!("kv.damaged-{n}")));
        let mut chosen = PathBuf::new();
        for name in names {
            chosen = name;
            if std::fs::symlink_metadata(&chosen).is_err() {
                break;
            }
        }
        std::fs::rename(self.place.file(), &chosen)?;
        Ok(chosen)
    }
}

impl StoreFile {
    /// Shows each entry: key, value, deadline.
    pub(crate) fn read(&self, mut entry: impl FnMut(&str, Vec<u8>, u64)) -> Result<(), FileError> {
        without_panic(|| {
            let reading = self.database.begin_read().map_err(redb::Error::from)?;
            let table = match reading.open_table(ENTRIES) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(()),
                table => table.map_err(redb::Error::from)?,
            };
            for pair in table.iter()? {
                let (key, value) = pair?;
                let (key, value) = (str::from_utf8(key.value()), value.value());
                let (Ok(key), Some((deadline, value))) = (key, value.split_first_chunk()) else {
                    return Err(FileError::Damaged("an entry in it is none of ours".into()));
                };
                entry(key, value.to_vec(), u64::from_le_bytes(*deadline));
            }
            Ok(())
        })
    }

    /// Writes all changes or none. They are on the disk when this returns.
    pub(crate) fn write(&self, Changes { changes, anew }: &Changes) -> Result<(), FileError> {
        without_panic(|| {
            let mut writing = self.database.begin_write().map_err(redb::Error::from)?;
            writing.set_two_phase_commit(true);
            if *anew {
                writing.delete_table(ENTRIES).map_err(redb::Error::from)?;
            }
            let mut table = writing.open_table(ENTRIES).map_err(redb::Error::from)?;
            let mut bytes = Vec::new();
            for Change { key, value } in changes {
                let key = key.as_bytes();
                if let Some((value, deadline)) = value {
                    bytes.clear();
                    bytes.extend(deadline.to_le_bytes());
                    bytes.extend(value.to_bytes());
                    table.insert(key, bytes.as_slice())?;
                } else {
                    table.remove(key)?;
                }
            }
            drop(table);
            Ok(writing.commit().map_err(redb::Error::from)?)
        })
    }
}

/// A panic of redb is the file's fault.
fn without_panic<T>(work: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    // What the work touched is dropped with the error, or is the table, whose
    // entries are whole at any time.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let reason = "what it says about itself contradicts itself";
        Err(FileError::Damaged(reason.into()))
    })
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What redb says of a file that is none of its own, and the system
            // of one that ends early.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                FileError::Damaged(error.to_string())
            }
            _ => FileError::Failed(error.to_string()),
        }
    }
}

impl From<redb::Error> for FileError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::DatabaseAlreadyOpen => FileError::Locked,
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. } => FileError::Damaged(error.to_string()),
            other => FileError::Failed(other.to_string()),
        }
    }
}

impl From<DatabaseError> for FileError {
    fn from(error: DatabaseError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<StorageError> for FileError {
    fn from(error: StorageError) -> Self {
        redb::Error::from(error).into()
    }
}
