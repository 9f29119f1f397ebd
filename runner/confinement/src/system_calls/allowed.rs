//! The system calls that are left with any argument, by what needs them. Found
//! by watching a runner through everything it does (starting, compiling, serving,
//! replacing modules, showing metrics, ending), and then by reading what the C
//! library, std, tokio and wasmtime call in its place on other systems.
//!
//! Whoever adds one says what for.

/// Groups of calls: what for, which.
pub(super) const PLAIN: &[(&str, &[i64])] = &[
    ("memory; code is published with mprotect", MEMORY),
    ("threads and locks", THREADS),
    ("signals to itself: how wasmtime hears of a trap", SIGNALS),
    ("the end of a process that was started before", CHILDREN),
    ("clocks, and waiting for them", TIME),
    (
        "waiting for descriptors, and for changes in folders",
        EVENTS,
    ),
    ("files; which ones is landlock's to say", FILES),
    ("sockets that are there; new ones have conditions", SOCKETS),
    ("what this process is", IDENTITY),
    ("the older names of some of these", OLDER),
];

const MEMORY: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_madvise,
    // What instances start from is mapped out of one.
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
];

const THREADS: &[i64] = &[
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    // Of maps that are read without a lock, and of code that was just made.
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
];

const SIGNALS: &[i64] = &[
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
];

/// Whoever waits already begins anew after a pause (SIGSTOP, a debugger, a
/// frozen container).
const CHILDREN: &[i64] = &[libc::SYS_wait4, libc::SYS_waitid];

const TIME: &[i64] = &[
    libc::SYS_clock_getres,
    // A thread's own time is no vDSO's.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
];

const EVENTS: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_ppoll,
];

const FILES: &[i64] = &[
    libc::SYS_close,
    libc::SYS_faccessat,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    // The cache notes what was used last.
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
];

const SOCKETS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
];

const IDENTITY: &[i64] = &[
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Architectures that came later never had them.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// What C libraries and std try first, and do without where the kernel does not
/// have it. The flags of the first stand in memory, where a filter cannot see
/// them; the one that follows has them in a register.
pub(super) const UNKNOWN: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_close_range,
    libc::SYS_epoll_pwait2,
    libc::SYS_faccessat2,
    libc::SYS_futex_waitv,
    libc::SYS_openat2,
];
