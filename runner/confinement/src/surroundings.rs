//! What a process reads of the system in any case, and why. No folder of it
//! holds anybody's secrets: not all of `/etc`, not all of `/proc`.

/// What is read in the running process.
pub(crate) const ALWAYS: &[(&str, &str)] = &[
    // Its own descriptors, limits, times and memory map: what the metrics of a
    // process are made of. The pages that an instance wrote (`pagemap`) and the
    // bounds of a thread's stack (`maps`) stand there too, and which control
    // group bounds its processors (`cgroup`, `mountinfo`).
    ("/proc/self", "the process itself"),
    (
        "/proc/stat",
        "when the machine started, for the metric of the start time",
    ),
    ("/proc/meminfo", "how much memory there is"),
    (
        "/proc/sys/vm/overcommit_memory",
        "glibc, before it gives memory back",
    ),
    (
        "/proc/sys/kernel/osrelease",
        "whether the kernel is new enough for a feature",
    ),
    (
        "/sys/devices/system/cpu/online",
        "how many processors there are",
    ),
    (
        "/sys/devices/system/cpu/possible",
        "the same, by newer C libraries",
    ),
    ("/sys/fs/cgroup", "how many processors this process may use"),
    // Names of users and groups in the log, and which user a socket is for.
    ("/etc/nsswitch.conf", "where names of users come from"),
    ("/etc/passwd", "names of users"),
    ("/etc/group", "names of groups"),
    (
        "/dev/null",
        "what std and others open in place of a missing stream",
    ),
    (
        "/dev/urandom",
        "random numbers where getrandom(2) is refused",
    ),
];

/// What looking up host names reads beyond that.
pub(crate) const HOST_NAMES: &[(&str, &str)] = &[
    ("/etc/resolv.conf", "which server to ask"),
    ("/etc/hosts", "names that need no server"),
    ("/etc/host.conf", "glibc, how to read those"),
    (
        "/etc/gai.conf",
        "glibc, which of several addresses comes first",
    ),
];

/// In its place where others are looked at. Of another process it opens what
/// everybody may read: a process under landlock is refused what asks for the
/// right to trace it (its memory, environment, files), root's too.
pub(crate) const OTHER_PROCESSES: &[(&str, &str)] = &[("/proc", "status and title of others")];
