//! The file of this program, for processes of it that are started later.
//!
//! Must not know what they are for.

use std::path::PathBuf;

/// The kernel's own way to what runs, whatever lies under its name by now.
const RUNS: &str = "/proc/self/exe";

/// Where this program is. That is its name while it has one, which is what
/// runs under callgrind (`just callgrind`), where the kernel's way leads to
/// callgrind itself; when another version took its place, the kernel says that
/// it was deleted, and what runs is started again.
pub(crate) fn program_file() -> PathBuf {
    let name = std::fs::read_link(RUNS).unwrap_or_default();
    match name.is_file() {
        true => name,
        false => RUNS.into(),
    }
}
