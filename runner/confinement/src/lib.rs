//! The second wall. A guest that broke out of its sandbox has the rights of
//! this process; so the process gives up, once it has started, what it does not
//! need: files outside of a few folders and connections to anywhere (landlock),
//! the system calls that it never makes (seccomp), what root may do beyond others
//! (capabilities), programs that would give it more rights (`no_new_privs`). All of this binds every thread and cannot be
//! taken back.
//!
//! Nothing here fails: where the kernel lacks something, the [`Report`] says
//! what, and why.
//!
//! Must not know the sandbox, the gateway, or where its settings come from.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod landlock_rules;
#[cfg(target_os = "linux")]
mod privileges;
mod report;
#[cfg(target_os = "linux")]
mod surroundings;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod system_calls;

use std::path::PathBuf;

pub use report::{Enforced, Missing, Part, Report};

/// What the process keeps; the rest goes. The default keeps nothing beyond what
/// any process of this program needs (`surroundings.rs`).
///
/// A path stands for the file or folder that has it when the wall is raised: a
/// file that is replaced by renaming another one over it is another file. Name
/// the folder of whatever is replaced, and the target of a link that leads out
/// of a folder.
#[derive(Debug, Clone, Default)]
pub struct Wall {
    /// Files and folders, with all below them, to be read. What is missing is
    /// left out, with a remark.
    pub read_only: Vec<PathBuf>,
    /// Folders in which files and folders are made, written, renamed and
    /// removed. One that is missing is made for this user only; its parent is
    /// not.
    pub read_write: Vec<PathBuf>,
    /// Folders in which sockets are made, renamed and removed, and nothing else
    /// is. One that is missing is made, its parents too.
    pub sockets: Vec<PathBuf>,
    /// TCP connections to others.
    pub connect: Tcp,
    /// TCP ports to listen on.
    pub listen: Tcp,
    /// Whether host names are looked up: with a question by UDP to whatever
    /// `/etc/resolv.conf` names. Landlock knows nothing of UDP before ABI 10, so
    /// there this opens UDP to everywhere.
    pub host_names: bool,
    /// Whether this process connects to unix sockets that others listen on.
    pub unix_connect: bool,
    /// Whether it may still give files to other users (`fchownat(2)`).
    pub give_files_away: bool,
    /// Whether it reads of other processes what everybody may
    /// (`/proc/PID/status`).
    pub other_processes: bool,
}

/// Which TCP ports. Names and addresses are not looked at: the kernel has no
/// rule for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tcp {
    /// None.
    #[default]
    Closed,
    /// These. For listening, 0 stands for whichever the kernel picks.
    Ports(Vec<u16>),
    /// All.
    Any,
}

impl Tcp {
    /// Whether there are none.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Tcp::Closed => true,
            Tcp::Ports(ports) => ports.is_empty(),
            Tcp::Any => false,
        }
    }
}

impl Wall {
    /// The first half: `no_new_privs`, capabilities and landlock. They bind (the
    /// last before ABI 8, Linux 7.0) the calling thread and those that it starts from now on,
    /// so this comes as soon as all paths are known and before there is a second
    /// thread; the report names those that escaped it. What is open already
    /// stays open.
    pub fn raise_early(&self) -> Report {
        #[cfg(target_os = "linux")]
        return privileges::give_up(self).and(landlock_rules::raise(self));
        #[cfg(not(target_os = "linux"))]
        return elsewhere::raise_early();
    }

    /// The second half: seccomp, for all threads at once. What only a start
    /// needs is refused from here on, so this comes when everything has started:
    /// limits are raised, sockets listen, files that others shall own are given
    /// to them ([`Wall::give_files_away`] otherwise).
    pub fn raise_late(&self) -> Report {
        #[cfg(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        ))]
        return system_calls::raise(self);
        #[cfg(not(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )))]
        return Report::lacking(
            Part::Seccomp,
            "the system calls of this platform are not known here",
        );
    }

    /// Both halves, for a process that has started and has one thread.
    pub fn raise(&self) -> Report {
        self.raise_early().and(self.raise_late())
    }
}
