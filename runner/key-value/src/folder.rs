//! The folder of the files and what is opened in it: for this user only. Must
//! not know what the files hold.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::OpenError;

const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Makes sure that a folder is there and that nobody else may write to it.
pub(crate) fn claim(folder: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let found = match std::fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(folder).map_err(failed)?;
            std::fs::metadata(folder)
        }
        found => found,
    };
    let found = found.map_err(failed)?;
    let objection = objection(found.is_dir(), found.uid(), found.mode());
    objection.map_or(Ok(()), |objection| {
        Err(OpenError::UnsafeFolder {
            folder: folder.to_owned(),
            objection,
        })
    })
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn objection(is_folder: bool, owner: u32, mode: u32) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    if !is_folder {
        return Some("is not a folder".into());
    }
    if owner != user {
        let text = format!("belongs to user {owner} and this process runs as user {user}");
        return Some(text);
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        let mode = mode & 0o7777;
        let text = format!("may be written to by others (mode {mode:04o}); `chmod go-w` it");
        return Some(text);
    }
    None
}

/// Opens a file for reading and writing, which is made for this user only where
/// it is missing. Follows no link.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is no regular file"))
}
