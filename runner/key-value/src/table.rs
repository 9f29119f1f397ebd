//! All entries of one store, in memory. An operation takes one of sixteen locks,
//! for as long as a map needs; nothing is waited for behind it.
//!
//! Must not know where the entries come from or go to.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::StoreError;
use crate::clock::Clock;
use crate::shard::{Change, Shard, Space, Value};

const SHARDS: usize = 16;

/// In milliseconds: how often a full table is searched for what is over. More
/// would let a guest that fills it spend everybody's time.
const SEARCH_INTERVAL: u64 = 100;

/// What is left for whoever comes after the store was closed.
const CLOSED: StoreError = StoreError::Unavailable("the store is closed");

/// See the head of this file.
pub(crate) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    /// Keyed at random, since guests choose the keys.
    hasher: RandomState,
    space: Space,
    clock: Clock,
    searched: AtomicU64,
    /// Something changed since changes were last taken.
    changed: AtomicBool,
    on_first_change: Option<OnFirstChange>,
}

/// What a file has to learn.
pub(crate) struct Changes {
    pub(crate) changes: Vec<Change>,
    /// They are all there is: what else is in the file is to go.
    pub(crate) anew: bool,
}

/// Called for the first change after changes were taken.
pub(crate) type OnFirstChange = Box<dyn Fn() + Send + Sync>;

impl Table {
    /// With somebody who takes changes they are kept for him.
    pub(crate) fn new(max_bytes: usize, on_first_change: Option<OnFirstChange>) -> Self {
        let shard = || Mutex::new(Shard::new(on_first_change.is_some()));
        Table {
            shards: std::array::from_fn(|_| shard()),
            hasher: RandomState::new(),
            space: Space::new(max_bytes),
            clock: Clock::start(),
            searched: AtomicU64::new(0),
            changed: AtomicBool::new(false),
            on_first_change,
        }
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let now = self.clock.now();
        let shard = self.open_shard(key)?;
        Ok(shard.get(key, now))
    }

    pub(crate) fn set(
        &self,
        key: &str,
        value: Vec<u8>,
        lifetime: Option<Duration>,
    ) -> Result<(), StoreError> {
        let value = Value::new(value);
        self.with_room(|now| {
            let deadline = Clock::deadline(now, lifetime);
            let mut shard = self.open_shard(key)?;
            shard.set(key, value.clone(), deadline, &self.space)
        })
    }

    pub(crate) fn increment(
        &self,
        key: &str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Result<i64, StoreError> {
        self.with_room(|now| {
            let deadline = Clock::deadline(now, lifetime);
            let mut shard = self.open_shard(key)?;
            shard.add(key, by, deadline, now, &self.space)
        })
    }

    pub(crate) fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.open_shard(key)?.remove(key, &self.space);
        self.note_change();
        Ok(())
    }

    /// Tries again where what is over can make room.
    fn with_room<T>(
        &self,
        attempt: impl Fn(u64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = self.clock.now();
        let mut outcome = attempt(now);
        if matches!(outcome, Err(StoreError::Full { .. })) && self.may_search(now) {
            self.sweep();
            outcome = attempt(now);
        }
        if outcome.is_ok() {
            self.note_change();
        }
        outcome
    }

    fn may_search(&self, now: u64) -> bool {
        let searched = self.searched.load(Ordering::Relaxed);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        now >= searched.saturating_add(SEARCH_INTERVAL)
            && self
                .searched
                .compare_exchange(searched, now, success, failure)
                .is_ok()
    }

    /// Removes what is over. How many there were.
    pub(crate) fn sweep(&self) -> usize {
        let now = self.clock.now();
        let swept = self.each_shard(|shard| shard.sweep(now, &self.space));
        swept.into_iter().sum()
    }

    /// Puts an entry here that the file has, unless it is over or has no room:
    /// then the file is to forget it.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub(crate) fn restore(
        &self,
        key: &str,
        value: Vec<u8>,
        deadline: u64,
    ) -> Result<(), StoreError> {
        let deadline = Clock::from_file(self.clock.now(), deadline);
        let mut shard = self.shard(key);
        let Some(deadline) = deadline else {
            shard.forget_in_file(key, &self.space);
            return Ok(());
        };
        shard.restore(key, Value::new(value), deadline, &self.space)
    }

    /// All that the file has to learn.
    pub(crate) fn take_changes(&self) -> Changes {
        let now = self.clock.now();
        self.changed.store(false, Ordering::Relaxed);
        let anew = self.space.take_anew();
        let mut changes = Vec::new();
        self.each_shard(|shard| {
            if anew {
                shard.change_all();
            }
            shard.take_changes(now, &self.space, &mut changes);
        });
        Changes { changes, anew }
    }

    /// Changes that the file did not learn.
    pub(crate) fn put_back(&self, Changes { changes, anew }: Changes) {
        if anew {
            self.space.put_back_anew();
        }
        for change in changes {
            self.shard(&change.key).put_back(change.key, &self.space);
        }
    }

    pub(crate) fn change_all(&self) {
        self.each_shard(Shard::change_all);
    }

    pub(crate) fn clear(&self) {
        self.each_shard(|shard| shard.clear(&self.space));
    }

    /// From here on nothing changes.
    pub(crate) fn close(&self) {
        self.each_shard(|shard| shard.closed = true);
    }

    pub(crate) fn has_changes(&self) -> bool {
        let some = self.each_shard(|shard| shard.has_changes());
        self.space.is_to_be_anew() || some.contains(&true)
    }

    /// Whoever changes an entry after its shard was asked for changes sees here
    /// that changes were taken, since it had the lock of the shard later.
    fn note_change(&self) {
        let Some(on_first_change) = &self.on_first_change else {
            return;
        };
        // Read first: a place that every operation writes to would be slower
        // than all the rest of it.
        if !self.changed.load(Ordering::Relaxed) && !self.changed.swap(true, Ordering::Relaxed) {
            on_first_change();
        }
    }

    fn each_shard<T>(&self, mut work: impl FnMut(&mut Shard) -> T) -> Vec<T> {
        let locked = self.shards.iter().map(|shard| locked(shard));
        locked.map(|mut shard| work(&mut shard)).collect()
    }

    fn open_shard(&self, key: &str) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let shard = self.shard(key);
        if shard.closed { Err(CLOSED) } else { Ok(shard) }
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        // Reduced modulo the number of shards, so it has a place.
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        locked(&self.shards[index])
    }
}

/// No operation leaves an entry half-changed, so a panic behind the lock spoils
/// nothing.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
