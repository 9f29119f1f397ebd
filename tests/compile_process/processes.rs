//! Processes as `/proc` shows them.

use std::time::{Duration, Instant};

use harness::{Signal, send_signal};

use crate::stage::SOON;

/// A process, told by its start from a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    started: String,
}

impl Process {
    fn of(id: u32) -> Option<Self> {
        let started = stat(id)?.get(19)?.clone();
        Some(Process { id, started })
    }

    /// In the order of their numbers.
    pub(crate) fn children_of(parent: u32) -> Vec<Process> {
        let all = std::fs::read_dir("/proc").expect("/proc").flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_child = |id: &u32| {
            stat(*id).is_some_and(|stat| stat.get(1).is_some_and(|of| *of == parent.to_string()))
        };
        let mut ids: Vec<u32> = ids.filter(is_child).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(Process::of).collect()
    }

    /// `R` while it computes, `Z` once it ended and nobody has asked how; a space
    /// where it is gone.
    pub(crate) fn state(&self) -> char {
        let same = Process::of(self.id).is_some_and(|now| now == *self);
        let state = stat(self.id).and_then(|stat| stat.first()?.chars().next());
        state.filter(|_| same).unwrap_or(' ')
    }

    /// Whether it has not ended. What a child of the test left without a parent
    /// is waited for by the first process of the system, or not.
    pub(crate) fn is_there(&self) -> bool {
        match self.state() {
            ' ' => false,
            'Z' => stat(self.id).is_some_and(|stat| stat.get(1).is_some_and(|of| of != "1")),
            _ => true,
        }
    }

    pub(crate) fn kill(&self, signal: Signal) {
        send_signal(self.id, signal).expect("it is there");
    }

    pub(crate) fn environment(&self) -> String {
        self.text("environ")
    }

    pub(crate) fn holds(&self, file: &str, line: &str) -> bool {
        self.text(file).lines().any(|held| held == line)
    }

    /// The soft limit of this name.
    pub(crate) fn limit(&self, name: &str) -> String {
        let limits = self.text("limits");
        let row = limits.lines().find_map(|row| row.strip_prefix(name));
        let row = row.unwrap_or_else(|| panic!("no {name} in {limits}"));
        row.split_whitespace().next().expect("a limit").to_owned()
    }

    /// Where a link leads; empty where it is none.
    pub(crate) fn link(&self, name: &str) -> String {
        let link = std::fs::read_link(format!("/proc/{}/{name}", self.id));
        link.map_or(String::new(), |target| target.display().to_string())
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.id)).unwrap_or_default()
    }
}

/// The fields of `/proc/ID/stat` behind the name, which may hold anything.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    Some(behind.split_whitespace().map(str::to_owned).collect())
}

/// The first that is found, within a while.
pub(crate) fn soon_some<T>(mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + SOON;
    loop {
        match find() {
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            found => return found,
        }
    }
}
