//! A folder that only this user may write to, and its files. Nothing is read
//! that somebody else could have written, nothing is visible before it is
//! whole.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use tempfile::NamedTempFile;

use super::CacheError;

/// What a draft is called until it is whole.
pub(super) const DRAFT_PREFIX: &str = "draft-";

const WRITABLE_BY_OTHERS: u32 = 0o022;
const OPEN_TO_OTHERS: u32 = 0o077;

/// The folder of the cache.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Why there is nothing to read.
pub(super) enum ReadError {
    /// No such file.
    Absent,
    /// It has more bytes than were asked for.
    TooLarge,
    /// It is there, and nothing that we would have written.
    Untrusted(String),
}

/// A file of ours, in memory.
pub(super) struct OwnFile {
    pub(super) handle: File,
    pub(super) bytes: Vec<u8>,
}

impl Folder {
    /// Makes sure that it is there and that nobody else may write to it. The
    /// permissions of a folder that is there already stay: an operator may have
    /// named one that others have to read, and each file is private by itself.
    pub(super) fn claim(path: &Path) -> Result<Self, CacheError> {
        let unusable = |source| CacheError::Unusable {
            folder: path.to_owned(),
            source,
        };
        make(path).map_err(unusable)?;
        let found = std::fs::symlink_metadata(path).map_err(unusable)?;
        let (folder, user) = (path.to_owned(), geteuid().as_raw());
        if !found.is_dir() {
            return Err(CacheError::NotAFolder(folder));
        }
        if found.uid() != user {
            let owner = found.uid();
            return Err(CacheError::ForeignOwner {
                folder,
                owner,
                user,
            });
        }
        if found.mode() & WRITABLE_BY_OTHERS != 0 {
            let mode = found.mode() & 0o7777;
            return Err(CacheError::WritableByOthers { folder, mode });
        }
        Ok(Folder(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A file that only we can have written, of at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<OwnFile, ReadError> {
        self.read_without(WRITABLE_BY_OTHERS, name, limit)
    }

    /// One that nobody else can have read either.
    pub(super) fn read_private(&self, name: &str, limit: u64) -> Result<OwnFile, ReadError> {
        self.read_without(OPEN_TO_OTHERS, name, limit)
    }

    fn read_without(&self, forbidden: u32, name: &str, limit: u64) -> Result<OwnFile, ReadError> {
        let untrusted = |error: io::Error| ReadError::Untrusted(error.to_string());
        let mut handle = match open(&self.0.join(name)) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Absent),
            Err(error) => return Err(untrusted(error)),
        };
        let metadata = handle.metadata().map_err(untrusted)?;
        if let Some(objection) = objection(&metadata, forbidden) {
            return Err(ReadError::Untrusted(objection));
        }
        if metadata.len() > limit {
            return Err(ReadError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        let read = (&mut handle).take(limit).read_to_end(&mut bytes);
        read.map_err(untrusted)?;
        Ok(OwnFile { handle, bytes })
    }

    /// Puts a file in place of whatever has that name.
    pub(super) fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let draft = self.draft(parts)?;
        draft.persist(self.0.join(name))?;
        Ok(())
    }

    /// Puts a file where there is none; another one that was faster stays.
    pub(super) fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match self.draft(&[bytes])?.persist_noclobber(self.0.join(name)) {
            Err(lost) if lost.error.kind() != io::ErrorKind::AlreadyExists => Err(lost.error),
            _ => Ok(()),
        }
    }

    /// A file for its owner only, whole and on the disk, under a name of its
    /// own.
    fn draft(&self, parts: &[&[u8]]) -> io::Result<NamedTempFile> {
        let mut draft = tempfile::Builder::new()
            .prefix(DRAFT_PREFIX)
            .tempfile_in(&self.0)?;
        for part in parts {
            draft.write_all(part)?;
        }
        draft.as_file().sync_all()?;
        Ok(draft)
    }
}

/// Its parent is made too, as `~/.cache` may be missing, but not what is above:
/// a home that does not exist was not meant to.
pub(super) fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        make_one(parent, 0o755)?;
    }
    make_one(path, 0o700)
}

fn make_one(folder: &Path, mode: u32) -> io::Result<()> {
    // Asked first, because on a read-only disk the answer to making it would
    // not be that it is there. The parent of a relative path may be empty.
    if folder == Path::new("") || std::fs::symlink_metadata(folder).is_ok() {
        return Ok(());
    }
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Follows no link, and does not wait for whoever would write to a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
}

/// What speaks against a file, of the file that was opened and not of whatever
/// has its name now.
fn objection(metadata: &Metadata, forbidden: u32) -> Option<String> {
    let (user, mode) = (geteuid().as_raw(), metadata.mode() & 0o7777);
    if !metadata.is_file() {
        return Some("it is no regular file".into());
    }
    if metadata.uid() != user {
        return Some(format!("it belongs to user {}", metadata.uid()));
    }
    if mode & forbidden != 0 {
        return Some(format!("others may use it (mode {mode:04o})"));
    }
    None
}
