//! The attempts, by name. Each harms nothing where it succeeds.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libc::{c_int, c_long};

use crate::stage::{Place, abstract_address};

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// The error is one that walls give.
    Refused(c_int),
    /// Another error: its arguments were looked at.
    Reached,
    /// Only in tables: whichever.
    Varies,
}

impl Outcome {
    pub(crate) fn of(result: io::Result<()>) -> Self {
        match result.map_err(|error| error.raw_os_error()) {
            Ok(()) => Outcome::Done,
            Err(Some(error @ (libc::EPERM | libc::EACCES | libc::ENOSYS))) => {
                Outcome::Refused(error)
            }
            Err(_) => Outcome::Reached,
        }
    }

    pub(crate) fn read(text: &str) -> Self {
        match text {
            "done" => Outcome::Done,
            "reached" => Outcome::Reached,
            number => Outcome::Refused(number.parse().expect("a number")),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("done"),
            Outcome::Refused(error) => error.fmt(f),
            Outcome::Reached | Outcome::Varies => f.write_str("reached"),
        }
    }
}

pub(crate) fn named(name: &str) -> fn(&Place) -> io::Result<()> {
    let found = ATTEMPTS.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("no attempt is called {name}"))
        .1
}

macro_rules! attempts {
    ($(fn $name:ident($place:ident) $body:block)*) => {
        const ATTEMPTS: &[(&str, fn(&Place) -> io::Result<()>)] = &[$((stringify!($name), $name)),*];
        $(fn $name($place: &Place) -> io::Result<()> $body)*
    };
}

attempts! {
    fn read_outside(place) { fs::read(place.at("outside/secret")).map(drop) }
    fn read_outside_through_a_link(place) { fs::read(place.at("modules/link")).map(drop) }
    fn list_outside(place) { fs::read_dir(place.at("outside")).map(drop) }
    fn open_shadow(_place) {
        // Others than root could not read it anyway.
        fs::read(if is_root() { "/etc/shadow" } else { "/etc/ld.so.conf" }).map(drop)
    }
    fn write_where_reading_is_allowed(place) {
        OpenOptions::new().append(true).open(place.at("modules/a.wasm")).map(drop)
    }
    fn make_where_reading_is_allowed(place) { File::create_new(place.at("modules/b.wasm")).map(drop) }
    fn remove_where_reading_is_allowed(place) { fs::remove_file(place.at("modules/a.wasm")) }
    fn cut_short_outside(place) {
        let path = text(&place.at("outside/secret"));
        call(libc::SYS_truncate, [address(&path), 1, 0, 0, 0, 0])
    }
    fn make_a_file_among_sockets(place) { File::create_new(place.at("sockets/b")).map(drop) }
    fn read_a_file_among_sockets(place) { fs::read(place.at("sockets/a")).map(drop) }
    fn make_a_link(place) { symlink("a", place.at("kept/link")) }
    fn run_a_program(_place) { Command::new("/bin/true").status().map(drop) }
    fn execute(_place) {
        let path = text(Path::new("/not/there"));
        call(libc::SYS_execve, [address(&path), 0, 0, 0, 0, 0])
    }
    fn fork(_place) {
        // SAFETY: the child ends at once and touches nothing.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => unsafe { libc::_exit(0) },
            child => call(libc::SYS_wait4, [child.into(), 0, 0, 0, 0, 0]),
        }
    }
    fn start_a_thread_by_clone3(_place) { call(libc::SYS_clone3, [0; 6]) }
    fn clone_with_a_namespace(_place) {
        // The kernel refuses the two together, once it looks.
        let flags = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_NEWUSER;
        call(libc::SYS_clone, [flags.into(), 0, 0, 0, 0, 0])
    }
    fn connect_by_tcp(place) { TcpStream::connect(("127.0.0.1", place.port)).map(drop) }
    fn connect_fast_by_tcp(place) {
        // SAFETY: no pointers.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
        let to = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: place.port.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
            sin_zero: [0; 8],
        };
        let (to, length) = (&raw const to as c_long, size_of_val(&to) as c_long);
        let flags = libc::MSG_FASTOPEN.into();
        call(libc::SYS_sendto, [socket.into(), address(b"x"), 1, flags, to, length])
    }
    fn listen_by_tcp(_place) { TcpListener::bind("127.0.0.1:0").map(drop) }
    fn send_by_udp(place) {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(b"x", ("127.0.0.1", place.port)).map(drop)
    }
    fn connect_to_an_abstract_socket(place) {
        UnixStream::connect_addr(&abstract_address(&place.folder)).map(drop)
    }
    fn make_a_pair_for_datagrams(_place) {
        UnixDatagram::pair().map(drop)
    }

    fn connect_to_a_unix_socket(place) {
        UnixStream::connect(place.at("outside/listening.sock")).map(drop)
    }
    fn filter_packets(_place) {
        let (socket, _) = UnixStream::pair()?;
        let option = libc::SO_ATTACH_FILTER.into();
        call(libc::SYS_setsockopt, [fd(&socket), libc::SOL_SOCKET.into(), option, 0, 0, 0])
    }
    fn ask_for_netlink(_place) {
        call(libc::SYS_socket, [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0, 0, 0, 0])
    }
    fn send_signals_of_a_descriptor(_place) {
        let (socket, _) = UnixStream::pair()?;
        call(libc::SYS_fcntl, [fd(&socket), libc::F_SETOWN.into(), own(), 0, 0, 0])
    }
    fn signal_the_parent(_place) {
        // The null signal: whether it could be sent.
        call(libc::SYS_kill, [parent(), 0, 0, 0, 0, 0])
    }
    fn trace(_place) {
        // There is no process 0.
        call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), 0, 0, 0, 0, 0])
    }
    fn read_memory_of_a_process(_place) {
        call(libc::SYS_process_vm_readv, [own(), 0, 0, 0, 0, 0])
    }
    fn take_a_descriptor_of_a_process(_place) { call(libc::SYS_pidfd_getfd, [-1, 0, 0, 0, 0, 0]) }
    fn unshare(_place) {
        // The second of the flags is none of this call's.
        let flags = libc::CLONE_NEWUSER | libc::CLONE_VFORK;
        call(libc::SYS_unshare, [flags.into(), 0, 0, 0, 0, 0])
    }
    fn enter_a_namespace(_place) { call(libc::SYS_setns, [-1, 0, 0, 0, 0, 0]) }
    fn mount(_place) { call(libc::SYS_mount, [0; 6]) }
    fn set_up_io_uring(_place) { call(libc::SYS_io_uring_setup, [0; 6]) }
    fn load_bpf(_place) { call(libc::SYS_bpf, [9999, 0, 0, 0, 0, 0]) }
    fn handle_page_faults(_place) {
        const USER_MODE_ONLY: c_long = 1;
        call(libc::SYS_userfaultfd, [USER_MODE_ONLY, 0, 0, 0, 0, 0])
    }
    fn count_events(_place) { call(libc::SYS_perf_event_open, [0; 6]) }
    fn ask_for_keys(_place) { call(libc::SYS_keyctl, [9999, 0, 0, 0, 0, 0]) }
    fn change_personality(_place) { call(libc::SYS_personality, [0xFFFF_FFFF, 0, 0, 0, 0, 0]) }
    fn change_a_mode(place) {
        fs::set_permissions(place.at("kept/a"), fs::Permissions::from_mode(0o644))
    }
    fn give_a_file_away(place) {
        // To whom it belongs already.
        let path = text(&place.at("kept/a"));
        let flags = libc::AT_SYMLINK_NOFOLLOW.into();
        let at = libc::AT_FDCWD.into();
        call(libc::SYS_fchownat, [at, address(&path), -1, -1, flags, 0])
    }
    fn type_into_the_terminal(_place) {
        let (socket, _) = UnixStream::pair()?;
        call(libc::SYS_ioctl, [fd(&socket), libc::TIOCSTI as c_long, 0, 0, 0, 0])
    }
    fn raise_a_limit(_place) {
        let limit = [0_u64; 2];
        let new = limit.as_ptr() as c_long;
        call(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE.into(), new, 0, 0, 0])
    }
    fn add_another_filter(_place) { call(libc::SYS_seccomp, [9999, 0, 0, 0, 0, 0]) }
    fn read_of_the_parent(_place) { fs::read(format!("/proc/{}/status", parent())).map(drop) }
    fn read_what_the_parent_keeps(_place) {
        fs::read(format!("/proc/{}/environ", parent())).map(drop)
    }

    fn spawn_a_thread(_place) {
        let thread = std::thread::Builder::new().name("another".into());
        let thread = thread.spawn(|| std::thread::current().name() == Some("another"))?;
        sure(thread.join().is_ok_and(|named| named))
    }
    fn publish_code(_place) {
        // SAFETY: fresh memory of our own, which nothing else knows.
        unsafe {
            let (read_write, length) = (libc::PROT_READ | libc::PROT_WRITE, 4096);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(std::ptr::null_mut(), length, read_write, flags, -1, 0);
            sure(memory != libc::MAP_FAILED)?;
            // Return: of x86-64, or of aarch64.
            let code: &[u8] = if cfg!(target_arch = "x86_64") { &[0xC3] } else { &[0xC0, 3, 0x5F, 0xD6] };
            memory.cast::<u8>().copy_from_nonoverlapping(code.as_ptr(), code.len());
            let executable = libc::PROT_READ | libc::PROT_EXEC;
            sure(libc::mprotect(memory, length, executable) == 0)?;
            if cfg!(target_arch = "x86_64") {
                std::mem::transmute::<*mut libc::c_void, extern "C" fn()>(memory)();
            }
            sure(libc::munmap(memory, length) == 0)
        }
    }
    fn make_an_image(_place) {
        let name = text(Path::new("image"));
        let flags = c_long::from(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        // SAFETY: the name ends with a null byte.
        let image = unsafe { libc::syscall(libc::SYS_memfd_create, address(&name), flags, 0) };
        call(libc::SYS_ftruncate, [image, 4096, 0, 0, 0, 0])?;
        let seals = (libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_WRITE).into();
        call(libc::SYS_fcntl, [image, libc::F_ADD_SEALS.into(), seals, 0, 0, 0])
    }
    fn wait_for_a_moment(_place) {
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    }
    fn read_a_module(place) { sure(fs::read(place.at("modules/a.wasm"))? == b"modules/a.wasm") }
    fn list_modules(place) { sure(fs::read_dir(place.at("modules"))?.count() == 2) }
    fn write_and_rename(place) {
        let mut draft = File::create_new(place.at("kept/draft"))?;
        draft.write_all(b"whole")?;
        draft.sync_all()?;
        draft.set_modified(std::time::SystemTime::UNIX_EPOCH)?;
        fs::rename(place.at("kept/draft"), place.at("kept/a"))?;
        sure(fs::read(place.at("kept/a"))? == b"whole")?;
        fs::remove_file(place.at("kept/a"))
    }
    fn make_and_remove_a_folder(place) {
        fs::create_dir(place.at("kept/new"))?;
        fs::remove_dir(place.at("kept/new"))
    }
    fn move_between_folders(place) { fs::rename(place.at("kept/a"), place.at("kept/inner/a")) }
    fn lock_a_file(place) {
        let file = OpenOptions::new().append(true).open(place.at("kept/a"))?;
        file.lock()?;
        file.set_len(1)
    }
    fn listen_and_replace_a_socket(place) {
        let (draft, path) = (place.at("sockets/draft"), place.at("sockets/s"));
        for _ in 0..2 {
            let _listener = UnixListener::bind(&draft)?;
            fs::rename(&draft, &path)?;
        }
        fs::remove_file(&path)
    }
    fn talk_to_itself(_place) {
        let (mut here, mut there) = UnixStream::pair()?;
        here.set_nonblocking(false)?;
        here.write_all(b"x")?;
        there.read_exact(&mut [0])
    }
    fn read_about_itself(_place) {
        for name in ["stat", "statm", "limits", "maps", "pagemap", "status"] {
            File::open(format!("/proc/self/{name}"))?;
        }
        fs::read_dir("/proc/self/fd").map(drop)
    }
    fn read_about_the_machine(_place) {
        fs::read("/proc/meminfo")?;
        fs::read("/proc/stat").map(drop)
    }
    fn count_processors(_place) { std::thread::available_parallelism().map(drop) }
    fn find_a_user(_place) {
        // SAFETY: nothing else in this process asks for users.
        let found = unsafe { libc::getpwuid(0) };
        sure(!found.is_null())
    }
    fn watch_a_folder(place) {
        // SAFETY: no pointers; then a path that ends with a null byte.
        let watch = unsafe { libc::inotify_init1(libc::IN_CLOEXEC) };
        let path = text(&place.at("modules"));
        let events = libc::IN_CREATE.into();
        call(libc::SYS_inotify_add_watch, [watch.into(), address(&path), events, 0, 0, 0])
    }
    fn give_way(_place) { call(libc::SYS_setpriority, [0, 0, 5, 0, 0, 0]) }
    fn catch_a_panic(_place) {
        sure(std::panic::catch_unwind(|| panic!("caught")).is_err())
    }
    fn scan_pages(_place) {
        // Linux 6.7 and later; before, it is an ioctl that nobody knows.
        const PAGEMAP_SCAN: c_long = 0xC060_6610;
        let pages = File::open("/proc/self/pagemap")?;
        let asked = call(libc::SYS_ioctl, [fd(&pages), PAGEMAP_SCAN, 0, 0, 0, 0]);
        let reached = Outcome::of(asked) == Outcome::Reached;
        sure(reached)
    }
    fn write_to_what_was_open(_place) { io::stderr().write_all(b"") }
}

/// A system call, made directly: wrappers may do something else instead.
fn call(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<()> {
    // SAFETY: every pointer that is given here is null or outlives the call.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn sure(condition: bool) -> io::Result<()> {
    match condition {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

fn text(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_bytes(), b"\0"].concat()
}

fn address(bytes: &[u8]) -> c_long {
    bytes.as_ptr() as c_long
}

fn fd(file: &impl std::os::fd::AsRawFd) -> c_long {
    file.as_raw_fd().into()
}

fn own() -> c_long {
    std::process::id().into()
}

fn parent() -> c_long {
    std::os::unix::process::parent_id().into()
}

fn is_root() -> bool {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
