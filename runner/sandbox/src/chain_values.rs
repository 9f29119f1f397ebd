//! Values that the filters of one call pass to those after them, bounded in
//! bytes. They live as long as the call.

use std::collections::BTreeMap;

/// Bytes that all keys and values of one call may take together
/// (`wit/chain.wit` promises it).
const LIMIT: usize = 64 << 10;

#[derive(Debug, Default, Clone)]
pub(crate) struct ChainValues {
    values: BTreeMap<String, String>,
    size: usize,
}

impl ChainValues {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Returns false, and changes nothing, where the limit would be passed.
    pub(crate) fn set(&mut self, key: String, value: String) -> bool {
        let replaced = self.values.get(&key).map_or(0, |old| key.len() + old.len());
        let size = self.size - replaced + key.len() + value.len();
        if size > LIMIT {
            return false;
        }
        self.size = size;
        self.values.insert(key, value);
        true
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.size -= key.len() + value.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_a_value_should_free_its_bytes() {
        let mut values = ChainValues::default();
        let half = "x".repeat(LIMIT / 2);
        assert!(values.set("a".into(), half.clone()));
        assert!(values.set("a".into(), half.clone()));
        assert!(!values.set("b".into(), half.clone()), "65,538 bytes");
        values.remove("a");
        assert!(values.set("b".into(), half));
        assert_eq!(values.get("a"), None);
    }
}
