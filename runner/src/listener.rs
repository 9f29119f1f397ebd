//! The socket file: made so that no moment passes without a working socket at
//! the path, and removed only while it is still ours. Knows nothing of what is
//! said on it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use tokio::net::{UnixListener, UnixSocket};

use crate::socket_owner::Ownership;

/// Connections that may wait to be accepted; the kernel's own limit
/// (`net.core.somaxconn`) cuts it. nginx takes a full queue for a failure.
const BACKLOG: u32 = 4096;

/// A socket that listens at a path.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode: a socket that another runner put at the same path
    /// since then is not ours to remove. `None`: it belongs to another process.
    identity: Option<(u64, u64)>,
}

impl Listener {
    /// Listens at `path`, in the place of whatever socket is there: the
    /// gateway starts the new runner before it stops the old one. The socket
    /// is made under another name and moved there, ready to accept and with its
    /// mode (as for chmod) and owner.
    ///
    /// # Errors
    /// The system's; also where something is at the path that is no socket.
    pub fn bind(path: &Path, mode: u32, ownership: &Ownership) -> io::Result<Self> {
        Draft::bind(path, mode, ownership)?.publish()
    }

    /// A socket that another process made at `path`, and will remove.
    ///
    /// # Errors
    /// The system's, where this is no socket that listens.
    pub fn inherited(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Listener {
            socket: UnixListener::from_std(socket)?,
            path: path.to_owned(),
            identity: None,
        })
    }

    /// The listening socket.
    pub fn socket(&self) -> &UnixListener {
        &self.socket
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A socket that listens and cannot be found yet: whatever is at its path stays
/// until everything else that can fail has gone well.
#[derive(Debug)]
pub struct Draft {
    socket: UnixListener,
    file: DraftFile,
    path: PathBuf,
}

/// Removed, unless it was given its name.
#[derive(Debug)]
struct DraftFile(Option<PathBuf>);

impl Draft {
    /// As [`Listener::bind`], without the last step.
    ///
    /// # Errors
    /// The system's; also where something is at the path that is no socket.
    pub fn bind(path: &Path, mode: u32, ownership: &Ownership) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            let text = "something that is not a socket is in the way";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let draft = draft_of(path);
        let file = DraftFile(Some(draft.clone()));
        let socket = UnixSocket::new_stream()?;
        // A mode that is given at birth cannot be given to another file that
        // was put in its place meanwhile.
        let before = umask(Mode::from_bits_truncate(!mode & 0o777));
        let bound = socket.bind(&draft);
        umask(before);
        bound?;
        // Nobody can connect before `listen`, so nobody slips in before this.
        ownership.apply(&draft)?;
        Ok(Draft {
            socket: socket.listen(BACKLOG)?,
            file,
            path: path.to_owned(),
        })
    }

    /// Puts it in the place of what is at its path.
    ///
    /// # Errors
    /// The system's.
    pub fn publish(mut self) -> io::Result<Listener> {
        let draft = self.file.0.take().unwrap_or_default();
        let identity = identity_of(&draft);
        let published = identity.and_then(|identity| {
            std::fs::rename(&draft, &self.path)?;
            Ok(identity)
        });
        match published {
            Ok(identity) => Ok(Listener {
                socket: self.socket,
                path: self.path,
                identity: Some(identity),
            }),
            Err(error) => {
                self.file.0 = Some(draft);
                Err(error)
            }
        }
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if let Some(draft) = &self.0 {
            // It may not have been made.
            let _ = std::fs::remove_file(draft);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.identity.is_some() && identity_of(&self.path).ok() == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Beside the path, since a file can only be renamed within a file system, and
/// short: a socket's path may have 107 bytes.
fn draft_of(path: &Path) -> PathBuf {
    // Runners in two containers may share the folder and the process number.
    path.with_file_name(format!(".{:08x}", RandomState::new().hash_one(0_u8) as u32))
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("sub/runner.sock");
        (folder, path)
    }

    #[tokio::test]
    async fn the_newer_of_two_should_keep_its_socket() {
        let (_folder, path) = path();
        let old = Listener::bind(&path, 0o660, &Ownership::OURS).expect("first");
        let new = Listener::bind(&path, 0o660, &Ownership::OURS).expect("second, over a live one");
        drop(old);
        std::os::unix::net::UnixStream::connect(&path).expect("still there");
        drop(new);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_should_stay() {
        let (_folder, path) = path();
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        std::fs::write(&path, "mine").expect("file");
        let error = Listener::bind(&path, 0o660, &Ownership::OURS).expect_err("in the way");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(std::fs::read(&path).expect("file"), b"mine");
    }
}
