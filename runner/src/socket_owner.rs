//! Who may connect to the socket. The gateway's master usually runs as root
//! and starts the runner as root, while the workers that connect run as
//! another user; so by default the socket is given to the workers' user.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{Gid, Group, Uid, User, fchownat};

/// Whom the operator wants the socket to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The user of the gateway's workers, where it can be found; else nobody
    /// else.
    Auto,
    /// This user.
    User(Uid),
}

/// Who may connect in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// Its user, unless it stays ours.
    pub user: Option<Uid>,
    /// Its group, unless it stays ours.
    pub group: Option<Gid>,
    /// Whether a root runner looked for the workers and did not find them.
    pub workers_unknown: bool,
}

/// Finds a user by name or number.
///
/// # Errors
/// A sentence, where there is no such user.
pub fn user(name: &str) -> Result<Uid, String> {
    match (User::from_name(name), name.parse()) {
        (Ok(Some(user)), _) => Ok(user.uid),
        (_, Ok(number)) => Ok(Uid::from_raw(number)),
        _ => Err(format!(
            "there is no user {name:?}; give a name, a number or auto"
        )),
    }
}

/// Finds a group by name or number.
///
/// # Errors
/// A sentence, where there is no such group.
pub fn group(name: &str) -> Result<Gid, String> {
    match (Group::from_name(name), name.parse()) {
        (Ok(Some(group)), _) => Ok(group.gid),
        (_, Ok(number)) => Ok(Gid::from_raw(number)),
        _ => Err(format!(
            "there is no group {name:?}; give a name or a number"
        )),
    }
}

impl Ownership {
    /// Our user and group, as for any file we make.
    pub const OURS: Ownership = Ownership {
        user: None,
        group: None,
        workers_unknown: false,
    };

    /// Settles what the operator's wish comes to; `workers` is asked for the user
    /// of the gateway's workers where that is wanted.
    #[must_use]
    pub fn settle(
        owner: &Owner,
        group: Option<Gid>,
        workers: impl FnOnce() -> Option<Uid>,
    ) -> Self {
        let (user, workers_unknown) = match owner {
            Owner::User(user) => (Some(*user), false),
            // Only root may give files away.
            Owner::Auto if !Uid::effective().is_root() => (None, false),
            Owner::Auto => {
                let workers = workers();
                (workers, workers.is_none() && group.is_none())
            }
        };
        Ownership {
            user,
            group,
            workers_unknown,
        }
    }

    /// Gives the file away.
    ///
    /// # Errors
    /// The system's.
    pub fn apply(&self, path: &Path) -> io::Result<()> {
        if self.user.is_some() || self.group.is_some() {
            // Never through a link: whoever may write to the folder could have
            // put one there.
            let no_follow = AtFlags::AT_SYMLINK_NOFOLLOW;
            fchownat(AT_FDCWD, path, self.user, self.group, no_follow)?;
        }
        Ok(())
    }
}

/// "who may connect", for the line at start.
impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.unwrap_or_else(Uid::effective);
        let group = self.group.unwrap_or_else(Gid::effective);
        let user = User::from_uid(user)
            .ok()
            .flatten()
            .map_or(user.to_string(), |user| user.name);
        let group = Group::from_gid(group)
            .ok()
            .flatten()
            .map_or(group.to_string(), |group| group.name);
        write!(f, "user {user}, group {group}")
    }
}

/// The user of the gateway's workers, where they can be found among the
/// neighbours of this process. Looks at every process.
#[must_use]
pub fn workers() -> Option<Uid> {
    Process::own().and_then(|own| worker_user(&own))
}

/// A process as /proc tells of it.
struct Process {
    id: u32,
    parent: u32,
    user: u32,
}

/// What nginx calls a worker (`ngx_worker_process_cycle`).
const WORKER_TITLE: &[u8] = b"nginx: worker process";

impl Process {
    fn own() -> Option<Self> {
        Self::read(std::process::id())
    }

    /// `None` also where /proc is not what it is on Linux.
    fn read(id: u32) -> Option<Self> {
        // What is asked for stands at its beginning, and one reading is a tenth
        // of what reading to the end takes: a start looks at every process.
        let mut buffer = [0; 2048];
        let length = File::open(format!("/proc/{id}/status"))
            .and_then(|mut file| file.read(&mut buffer))
            .ok()?;
        let status = String::from_utf8_lossy(&buffer[..length]);
        let field = |key: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
                .map(str::trim)
        };
        // Uid: real, effective, saved, file system.
        let user = field("Uid")?.split_whitespace().nth(1)?.parse().ok()?;
        let parent = field("PPid")?.parse().ok()?;
        Some(Process { id, parent, user })
    }

    fn is_worker(&self) -> bool {
        let title = std::fs::read(format!("/proc/{}/cmdline", self.id));
        title.is_ok_and(|title| title.starts_with(WORKER_TITLE))
    }

    fn all() -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter_map(Self::read).collect()
    }
}

/// The user of the workers beside us: children of our parent or of its parent
/// (the gateway starts the runner from its privileged agent, itself a child of
/// the master), by the title nginx gives them, and not root. `None` where there
/// are none or they differ.
fn worker_user(own: &Process) -> Option<Uid> {
    let all = Process::all();
    let parent = all.iter().find(|process| process.id == own.parent)?;
    for ancestor in [parent.id, parent.parent] {
        let workers = all.iter().filter(|process| process.parent == ancestor);
        let mut users: Vec<u32> = workers
            .filter(|process| process.user != 0 && process.is_worker())
            .map(|process| process.user)
            .collect();
        users.dedup();
        if let [user] = users[..] {
            return Some(Uid::from_raw(user));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_should_be_found_by_name_and_number() {
        assert_eq!(user("root"), Ok(Uid::from_raw(0)));
        assert_eq!(user("12345"), Ok(Uid::from_raw(12345)));
        assert!(user("no such user").is_err());
        assert_eq!(group("0"), Ok(Gid::from_raw(0)));
        assert!(group("no such group").is_err());
    }

    #[test]
    fn this_process_should_be_found() {
        let own = Process::own().expect("/proc");
        assert_eq!(own.id, std::process::id());
        assert_eq!(own.user, Uid::effective().as_raw());
        assert!(Process::all().iter().any(|process| process.id == own.id));
    }
}
