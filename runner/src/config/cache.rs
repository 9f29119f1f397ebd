//! Where compiled components, and what filters keep, may lie: the folder that the
//! operator named, or those that a program of this user would take.
//!
//! Must not know whether they exist.

use std::path::{Path, PathBuf};

use super::env::Environment;

/// Compiled components on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The first of these that can be used.
    pub folders: Vec<PathBuf>,
    /// For all of them together, in bytes. 0: nothing is kept.
    pub max_bytes: u64,
}

/// The folder's name where others keep things too.
const NAME: &str = "apisix-wasm-runner";

/// The user's cache folder, then one beside the socket: a runner that the
/// gateway started has neither `HOME` nor `XDG_CACHE_HOME`. That one is not
/// named after the socket, because the gateway names the socket after its own
/// process (`conf/apisix-PID.sock`) and the next one could not find it.
pub(super) fn automatic_folders(socket: &Path, env: &dyn Environment) -> Vec<PathBuf> {
    folders(("XDG_CACHE_HOME", ".cache"), "cache", socket, env)
}

/// Likewise for what must not be lost.
pub(super) fn state_folders(socket: &Path, env: &dyn Environment) -> Vec<PathBuf> {
    folders(("XDG_STATE_HOME", ".local/state"), "state", socket, env)
}

fn folders(
    (variable, in_home): (&str, &str),
    kind: &str,
    socket: &Path,
    env: &dyn Environment,
) -> Vec<PathBuf> {
    // A relative value is to be ignored (XDG Base Directory Specification).
    let absolute = |name| {
        let folder = env.get(name).map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(in_home));
    let of_user = absolute(variable).or_else(home);
    let beside = socket.with_file_name(format!("{NAME}.{kind}"));
    of_user
        .map(|folder| folder.join(NAME))
        .into_iter()
        .chain([beside])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_folder_should_come_before_one_beside_the_socket() {
        let beside = "/run/a/apisix-wasm-runner.cache";
        let rows: &[(&[(&str, &str)], &[&str])] = &[
            (&[], &[beside]),
            (
                &[("HOME", "/home/u")],
                &["/home/u/.cache/apisix-wasm-runner", beside],
            ),
            (
                &[("HOME", "/home/u"), ("XDG_CACHE_HOME", "/c")],
                &["/c/apisix-wasm-runner", beside],
            ),
            (
                &[("HOME", "/home/u"), ("XDG_CACHE_HOME", "c")],
                &["/home/u/.cache/apisix-wasm-runner", beside],
            ),
            (&[("HOME", ""), ("XDG_CACHE_HOME", "")], &[beside]),
        ];
        for (env, expected) in rows {
            let folders = automatic_folders(Path::new("/run/a/apisix-17.sock"), env);
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(folders, expected, "{env:?}");
        }
    }
}
