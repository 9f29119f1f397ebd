//! What a process of root may do beyond others, and what any process may gain by
//! starting a program that is marked so.

use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs};

use crate::{Enforced, Part, Report, Wall};

/// What a runner of root goes on doing: it gives its socket to the gateway's
/// workers, and it reads, replaces and removes files in folders of others, as
/// the operator named them. Without the rest root cannot look into other
/// processes, load modules or filters into the kernel, or change the machine.
const LEFT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER);

pub(crate) fn give_up(wall: &Wall) -> Report {
    let mut report = Report::default();
    match set_no_new_privs(true) {
        Ok(()) => report.has(Enforced::NoNewPrivs),
        Err(error) => report.lacks(Part::NoNewPrivs, error.to_string()),
    }
    match reduce(wall) {
        Ok(Some(left)) => report.has(Enforced::Capabilities { left }),
        Ok(None) => {}
        Err(error) => report.lacks(Part::Capabilities, error.to_string()),
    }
    report
}

/// The names of what is left; `None` where there was no more than that.
fn reduce(wall: &Wall) -> rustix::io::Result<Option<String>> {
    let mut left = LEFT;
    if !wall.listen.is_closed() {
        // Ports below 1024.
        left |= CapabilitySet::NET_BIND_SERVICE;
    }
    let mut sets = capabilities(None)?;
    if left.contains(sets.permitted | sets.effective | sets.inheritable) {
        return Ok(None);
    }
    for set in [
        &mut sets.permitted,
        &mut sets.effective,
        &mut sets.inheritable,
    ] {
        *set &= left;
    }
    set_capabilities(None, sets)?;
    let names = sets.effective.iter_names().map(|(name, _)| name);
    let names: Vec<String> = names.map(str::to_lowercase).collect();
    Ok(Some(names.join(" ")))
}
