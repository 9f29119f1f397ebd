//! How many file descriptors this process may have, and how many connections
//! that allows. Without any left nothing can be accepted, no module read and no
//! snapshot made; so connections are refused before that.
//!
//! Must not know what a connection is for.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What may be opened beside connections: files of modules and of the cache,
/// connections for operators.
const SPARE: u64 = 32;

/// A thousand snapshots of configured instances keep two each. Where
/// descriptors are short, a quarter of them has to do; a configuration that gets
/// none is captured another time.
const SNAPSHOTS: u64 = 2000;

/// What is open at the start, where `/proc` does not tell.
const OPEN_AT_START: u64 = 64;

/// Closes whatever is open beside the standard streams. Whoever started this
/// process may have left more open than it meant to, which no rule about paths
/// would close. Before anything of ours is open.
///
/// # Errors
/// Where `/proc` does not tell.
pub fn close_inherited() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers = open.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    // The list's own descriptor is among them, and closed by then.
    let numbers: Vec<i32> = numbers.filter(|number| *number > 2).collect();
    for number in numbers {
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Raises the soft limit, which is 1024 for the sake of programs that use
/// `select`, to the hard one; says so in the log where that fails. Returns the
/// limit.
pub fn raise_limit() -> u64 {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        if let Err(error) = raised {
            tracing::warn!("the limit of file descriptors stays {soft}: {error}");
        }
        raised.map_or(soft, |()| hard)
    });
    raised.unwrap_or(1024)
}

/// How many connections there may be: as many as wanted, or as many as the
/// limit of descriptors has room for, which the log tells.
#[must_use]
pub fn connections(wanted: u32, limit: u64) -> u32 {
    let most = room(limit, open().unwrap_or(OPEN_AT_START));
    let wanted = u64::from(wanted);
    if wanted > most {
        tracing::warn!(
            "limits.connections is lowered from {wanted} to {most}, because this process may \
             have {limit} file descriptors; raise its limit (ulimit -n, LimitNOFILE) or lower \
             limits.connections"
        );
    }
    // The smaller of the two fits.
    u32::try_from(wanted.min(most)).unwrap_or(u32::MAX)
}

fn room(limit: u64, open: u64) -> u64 {
    let others = open + SPARE + SNAPSHOTS.min(limit / 4);
    limit.saturating_sub(others).max(1)
}

/// How many are open now.
fn open() -> io::Result<u64> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_should_leave_room_for_everything_else() {
        for (limit, open, connections) in [
            (16, 30, 1),
            (128, 30, 34),
            (1024, 30, 706),
            (8192, 30, 6130),
            (u64::MAX, 30, u64::MAX - 2062),
        ] {
            assert_eq!(room(limit, open), connections, "{limit} {open}");
        }
    }
}
