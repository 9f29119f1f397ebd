//! What the kernel tells of changes in a folder (`inotify(7)`): that there was
//! one, so that somebody looks. It tells nothing on network file systems and
//! nothing of what links lead to, so others look now and then all the same.
//!
//! Must not know what is in the folder.

use std::io;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;

/// Events of one folder.
pub struct FolderEvents {
    /// No pipe, but read like one: tokio has no other type for a descriptor that
    /// is made without `unsafe`.
    descriptor: Receiver,
    /// The kernel's number for the folder that had the path at the last look.
    watched: Option<i32>,
}

impl FolderEvents {
    /// Of no folder yet.
    ///
    /// # Errors
    /// The system's: a user may have so many of these only.
    pub fn start() -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(FolderEvents {
            descriptor: Receiver::from_owned_fd_unchecked(descriptor)?,
            watched: None,
        })
    }

    /// Listens to the folder that has this path now. Costs nothing where it is
    /// the one it was before.
    ///
    /// # Errors
    /// The system's.
    pub fn follow(&mut self, folder: &Path) -> io::Result<()> {
        // Not that something was read: we do that ourselves.
        let what = WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MODIFY
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let watched = inotify::add_watch(&self.descriptor, folder, what)?;
        if let Some(before) = self.watched.replace(watched)
            && before != watched
        {
            // Gone already, where the folder is.
            let _ = inotify::remove_watch(&self.descriptor, before);
        }
        Ok(())
    }

    /// Waits until something changed, and forgets that it did.
    pub async fn changed(&self) {
        let mut events = [0; 4096];
        if self.descriptor.readable().await.is_err() {
            // The runtime ends.
            return std::future::pending().await;
        }
        while self
            .descriptor
            .try_read(&mut events)
            .is_ok_and(|read| read > 0)
        {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn tells(events: &FolderEvents) -> bool {
        let soon = Duration::from_millis(200);
        tokio::time::timeout(soon, events.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_change_should_be_told_of_once_and_a_look_never() {
        let place = tempfile::tempdir().expect("temporary folder");
        let [folder, away] = ["modules", "away"].map(|name| place.path().join(name));
        let file = folder.join("a.wasm");
        std::fs::create_dir(&folder).expect("folder");
        let mut events = FolderEvents::start().expect("descriptor");
        events.follow(&folder).expect("followed");
        assert!(!tells(&events).await);
        std::fs::write(&file, "1").expect("file");
        assert!(tells(&events).await);
        std::fs::read(&file).expect("file");
        assert_eq!(std::fs::read_dir(&folder).expect("folder").count(), 1);
        assert!(!tells(&events).await, "it was only looked at");
        // Another folder at the same path.
        std::fs::rename(&folder, &away).expect("renamed");
        assert!(tells(&events).await);
        assert!(events.follow(&folder).is_err());
        std::fs::create_dir(&folder).expect("folder");
        events.follow(&folder).expect("followed");
        while tells(&events).await {}
        std::fs::write(away.join("a.wasm"), "2").expect("file");
        assert!(!tells(&events).await, "nobody looks there any more");
        std::fs::write(&file, "3").expect("file");
        assert!(tells(&events).await);
    }
}
