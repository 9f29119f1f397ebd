//! One part of a table, behind one lock: entries, and which of them differ from
//! the file. Knows neither the lock nor the file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
}

impl Space {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Space {
            max_bytes,
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
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
    /// Keys whose entry differs from the file. One without an entry is to be
    /// removed there; a key that the file never had is not kept here, so this
    /// is never more than what is here and what is there.
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
        if entry.in_file {
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
            _ => self.forget_in_file(key),
        }
        kept
    }

    /// Has a key removed from the file that is not here.
    pub(crate) fn forget_in_file(&mut self, key: &str) {
        self.changes.insert(key.into());
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
    pub(crate) fn take_changes(&mut self, now: u64, into: &mut Vec<Change>) {
        for key in std::mem::take(&mut self.changes) {
            let value = self.entries.get_mut(&key).map(|entry| {
                entry.changed = false;
                entry.in_file = true;
                (entry.value.clone(), Clock::to_file(now, entry.deadline))
            });
            into.push(Change { key, value });
        }
    }

    /// What the file did not learn after all.
    pub(crate) fn put_back(&mut self, key: Arc<str>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.changed = true;
        }
        self.changes.insert(key);
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
        }
        self.changes.clear();
    }
}
