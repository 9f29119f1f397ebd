//! What attempts are made on: a folder of each kind, and others who listen. And
//! how a process is started that raises a wall and makes one.

use std::env::{current_exe, var_os};
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use confinement::{Missing, Report, Tcp, Wall};

use crate::attempts::{self, Outcome};

/// What is raised before the attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walls {
    None,
    Early,
    Both,
    /// Both, and the attempt is made on a thread from between the two.
    OnAnOlderThread,
    /// Both, and there was a thread before.
    WithAnOlderThread,
    WithMissingPaths,
    ToThisPort,
    ToAnotherPort,
    ToAnyPort,
    OnAnyPort,
    HostNames,
    UnixConnect,
    GiveAway,
    OtherProcesses,
}

use Walls::*;

const ALL: &[Walls] = &[
    None,
    Early,
    Both,
    OnAnOlderThread,
    WithAnOlderThread,
    WithMissingPaths,
    ToThisPort,
    ToAnotherPort,
    ToAnyPort,
    OnAnyPort,
    HostNames,
    UnixConnect,
    GiveAway,
    OtherProcesses,
];

const FOLDER: &str = "WALL_FOLDER";
const ATTEMPT: &str = "WALL_ATTEMPT";
const WALLS: &str = "WALL_WALLS";
const PORT: &str = "WALL_PORT";

/// The attempt that asks for the report only.
const REPORT: &str = "report";
const MARK: &str = "came to: ";

/// The outer process's side: dropped, all of it is gone.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    tcp: TcpListener,
    _udp: UdpSocket,
    _abstract: UnixListener,
    _unix: UnixListener,
}

/// The inner process's.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    /// Where the outer process listens by TCP and by UDP, on loopback.
    pub(crate) port: u16,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["outside", "modules", "kept", "kept/inner", "sockets"] {
            fs::create_dir(at(name)).expect("folder");
        }
        for name in ["outside/secret", "modules/a.wasm", "kept/a", "sockets/a"] {
            fs::write(at(name), name).expect("file");
        }
        symlink(at("outside/secret"), at("modules/link")).expect("link");
        let (tcp, udp) = same_port();
        let address = abstract_address(folder.path());
        Stage {
            tcp,
            _udp: udp,
            _abstract: UnixListener::bind_addr(&address).expect("abstract socket"),
            _unix: UnixListener::bind(at("outside/listening.sock")).expect("socket"),
            folder,
        }
    }

    /// What one attempt comes to behind this wall.
    pub(crate) fn try_in_a_process(&self, attempt: &str, walls: Walls) -> Outcome {
        Outcome::read(&self.run(attempt, walls))
    }

    /// The line, what is missing, the remarks.
    pub(crate) fn report(&self, walls: Walls) -> [String; 3] {
        let told = self.run(REPORT, walls);
        let mut parts = told.split('|').map(str::to_owned);
        std::array::from_fn(|_| parts.next().expect("three parts"))
    }

    fn run(&self, attempt: &str, walls: Walls) -> String {
        let port = self.tcp.local_addr().expect("address").port();
        let output = Command::new(current_exe().expect("this program"))
            .args(["--exact", "in_a_process_of_its_own", "--ignored"])
            .args(["--nocapture"])
            .env(FOLDER, self.folder.path())
            .env(ATTEMPT, attempt)
            .env(WALLS, format!("{walls:?}"))
            .env(PORT, port.to_string())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("this program again");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = told.lines().find_map(|line| line.split_once(MARK));
        let (_, told) = line.unwrap_or_else(|| panic!("{attempt}, {walls:?}: {output:?}"));
        told.to_owned()
    }
}

/// The inner process: raises the wall, makes the attempt, says what it came to.
/// In a child, because tests run beside another thread and a runner raises the
/// first half before it has one.
pub(crate) fn play() {
    // SAFETY: the other thread waits for this one and holds no lock.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            play_alone();
            // SAFETY: nothing is left to be done.
            unsafe { libc::_exit(0) }
        }
        // SAFETY: nobody wants the status.
        child => unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) },
    };
}

fn play_alone() {
    let given = |name: &str| {
        let value = var_os(name).expect("what the outer process says");
        value.into_string().expect("UTF-8")
    };
    let place = Place {
        folder: given(FOLDER).into(),
        port: given(PORT).parse().expect("a number"),
    };
    let (attempt, walls) = (given(ATTEMPT), given(WALLS));
    let known = ALL.iter().find(|known| format!("{known:?}") == walls);
    let told = place.told(&attempt, *known.expect("a wall that is in the list"));
    let mut out = std::io::stdout();
    writeln!(out, "{MARK}{told}").expect("standard output was open before");
}

impl Place {
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn told(&self, attempt: &str, walls: Walls) -> String {
        let wall = self.wall(walls);
        let mut report = Report::default();
        if walls == WithAnOlderThread {
            std::thread::spawn(std::thread::park);
        }
        if walls != None {
            report = wall.raise_early();
        }
        let (here, there) = mpsc::channel::<Box<dyn FnOnce() -> Outcome + Send>>();
        let (back, outcome) = mpsc::channel();
        let older = (walls == OnAnOlderThread).then(|| {
            std::thread::spawn(move || {
                let attempt = there.recv().expect("an attempt");
                back.send(attempt()).expect("somebody waits");
            })
        });
        if ![None, Early].contains(&walls) {
            report = report.and(wall.raise_late());
        }
        if attempt == REPORT {
            return told(&report);
        }
        let place = Place {
            folder: self.folder.clone(),
            port: self.port,
        };
        let attempt = attempts::named(attempt);
        match older {
            Some(_) => {
                let attempt = Box::new(move || Outcome::of(attempt(&place)));
                here.send(attempt).expect("the thread waits");
                outcome.recv().expect("an outcome").to_string()
            }
            Option::None => Outcome::of(attempt(&place)).to_string(),
        }
    }

    fn wall(&self, walls: Walls) -> Wall {
        let another = self.port.checked_add(1).unwrap_or(1);
        let mut wall = Wall {
            read_only: vec![self.at("modules")],
            read_write: vec![self.at("kept"), self.at("kept-too")],
            sockets: vec![self.at("sockets"), self.at("more/sockets")],
            ..Wall::default()
        };
        match walls {
            WithMissingPaths => wall.read_only.push(self.at("not-there")),
            ToThisPort => wall.connect = Tcp::Ports(vec![self.port]),
            ToAnotherPort => wall.connect = Tcp::Ports(vec![another]),
            ToAnyPort => wall.connect = Tcp::Any,
            OnAnyPort => wall.listen = Tcp::Any,
            HostNames => wall.host_names = true,
            UnixConnect => wall.unix_connect = true,
            GiveAway => wall.give_files_away = true,
            OtherProcesses => wall.other_processes = true,
            _ => {}
        }
        wall
    }
}

fn told(report: &Report) -> String {
    let missing: Vec<String> = report.missing().iter().map(Missing::to_string).collect();
    format!(
        "{report}|{}|{}",
        missing.join("; "),
        report.remarks().join("; ")
    )
}

fn same_port() -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("address");
        if let Ok(udp) = UdpSocket::bind(address) {
            return (tcp, udp);
        }
    }
}

pub(crate) fn abstract_address(folder: &Path) -> SocketAddr {
    SocketAddr::from_abstract_name(folder.as_os_str().as_encoded_bytes()).expect("a name")
}
