//! What is measured, as data: programs with their configuration, and loads.
//!
//! Must not know how either is run.

use std::path::Path;

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Constant replies.
    Floor,
    /// This runner, with this added to its configuration file.
    Runner(&'static str),
    /// Whoever listens on PEER_SOCKET.
    Peer,
}

/// A column of the results.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) program: Program,
}

pub(crate) const FLOOR: &str = "floor";
pub(crate) const DEFAULT: &str = "default";
pub(crate) const PEER: &str = "peer";

/// In the order of the tables.
pub(crate) const SUBJECTS: [Subject; 6] = [
    Subject {
        name: FLOOR,
        what: "a tokio program that answers each frame with constant bytes",
        program: Program::Floor,
    },
    Subject {
        name: "fresh",
        what: "a fresh instance for each filter in each call, configured in the call",
        program: Program::Runner("plugins:\n  probe: {snapshot: \"off\", instances: fresh}\n"),
    },
    Subject {
        name: "snapshot",
        what: "a fresh instance, made of a snapshot that was configured before",
        program: Program::Runner("plugins:\n  probe: {snapshot: always, instances: fresh}\n"),
    },
    Subject {
        name: "warm",
        what: "an instance that is used again",
        program: Program::Runner("plugins:\n  probe: {instances: warm}\n"),
    },
    Subject {
        name: DEFAULT,
        what: "the runner as it is without a configuration file",
        program: Program::Runner(""),
    },
    Subject {
        name: PEER,
        what: "the runner behind PEER_SOCKET",
        program: Program::Peer,
    },
];

/// The configuration file of a runner with this of its own. Compiled components
/// are kept in `cache` and not where those of the user's own runner are.
pub(crate) fn config_file(own: &str, cache: &Path) -> String {
    let cache = cache.display();
    format!("logging:\n  level: warn\ncache:\n  dir: {cache}\n{own}")
}

/// What the filter does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// `probe` with this configuration.
    Probe(&'static str),
    /// The peer's PEER_PLUGIN and PEER_CONF do the same where there is a peer.
    SetHeader,
    /// Any other module that was built: its name.
    Guest(String),
}

/// What all runners do in comparisons.
pub(crate) const SET_HEADER: &str = r#"{"set_headers":{"X-A":"1"}}"#;

/// One load on one subject, at several numbers of connections.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) subject: &'static str,
    pub(crate) work: Work,
    /// For `runner bench`, beyond socket, plugin, configuration, connections.
    pub(crate) options: &'static [&'static str],
    pub(crate) body_kib: usize,
    pub(crate) connections: &'static [u32],
    /// Driver and program share one core, as one request in flight lets them:
    /// what waking another core costs, in a virtual machine more than all the
    /// rest, is left out.
    pub(crate) one_core: bool,
}

const ALL: &[u32] = &[1, 8, 64];
const FEW: &[u32] = &[1, 8];
const EIGHT: &[u32] = &[8];
const ONE: &[u32] = &[1];

/// The load that figures are relative to.
pub(crate) const USUAL: &str = "sets a header";
/// The same with a large request.
pub(crate) const WIDE: &str = "sets a header; 50 headers, 20 arguments";
/// The same where no core has to wake another.
pub(crate) const ONE_CORE: &str = "sets a header; driver and runner on one core";
pub(crate) const BODY_64K: &str = "reads a variable, replaces a body of 64 KiB";
pub(crate) const BODY_1M: &str = "reads a variable, replaces a body of 1 MiB";

const WIDE_OPTIONS: &[&str] = &["--headers", "50", "--args", "20"];
const REPLACE: Work = Work::Probe(r#"{"vars":["remote_user"],"echo_body":true}"#);

/// All loads. `guests` are the names of modules beyond the usual ones.
pub(crate) fn loads(guests: &[String]) -> Vec<Load> {
    let mut loads = Vec::new();
    for subject in &SUBJECTS {
        let load = |name: &str, work: &Work, options, body_kib, connections| Load {
            name: name.into(),
            subject: subject.name,
            work: work.clone(),
            options,
            body_kib,
            connections,
            one_core: name == ONE_CORE,
        };
        loads.push(load(USUAL, &Work::SetHeader, &[], 0, ALL));
        loads.push(load(ONE_CORE, &Work::SetHeader, &[], 0, ONE));
        loads.push(load(WIDE, &Work::SetHeader, WIDE_OPTIONS, 0, EIGHT));
        if matches!(subject.program, Program::Runner(_)) {
            loads.push(load(BODY_64K, &REPLACE, &[], 64, ONE));
            loads.push(load(BODY_1M, &REPLACE, &[], 1024, ONE));
        }
        if subject.name == DEFAULT {
            let chain = &Work::Probe(SET_HEADER);
            let reads = &Work::Probe(r#"{"vars":["remote_addr","request_id"],"body":true}"#);
            let reads_name = "reads two variables and a body of 10 KiB";
            loads.push(load("chain of 5", chain, &["--chain", "5"], 0, FEW));
            loads.push(load("chain of 20", chain, &["--chain", "20"], 0, FEW));
            loads.push(load(reads_name, reads, &[], 10, FEW));
            loads.extend(guests.iter().map(|guest| {
                let name = format!("guest {guest}");
                load(&name, &Work::Guest(guest.clone()), &[], 0, FEW)
            }));
        }
    }
    loads
}
