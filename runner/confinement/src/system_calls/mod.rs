//! The second half: which system calls are left. Two filters, because a filter
//! knows two answers only: the first says of some calls that this kernel does
//! not have them, the second refuses what is not in the list (`allowed`).
//!
//! Refused is EPERM, not the end of the process: a library that asks for
//! something new goes on without it, and one overlooked call of a rare path
//! costs that path and not all requests. An attacker may try one call after
//! another that way, and each says no.
//!
//! Whatever arguments decide is in `conditions`; pointers are never looked at,
//! because what they point to can change between the look and the call.

mod allowed;
mod conditions;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use crate::{Enforced, Part, Report, Wall};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// By number; with rules, one of them has to hold.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

pub(crate) fn raise(wall: &Wall) -> Report {
    let mut report = Report::default();
    match filter(wall) {
        Ok(system_calls) => report.has(Enforced::Seccomp { system_calls }),
        Err(seccompiler::Error::ThreadSync(thread)) => {
            let why = format!("thread {thread} has a filter of its own, so none can be for all");
            report.lacks(Part::Seccomp, why);
        }
        Err(error) => report.lacks(Part::Seccomp, error.to_string()),
    }
    report
}

/// How many are left.
fn filter(wall: &Wall) -> Result<usize, seccompiler::Error> {
    let unknown: Calls = allowed::UNKNOWN
        .iter()
        .map(|call| (*call, Vec::new()))
        .collect();
    let mut left: Calls = allowed::PLAIN
        .iter()
        .flat_map(|(_, calls)| *calls)
        .map(|call| (*call, Vec::new()))
        .collect();
    left.extend(conditions::of(wall)?);
    let count = left.len();
    // Of two refusals the later filter's would be the answer.
    left.extend(unknown.clone());
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let not_there = SeccompAction::Errno(libc::ENOSYS as u32);
    let first = program(unknown, SeccompAction::Allow, not_there)?;
    let second = program(left, refused, SeccompAction::Allow)?;
    // In this order: the second leaves no call that could add another.
    apply_filter_all_threads(&first)?;
    apply_filter_all_threads(&second)?;
    Ok(count)
}

fn program(
    calls: Calls,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    Ok(SeccompFilter::new(calls, others, these, ARCHITECTURE)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_should_be_in_two_lists() {
        let everything = Wall {
            give_files_away: true,
            unix_connect: true,
            ..Wall::default()
        };
        let mut all: Vec<i64> = allowed::UNKNOWN.to_vec();
        all.extend(allowed::PLAIN.iter().flat_map(|(_, calls)| *calls));
        all.extend(conditions::of(&everything).expect("conditions").keys());
        all.sort_unstable();
        for pair in all.windows(2) {
            assert_ne!(pair[0], pair[1], "listed twice");
        }
    }

    #[test]
    fn what_was_not_asked_for_should_not_be_there() {
        let rows: [(fn(&mut Wall), i64); 2] = [
            (|wall| wall.give_files_away = true, libc::SYS_fchownat),
            (|wall| wall.unix_connect = true, libc::SYS_connect),
        ];
        for (ask, call) in rows {
            let mut wall = Wall::default();
            let without = conditions::of(&wall).expect("conditions");
            ask(&mut wall);
            let with = conditions::of(&wall).expect("conditions");
            assert!(!without.contains_key(&call) && with.contains_key(&call));
        }
    }
}
