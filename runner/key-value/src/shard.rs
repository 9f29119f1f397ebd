//! One part of a table, behind one lock: entries, and which of them differ from
//! the file. Knows neither the lock nor the file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::StoreError;
use crate::clock::{Clock, NEVER};
use crate::number;

/// What an entry takes beyond its key and value: its place in the map, the
/// counts of its allocations, its place among the changes.
const ENTRY_OVERHEAD: usize = 128;

/// What all shards together hold.
#[derive(Debug)]
pub(crate) struct Space {
    max_bytes: usize,
    bytes: AtomicUsize,
    entries: AtomicUsize,
    /// Bytes of keys that are gone and that the file still has to forget.
    marks: AtomicUsize,
    /// There were more of them than are kept: the file is to be written anew,
    /// with what is here and nothing else.
    anew: AtomicBool,
}

impl Space {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Space {
            max_bytes,
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            marks: AtomicUsize::new(0),
            anew: AtomicBool::new(false),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Whether there is room for another mark: they may take as much again as the
    /// entries, which is reached where the file cannot be written for long.
    fn mark(&self, key: &str) -> bool {
        if self.marks.load(Ordering::Relaxed) >= self.max_bytes {
            self.anew.store(true, Ordering::Relaxed);
            return false;
        }
        let bytes = key.len() + ENTRY_OVERHEAD;
        self.marks.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// Whether the file is to be written anew; from now on it counts as written.
    pub(crate) fn take_anew(&self) -> bool {
        self.anew.swap(false, Ordering::Relaxed)
    }

    /// It was not written anew after all.
    pub(crate) fn put_back_anew(&self) {
        self.anew.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_to_be_anew(&self) -> bool {
        self.anew.load(Ordering::Relaxed)
    }

    fn unmarked(&self, key: &str) {
        let bytes = key.len() + ENTRY_OVERHEAD;
        self.marks.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes room for what takes `new` bytes in place of what took `old`.
    fn exchange(&self, old: usize, new: usize) -> Result<(), StoreError> {
        if new <= old {
            self.bytes.fetch_sub(old - new, Ordering::Relaxed);
            return Ok(());
        }
        let grown = |bytes: usize| {
            let sum = bytes.checked_add(new - old)?;
            (sum <= self.max_bytes).then_some(sum)
        };
        let full = |_| StoreError::Full {
            limit: self.max_bytes,
        };
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        self.bytes
            .fetch_update(success, failure, grown)
            .map_err(full)?;
        Ok(())
    }
}

/// A value as it is kept. A number is one whoever wrote it, so that it takes the
/// same after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    /// Shared, so that a copy for the file costs nothing behind the lock.
    Bytes(Arc<[u8]>),
}

impl Value {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        match number::parse(&bytes) {
            Some(number) => Value::Number(number),
            None => Value::Bytes(bytes.into()),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Value::Number(number) => number.to_string().into_bytes(),
            Value::Bytes(bytes) => bytes.to_vec(),
        }
    }

    /// For a number that of the longest, so that counting never needs room.
    fn len(&self) -> usize {
        match self {
            Value::Number(_) => number::MAX_DIGITS,
            Value::Bytes(bytes) => bytes.len(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    value: Value,
    deadline: u64,
    /// It is among the changes.
    changed: bool,
    /// The file has this key, or is about to.
    in_file: bool,
}

/// What the file has to learn about a key: its value, or that it is gone.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: Arc<str>,
    /// With the deadline as [`Clock::to_file`] gives it.
    pub(crate) value: Option<(Value, u64)>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    entries: HashMap<Arc<str>, Entry>,
    /// Keys whose entry differs from the file. One without an entry is a mark: it
    /// is to be removed there. A key that was never on its way to the file leaves
    /// none.
    changes: HashSet<Arc<str>>,
    /// There is a file that has to learn of changes.
    has_file: bool,
    /// Nothing may change any more, because the file would not learn of it.
    pub(crate) closed: bool,
}

fn cost(key: &str, value: &Value) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

impl Shard {
    pub(crate) fn new(has_file: bool) -> Self {
        Shard {
            has_file,
            ..Shard::default()
        }
    }

    pub(crate) fn get(&self, key: &str, now: u64) -> Option<Vec<u8>> {
        let entry = self.entries.get(key)?;
        (entry.deadline > now).then(|| entry.value.to_bytes())
    }

    pub(crate) fn set(
        &mut self,
        key: &str,
        value: Value,
        deadline: u64,
        space: &Space,
    ) -> Result<(), StoreError> {
        let new = cost(key, &value);
        if let Some(entry) = self.entries.get_mut(key) {
            space.exchange(cost(key, &entry.value), new)?;
            entry.value = value;
            entry.deadline = deadline;
            self.note_change(key);
            return Ok(());
        }
        space.exchange(0, new)?;
        space.entries.fetch_add(1, Ordering::Relaxed);
        let key: Arc<str> = key.into();
        // A key that waits to be removed from the file is still in it.
        let in_file = self.has_file && !self.changes.insert(key.clone());
        if in_file {
            space.unmarked(&key);
        }
        let entry = Entry {
            value,
            deadline,
            changed: self.has_file,
            in_file,
        };
        self.entries.insert(key, entry);
        Ok(())
    }

    /// The sum, which is kept with the deadline that the number had, or with
    /// this one where there was none.
    pub(crate) fn add(
        &mut self,
        key: &str,
        by: i64,
        deadline: u64,
        now: u64,
        space: &Space,
    ) -> Result<i64, StoreError> {
        let Some(entry) = self.entries.get_mut(key).filter(|it| it.deadline > now) else {
            self.set(key, Value::Number(by), deadline, space)?;
            return Ok(by);
        };
        let Value::Number(number) = &mut entry.value else {
            return Err(StoreError::NotANumber);
        };
        let sum = number.checked_add(by).ok_or(StoreError::Overflow)?;
        *number = sum;
        if !entry.changed {
            self.note_change(key);
        }
        Ok(sum)
    }

    pub(crate) fn remove(&mut self, key: &str, space: &Space) {
        let Some((key, entry)) = self.entries.remove_entry(key) else {
            return;
        };
        space
            .bytes
            .fetch_sub(cost(&key, &entry.value), Ordering::Relaxed);
        space.entries.fetch_sub(1, Ordering::Relaxed);
        if entry.in_file && space.mark(&key) {
            self.changes.insert(key);
        } else {
            self.changes.remove(&key);
        }
    }

    /// Removes what is over. How many there were.
    pub(crate) fn sweep(&mut self, now: u64, space: &Space) -> usize {
        let over = |(key, entry): (&Arc<str>, &Entry)| {
            (entry.deadline != NEVER && entry.deadline <= now).then(|| key.clone())
        };
        let keys: Vec<Arc<str>> = self.entries.iter().filter_map(over).collect();
        for key in &keys {
            self.remove(key, space);
        }
        keys.len()
    }

    /// Puts an entry here that the file has; where it has no room, the file is
    /// to forget it.
    pub(crate) fn restore(
        &mut self,
        key: &str,
        value: Value,
        deadline: u64,
        space: &Space,
    ) -> Result<(), StoreError> {
        let kept = self.set(key, value, deadline, space);
        match self.entries.get_mut(key) {
            Some(entry) if kept.is_ok() => {
                entry.in_file = true;
                entry.changed = false;
                self.changes.remove(key);
            }
            _ => self.forget_in_file(key, space),
        }
        kept
    }

    /// Has a key removed from the file that is not here.
    pub(crate) fn forget_in_file(&mut self, key: &str, space: &Space) {
        if !self.changes.contains(key) && space.mark(key) {
            self.changes.insert(key.into());
        }
    }

    fn note_change(&mut self, key: &str) {
        if !self.has_file {
            return;
        }
        if let Some((key, _)) = self.entries.get_key_value(key) {
            self.changes.insert(key.clone());
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.changed = true;
        }
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What the file has to learn; from now on it counts as learnt.
    pub(crate) fn take_changes(&mut self, now: u64, space: &Space, into: &mut Vec<Change>) {
        for key in std::mem::take(&mut self.changes) {
            let value = self.entries.get_mut(&key).map(|entry| {
                entry.changed = false;
                entry.in_file = true;
                (entry.value.clone(), Clock::to_file(now, entry.deadline))
            });
            if value.is_none() {
                space.unmarked(&key);
            }
            into.push(Change { key, value });
        }
    }

    /// What the file did not learn after all, or perhaps did: a write that fails
    /// at its end may be in it.
    pub(crate) fn put_back(&mut self, key: Arc<str>, space: &Space) {
        match self.entries.get_mut(&key) {
            Some(entry) => {
                (entry.changed, entry.in_file) = (true, true);
                self.changes.insert(key);
            }
            None => self.forget_in_file(&key, space),
        }
    }

    /// Has the file learn everything, since it is another one.
    pub(crate) fn change_all(&mut self) {
        for (key, entry) in &mut self.entries {
            entry.changed = true;
            self.changes.insert(key.clone());
        }
    }

    /// Forgets what came from a file that turned out to be damaged.
    pub(crate) fn clear(&mut self, space: &Space) {
        for (key, entry) in self.entries.drain() {
            space
                .bytes
                .fetch_sub(cost(&key, &entry.value), Ordering::Relaxed);
            space.entries.fetch_sub(1, Ordering::Relaxed);
            self.changes.remove(&key);
        }
        for key in self.changes.drain() {
            space.unmarked(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BYTES: usize = 10_000;

    fn written(shard: &mut Shard, space: &Space) -> Vec<Change> {
        let mut changes = Vec::new();
        shard.take_changes(0, space, &mut changes);
        changes
    }

    #[test]
    fn keys_that_come_and_go_while_the_file_fails_should_not_all_be_remembered() {
        let (mut shard, space) = (Shard::new(true), Space::new(MAX_BYTES));
        let largest = 10 + ENTRY_OVERHEAD;
        let mut before = Vec::new();
        for number in 0..1000 {
            // Each time the write fails that was to make the file forget.
            let failing = written(&mut shard, &space);
            let keys = (0..10).map(|key| format!("key-{number}-{key}"));
            for key in keys.clone() {
                let set = shard.set(&key, Value::Number(1), NEVER, &space);
                set.expect("room for what is new");
            }
            for key in std::mem::replace(&mut before, keys.collect()) {
                shard.remove(&key, &space);
            }
            for change in failing {
                shard.put_back(change.key, &space);
            }
            let marks = space.marks.load(Ordering::Relaxed);
            assert!(marks < MAX_BYTES + largest, "{marks} bytes of marks");
            assert!(shard.changes.len() < 100, "{}", shard.changes.len());
        }
        assert!(space.take_anew() && !space.is_to_be_anew());
        // What there is, is what the file will have.
        shard.change_all();
        let kept = written(&mut shard, &space).into_iter();
        let kept = kept.filter(|change| change.value.is_some()).count();
        assert_eq!((kept, space.entries()), (10, 10));
        assert_eq!(space.marks.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_key_that_comes_back_while_its_removal_fails_should_be_removed_in_the_end() {
        let (mut shard, space) = (Shard::new(true), Space::new(MAX_BYTES));
        let set = |shard: &mut Shard| shard.set("k", Value::Number(1), NEVER, &space);
        set(&mut shard).expect("room");
        assert_eq!(written(&mut shard, &space).len(), 1);
        shard.remove("k", &space);
        let removal = written(&mut shard, &space);
        set(&mut shard).expect("room");
        for change in removal {
            shard.put_back(change.key, &space);
        }
        shard.remove("k", &space);
        let changes = written(&mut shard, &space);
        assert_eq!(changes.len(), 1, "the file still has it");
        assert!(changes[0].value.is_none());
        assert_eq!(space.marks.load(Ordering::Relaxed), 0);
    }
}
