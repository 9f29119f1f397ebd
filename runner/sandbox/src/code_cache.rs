//! What the compiler made of single functions, kept in memory for a while: a
//! snapshot is the code of its component over again, and finds it here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Bytes that one generation may take; there are two. The functions of an
/// interpreter take about five million.
const GENERATION: usize = 16 << 20;

/// Functions by wasmtime's key for them.
#[derive(Debug, Default)]
pub(crate) struct CodeCache {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<[u8]>, Box<[u8]>>,
    old: HashMap<Box<[u8]>, Box<[u8]>>,
    young_size: usize,
}

impl Generations {
    fn insert(&mut self, key: &[u8], value: Box<[u8]>) {
        if value.len() > GENERATION {
            return;
        }
        if self.young_size + key.len() + value.len() > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.young_size = 0;
        }
        self.young_size += key.len() + value.len();
        self.young.insert(key.into(), value);
    }
}

impl wasmtime::CacheStore for CodeCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = generations.young.get(key) {
            return Some(Cow::Owned(value.to_vec()));
        }
        let value = generations.old.remove(key)?;
        let copy = value.to_vec();
        // What is used stays.
        generations.insert(key, value);
        Some(Cow::Owned(copy))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        generations.insert(key, value.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::CacheStore;

    #[test]
    fn what_is_used_should_outlive_what_is_not() {
        let cache = CodeCache::default();
        let key = |number: usize| number.to_le_bytes();
        cache.insert(&key(0), vec![7; 10]);
        for number in 1..200 {
            cache.insert(&key(number), vec![0; GENERATION / 20]);
            assert_eq!(
                cache.get(&key(0)).as_deref(),
                Some(&[7; 10][..]),
                "{number}"
            );
        }
        assert!(cache.get(&key(1)).is_none());
        assert!(cache.get(&key(199)).is_some());
        let generations = cache.generations.lock().expect("not poisoned");
        assert!(generations.young.len() + generations.old.len() <= 42);
    }
}
