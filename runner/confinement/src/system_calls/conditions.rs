//! The system calls that are left with some arguments only.

use libc::c_int;
use seccompiler::{
    BackendError, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition, SeccompRule,
};

use super::Calls;
use crate::Wall;

/// One argument, by its place from 0.
type Argument = (u8, Width, Is, u64);

/// `PAGEMAP_SCAN` (linux/fs.h): which pages an instance wrote, so that no more
/// are put back. libc does not have it.
const PAGEMAP_SCAN: u64 = 0xC060_6610;

/// Of a socket's type, what is not a flag (`SOCK_CLOEXEC`, `SOCK_NONBLOCK`).
const SOCKET_TYPE: u64 = 0xF;

/// Of `clone`: that it is a thread of this process, and that no namespace is
/// made. The rest of the flags is the C library's business.
const CLONE_LOOKED_AT: u64 = (libc::CLONE_THREAD
    | libc::CLONE_VM
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS) as u64;

/// What may be asked of a socket. Not to filter its packets: that is a program
/// that the kernel runs.
const SOCKET_OPTIONS: &[c_int] = &[
    libc::SO_ERROR,
    libc::SO_KEEPALIVE,
    libc::SO_LINGER,
    libc::SO_RCVBUF,
    libc::SO_RCVTIMEO,
    libc::SO_REUSEADDR,
    libc::SO_SNDBUF,
    libc::SO_SNDTIMEO,
];

/// Descriptors are doubled and marked, files are locked, and what instances
/// start from is sealed. Not: to whom signals about a descriptor go.
const DESCRIPTOR_COMMANDS: &[c_int] = &[
    libc::F_ADD_SEALS,
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_GETFL,
    libc::F_GETLK,
    libc::F_GET_SEALS,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_SETFD,
    libc::F_SETFL,
    libc::F_SETLK,
    libc::F_SETLKW,
];

/// Whether a stream is a terminal, how much there is to read, whether to wait
/// for it.
#[allow(
    clippy::unnecessary_cast,
    reason = "with other C libraries the type is another"
)]
const DEVICE_COMMANDS: &[u64] = &[
    libc::FIOCLEX as u64,
    libc::FIONBIO as u64,
    libc::FIONREAD as u64,
    PAGEMAP_SCAN,
    libc::TCGETS as u64,
];

/// The name of a thread, and of memory (newer C libraries name what they map).
const PROCESS_COMMANDS: &[c_int] = &[libc::PR_GET_NAME, libc::PR_SET_NAME, libc::PR_SET_VMA];

pub(super) fn of(wall: &Wall) -> Result<Calls, BackendError> {
    let own = u64::from(std::process::id());
    let mut calls = Calls::new();
    let mut add = |call: i64, any_of: Vec<Vec<Argument>>| {
        let rules = any_of.into_iter().map(rule).collect::<Result<_, _>>()?;
        calls.insert(call, rules);
        Ok::<(), BackendError>(())
    };
    let thread = u64::from((libc::CLONE_THREAD | libc::CLONE_VM).cast_unsigned());
    let is_thread = (0, Width::Qword, Is::MaskedEq(CLONE_LOOKED_AT), thread);
    add(libc::SYS_clone, vec![vec![is_thread]])?;
    add(
        libc::SYS_fcntl,
        one_of(1, DESCRIPTOR_COMMANDS.iter().copied().map(word)),
    )?;
    add(libc::SYS_ioctl, one_of(1, DEVICE_COMMANDS.iter().copied()))?;
    add(
        libc::SYS_prctl,
        one_of(0, PROCESS_COMMANDS.iter().copied().map(word)),
    )?;
    // What `abort` does. Others are none of our business.
    add(libc::SYS_kill, vec![vec![equal(0, own)]])?;
    add(libc::SYS_tgkill, vec![vec![equal(0, own)]])?;
    // To be read, and only ours.
    let reads = (2, Width::Qword, Is::Eq, 0);
    add(libc::SYS_prlimit64, vec![vec![equal(0, 0), reads]])?;
    // Threads of the background give way.
    let process = u64::from(libc::PRIO_PROCESS);
    add(
        libc::SYS_setpriority,
        vec![vec![equal(0, process), equal(1, 0)]],
    )?;
    let sockets = sockets(wall);
    // Without a condition it would be allowed in every form.
    if !sockets.is_empty() {
        add(libc::SYS_socket, sockets)?;
    }
    // No datagrams: with those a pair reaches whoever else listens.
    let pair = |kind: c_int| {
        let kind = (1, Width::Dword, Is::MaskedEq(SOCKET_TYPE), word(kind));
        vec![equal(0, word(libc::AF_UNIX)), kind]
    };
    add(
        libc::SYS_socketpair,
        vec![pair(libc::SOCK_STREAM), pair(libc::SOCK_SEQPACKET)],
    )?;
    add(libc::SYS_setsockopt, socket_options(wall))?;
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2)] {
        add(call, sending(wall, flags))?;
    }
    if wall.host_names {
        // Both questions, for IPv4 and IPv6, in one call.
        add(libc::SYS_sendmmsg, Vec::new())?;
    }
    if wall.unix_connect || connects(wall) {
        add(libc::SYS_connect, Vec::new())?;
    }
    if wall.give_files_away {
        // Never through a link.
        let flags = word(libc::AT_SYMLINK_NOFOLLOW);
        add(libc::SYS_fchownat, vec![vec![equal(4, flags)]])?;
    }
    Ok(calls)
}

/// A stream of the families that were asked for.
fn sockets(wall: &Wall) -> Vec<Vec<Argument>> {
    let of_type = |kind: c_int| (1, Width::Dword, Is::MaskedEq(SOCKET_TYPE), word(kind));
    let mut any_of = Vec::new();
    if wall.unix_connect {
        any_of.push(vec![
            equal(0, word(libc::AF_UNIX)),
            of_type(libc::SOCK_STREAM),
        ]);
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (wanted, kind, protocol) in [
            (speaks_tcp(wall), libc::SOCK_STREAM, libc::IPPROTO_TCP),
            (wall.host_names, libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        ] {
            // 0 stands for the usual protocol of this type, which is the same.
            for protocol in [0, protocol].into_iter().filter(|_| wanted) {
                let family = equal(0, word(family));
                any_of.push(vec![family, of_type(kind), equal(2, word(protocol))]);
            }
        }
    }
    any_of
}

fn socket_options(wall: &Wall) -> Vec<Vec<Argument>> {
    let of = |level: c_int, option: c_int| vec![equal(1, word(level)), equal(2, word(option))];
    let mut any_of: Vec<_> = SOCKET_OPTIONS
        .iter()
        .map(|option| of(libc::SOL_SOCKET, *option))
        .collect();
    // A connection of the admin listener is one of TCP too, and always there.
    any_of.push(of(libc::IPPROTO_TCP, libc::TCP_NODELAY));
    if speaks_tcp(wall) {
        for option in [libc::TCP_KEEPCNT, libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL] {
            any_of.push(of(libc::IPPROTO_TCP, option));
        }
        any_of.push(of(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY));
    }
    if wall.host_names {
        any_of.push(of(libc::IPPROTO_IP, libc::IP_RECVERR));
        any_of.push(of(libc::IPPROTO_IPV6, libc::IPV6_RECVERR));
    }
    any_of
}

/// Sending can connect too (`MSG_FASTOPEN`), which landlock overlooks in some
/// kernels. Without a socket to do that with, any argument will do: the kernel
/// remembers such a call and asks the filter no more.
fn sending(wall: &Wall, flags: u8) -> Vec<Vec<Argument>> {
    let fast_open = word(libc::MSG_FASTOPEN);
    match speaks_tcp(wall) {
        true => vec![vec![(flags, Width::Dword, Is::MaskedEq(fast_open), 0)]],
        false => Vec::new(),
    }
}

fn connects(wall: &Wall) -> bool {
    wall.host_names || !wall.connect.is_closed()
}

fn speaks_tcp(wall: &Wall) -> bool {
    !wall.connect.is_closed() || !wall.listen.is_closed()
}

fn rule(arguments: Vec<Argument>) -> Result<SeccompRule, BackendError> {
    let condition = |(place, width, is, value)| SeccompCondition::new(place, width, is, value);
    let conditions: Result<_, _> = arguments.into_iter().map(condition).collect();
    SeccompRule::new(conditions?)
}

fn one_of(place: u8, values: impl Iterator<Item = u64>) -> Vec<Vec<Argument>> {
    values.map(|value| vec![equal(place, value)]).collect()
}

/// The kernel reads the lower half of these arguments only.
fn equal(place: u8, value: u64) -> Argument {
    (place, Width::Dword, Is::Eq, value)
}

fn word(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}
