//! What a process of this program that serves another of them owes to that one:
//! to end with it.
//!
//! Must not know what either is for.

use rustix::process::Signal;

/// Lets this process go on when the one that started it ends, should it be stopped
/// then (SIGSTOP): one that is stopped does not notice, and would stay for ever.
pub(crate) fn wake_at_its_end() {
    // Where the kernel refuses, whoever stopped it has to let it go on.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
}
