//! Landlock: which files and ports stay open. Everything that the kernel's
//! version of landlock can forbid is forbidden, and then opened path by path.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictSelfAttr as _, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, Scope,
};

use crate::surroundings::{ALWAYS, HOST_NAMES, OTHER_PROCESSES};
use crate::{Enforced, Part, Report, Tcp, Wall};

/// The newest version whose rights were looked at here; of an older kernel's,
/// those that it knows are used.
const KNOWN: ABI = ABI::V10;

pub(crate) fn raise(wall: &Wall) -> Report {
    let mut report = Report::default();
    let before = other_threads();
    let paths = match restrict(wall, &mut report) {
        Ok((status, paths)) => told(&status, paths, wall, &mut report),
        Err(error) => return report.and(Report::lacking(Part::Landlock, error.to_string())),
    };
    if let Some(all_threads) = paths
        && !all_threads
        && !before.is_empty()
    {
        let names = before.join(", ");
        let why = format!("threads that were there before it are not bound: {names}");
        report.lacks(Part::Landlock, why);
    }
    report
}

/// Says what came of it; whether all threads are bound, or `None` where nothing
/// is.
fn told(
    status: &RestrictionStatus,
    paths: usize,
    wall: &Wall,
    report: &mut Report,
) -> Option<bool> {
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled => {
            let why = "this kernel has it, switched off (its parameter lsm= lacks landlock)";
            report.lacks(Part::Landlock, why);
            return None;
        }
        LandlockStatus::NotImplemented => {
            let why = "this kernel is older than Linux 5.13 or built without it, or a container \
                       refuses it";
            report.lacks(Part::Landlock, why);
            return None;
        }
    };
    let tcp = match abi {
        older if older < ABI::V4 => "open".to_owned(),
        _ => shown(wall),
    };
    report.has(Enforced::Landlock {
        abi: abi as u32,
        paths,
        tcp,
    });
    for (since, open, concerns) in LATER_RIGHTS {
        if abi < *since && concerns(wall) {
            let why = format!("{open}, which it can forbid since ABI {}", *since as u32);
            report.lacks(Part::Landlock, why);
        }
    }
    Some(status.all_threads)
}

/// What older versions leave open, and for which walls that says something: not
/// where seccomp closes it.
const LATER_RIGHTS: &[(ABI, &str, fn(&Wall) -> bool)] = &[
    (ABI::V3, "files anywhere can be cut short", |_| true),
    (
        ABI::V4,
        "any TCP port can be reached and listened on",
        |wall| !wall.connect.is_closed() || !wall.listen.is_closed(),
    ),
    (ABI::V6, "abstract unix sockets can be reached", |wall| {
        wall.unix_connect
    }),
    (ABI::V10, "UDP to any address can be sent", |wall| {
        wall.host_names
    }),
];

fn shown(wall: &Wall) -> String {
    let of = |what: &str, tcp: &Tcp| match tcp {
        tcp if tcp.is_closed() => None,
        Tcp::Ports(ports) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            Some(format!("{what} {}", ports.join(" ")))
        }
        _ => Some(format!("{what} any port")),
    };
    let open = [of("to", &wall.connect), of("on", &wall.listen)];
    let open: Vec<String> = open.into_iter().flatten().collect();
    match open.is_empty() {
        true => "closed".to_owned(),
        false => open.join(" and "),
    }
}

fn restrict(wall: &Wall, report: &mut Report) -> Result<(RestrictionStatus, usize), RulesetError> {
    let mut rules = Rules {
        ruleset: handled(wall)?.create()?.all_threads(true)?,
        paths: 0,
    };
    let mut surroundings: Vec<&str> = ALWAYS.iter().map(|(path, _)| *path).collect();
    for (wanted, more) in [
        (wall.host_names, HOST_NAMES),
        (wall.other_processes, OTHER_PROCESSES),
    ] {
        surroundings.extend(more.iter().map(|(path, _)| *path).filter(|_| wanted));
    }
    for path in surroundings {
        // One that this system does not have is not needed here.
        if let Ok(target) = PathFd::new(path) {
            rules = rules.open(Path::new(path), target, reading())?;
        }
    }
    let nothing = |_: &Path| Ok(());
    type Make = fn(&Path) -> io::Result<()>;
    let wishes: [(&[PathBuf], Make, BitFlags<AccessFs>); 3] = [
        (&wall.read_only, nothing, reading()),
        (&wall.read_write, make_private, writing()),
        (&wall.sockets, make_public, sockets()),
    ];
    for (paths, make, access) in wishes {
        for path in paths {
            let made = make(path).map_err(|error| error.to_string());
            match made.and_then(|()| PathFd::new(path).map_err(|error| error.to_string())) {
                Ok(target) => rules = rules.open(path, target, access)?,
                Err(error) => report.remark(format!("{} stays closed: {error}", path.display())),
            }
        }
    }
    let paths = rules.paths;
    let ruleset = rules.with_ports(wall)?;
    Ok((ruleset.restrict_self()?, paths))
}

/// What is forbidden where no rule allows it.
fn handled(wall: &Wall) -> Result<Ruleset, RulesetError> {
    let mut access = AccessFs::from_all(KNOWN);
    if wall.unix_connect {
        // Any path will do: whom it connects to may not listen yet.
        access.remove(AccessFs::ResolveUnix);
    }
    let mut ruleset = Ruleset::default()
        .handle_access(access)?
        // Nor to ask a process outside to do what this one cannot, nor to end it.
        .scope(Scope::from_all(KNOWN))?;
    let ports = [
        (AccessNet::ConnectTcp, wall.connect == Tcp::Any),
        (AccessNet::BindTcp, wall.listen == Tcp::Any),
        (AccessNet::ConnectSendUdp, wall.host_names),
        (AccessNet::BindUdp, wall.host_names),
    ];
    for (access, _) in ports.into_iter().filter(|(_, open)| !open) {
        ruleset = ruleset.handle_access(access)?;
    }
    Ok(ruleset)
}

/// A ruleset that is being filled, and how many paths it has.
struct Rules {
    ruleset: RulesetCreated,
    paths: usize,
}

impl Rules {
    fn open(
        mut self,
        path: &Path,
        target: PathFd,
        access: BitFlags<AccessFs>,
    ) -> Result<Self, RulesetError> {
        let access = match path.is_dir() {
            true => access,
            false => access & AccessFs::from_file(KNOWN),
        };
        if path.starts_with("/proc") {
            keep_open(path);
        }
        self.ruleset = self.ruleset.add_rule(PathBeneath::new(target, access))?;
        self.paths += 1;
        Ok(self)
    }

    fn with_ports(self, wall: &Wall) -> Result<RulesetCreated, RulesetError> {
        let mut ruleset = self.ruleset;
        for (tcp, access) in [
            (&wall.connect, AccessNet::ConnectTcp),
            (&wall.listen, AccessNet::BindTcp),
        ] {
            let Tcp::Ports(ports) = tcp else { continue };
            for port in ports {
                ruleset = ruleset.add_rule(NetPort::new(*port, access))?;
            }
        }
        Ok(ruleset)
    }
}

/// A rule belongs to the kernel's entry in memory. For a file of /proc that
/// nobody has open the kernel may forget it when memory is short, and makes
/// another one later, without the rule.
fn keep_open(path: &Path) {
    if let Ok(target) = PathFd::new(path) {
        std::mem::forget(target);
    }
}

/// Not executing: nothing here starts programs.
fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// Files and folders; no devices, pipes, links or sockets, which others might
/// follow or open.
fn writing() -> BitFlags<AccessFs> {
    reading()
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// Renaming is removing and making. Files of others can be removed there, but
/// neither read nor replaced by anything but a socket.
fn sockets() -> BitFlags<AccessFs> {
    AccessFs::MakeSock | AccessFs::RemoveFile
}

/// As the cache of compiled code makes its folder: the parent of a home that
/// does not exist was not meant to.
fn make_private(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        // On a read-only disk the answer is not that it is there.
        Err(error) if !folder.is_dir() => Err(error),
        _ => Ok(()),
    }
}

fn make_public(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

/// The names of this process's threads but the calling one.
fn other_threads() -> Vec<String> {
    let own = rustix::thread::gettid().as_raw_nonzero().to_string();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let others = threads
        .flatten()
        .filter(|thread| *thread.file_name() != *own);
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm"));
    others
        .filter_map(|thread| Some(name(thread).ok()?.trim().to_owned()))
        .collect()
}
