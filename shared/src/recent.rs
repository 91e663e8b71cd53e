//! Remembers rows for some seconds, so that a busy caller does not cost a read each time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::Timestamp;

/// Values that were read lately, and when.
#[derive(Debug)]
pub struct Recent<K, V> {
    entries: Mutex<HashMap<K, (V, Timestamp)>>,
    kept_for: Duration,
    capacity: usize,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// Remembers each value for `kept_for`. Beyond `capacity` values it forgets all, which costs a read for each.
    #[must_use]
    pub fn new(kept_for: Duration, capacity: usize) -> Self {
        Self { entries: Mutex::default(), kept_for, capacity }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, (V, Timestamp)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        self.get_within(key, self.kept_for, now)
    }

    /// The value, if it was read less than `max_age` ago.
    pub fn get_within(&self, key: &K, max_age: Duration, now: Timestamp) -> Option<V> {
        let entries = self.entries();
        let (value, read_at) = entries.get(key)?;
        // The wall clock runs on while a function is frozen. If it is set back, nothing is known.
        let is_fresh = *read_at <= now && now.since(*read_at) < max_age;
        is_fresh.then(|| value.clone())
    }

    /// The value that was read last, however long ago.
    pub fn last(&self, key: &K) -> Option<V> {
        self.entries().get(key).map(|(value, _)| value.clone())
    }

    /// Remembers a value. `read_at` is a moment before it was read.
    pub fn put(&self, key: K, value: V, read_at: Timestamp) {
        let mut entries = self.entries();
        if entries.len() >= self.capacity {
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
    fn a_value_is_remembered_for_its_time_or_until_it_is_forgotten() {
        let recent = Recent::new(Duration::from_secs(3), 10);
        let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
        assert_eq!(recent.get(&1, at(0)), None);
        recent.put(1, "one", at(0));
        assert_eq!(recent.get(&1, at(2_999)), Some("one"));
        assert_eq!(recent.get(&1, at(3_000)), None);
        let second = Duration::from_secs(1);
        assert_eq!(recent.get_within(&1, second, at(999)), Some("one"));
        assert_eq!(recent.get_within(&1, second, at(1_000)), None);
        assert_eq!(recent.get(&1, at(-1)), None);
        assert_eq!(recent.last(&1), Some("one"), "however long ago");
        recent.forget(&1);
        assert_eq!(recent.get(&1, at(0)), None);
        assert_eq!(recent.last(&1), None);
    }

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::new(Duration::from_secs(3), 10);
        for key in 0..21 {
            recent.put(key, (), Timestamp::from_millis(0));
        }
        assert!(recent.entries().len() <= 10);
    }
}
