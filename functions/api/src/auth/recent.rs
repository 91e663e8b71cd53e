//! Remembers for a few seconds what was read of credentials, so that a busy caller does not cost a read each time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use echo_shared::time::Timestamp;

/// A revoked key and an ended session stop working within 5 s everywhere (contract §2).
const REMEMBERED_FOR: Duration = Duration::from_secs(3);

/// How many entries are remembered. Beyond that all are forgotten, which costs a read each.
pub(super) const CAPACITY: usize = 1_000;

/// Values that were read lately, and when.
#[derive(Debug)]
pub struct Recent<K, V>(Mutex<HashMap<K, (V, Timestamp)>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    fn entries(&self) -> MutexGuard<'_, HashMap<K, (V, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let entries = self.entries();
        let (value, read_at) = entries.get(key)?;
        // The wall clock runs on while a function is frozen. If it is set back, nothing is known.
        let is_fresh = *read_at <= now && now.since(*read_at) < REMEMBERED_FOR;
        is_fresh.then(|| value.clone())
    }

    /// The value that was read last, however long ago.
    pub fn last(&self, key: &K) -> Option<V> {
        self.entries().get(key).map(|(value, _)| value.clone())
    }

    /// Remembers a value. `read_at` is a moment before it was read.
    pub fn put(&self, key: K, value: V, read_at: Timestamp) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key, (value, read_at));
    }

    pub fn forget(&self, key: &K) {
        self.entries().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_remembered_for_three_seconds_or_until_it_is_forgotten() {
        let recent = Recent::default();
        let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
        assert_eq!(recent.get(&1, at(0)), None);
        recent.put(1, "one", at(0));
        assert_eq!(recent.get(&1, at(2_999)), Some("one"));
        assert_eq!(recent.get(&1, at(3_000)), None);
        assert_eq!(recent.get(&1, at(-1)), None);
        assert_eq!(recent.last(&1), Some("one"), "however long ago");
        recent.forget(&1);
        assert_eq!(recent.get(&1, at(0)), None);
        assert_eq!(recent.last(&1), None);
    }

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        for key in 0..CAPACITY * 2 + 1 {
            recent.put(key, (), Timestamp::from_millis(0));
        }
        assert!(recent.entries().len() <= CAPACITY);
    }
}
