//! A short memory of what API keys open, so that a busy producer does not cost a read each time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use echo_shared::api_key::{ApiKeyHash, KeyGrant};
use echo_shared::time::Timestamp;

/// A revoked key stops working within 5 s everywhere (contract §2).
const REMEMBERED_FOR: Duration = Duration::from_secs(3);

/// Keys remembered at once; past it all are forgotten, which costs a read each.
const CAPACITY: usize = 1_000;

/// Grants of keys that worked, by hash. Keys that did not are looked up each time, so a new key works at once.
#[derive(Debug, Default)]
pub struct GrantCache(Mutex<HashMap<ApiKeyHash, (KeyGrant, Timestamp)>>);

impl GrantCache {
    pub fn get(&self, hash: &ApiKeyHash, now: Timestamp) -> Option<KeyGrant> {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (grant, read_at) = grants.get(hash)?;
        // The wall clock goes on while a function is frozen. It may also be set back, and then nothing is known.
        let is_fresh = *read_at <= now && now.since(*read_at) < REMEMBERED_FOR;
        is_fresh.then(|| grant.clone())
    }

    /// Remembers a grant; `read_at` is from before it was read.
    pub fn put(&self, grant: KeyGrant, read_at: Timestamp) {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= CAPACITY {
            grants.clear();
        }
        grants.insert(grant.key_hash.clone(), (grant, read_at));
    }

    pub fn forget(&self, hash: &ApiKeyHash) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use echo_shared::api_key::{ApiKey, ApiKeyStatus};
    use echo_shared::id::{AccountId, ApiKeyId, ProjectId};

    use super::*;

    fn grant(now: Timestamp) -> KeyGrant {
        KeyGrant {
            key_hash: ApiKey::generate().hash(),
            project_id: ProjectId::new(now),
            account_id: AccountId::new(now),
            api_key_id: ApiKeyId::new(now),
            status: ApiKeyStatus::Active,
        }
    }

    #[test]
    fn a_grant_is_remembered_for_three_seconds_or_until_forgotten() {
        let cache = GrantCache::default();
        let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
        let grant = grant(at(0));
        let hash = &grant.key_hash;
        assert_eq!(cache.get(hash, at(0)), None);
        cache.put(grant.clone(), at(0));
        assert_eq!(cache.get(hash, at(2_999)).as_ref(), Some(&grant));
        assert_eq!(cache.get(hash, at(3_000)), None);
        assert_eq!(cache.get(hash, at(-1)), None);
        cache.forget(hash);
        assert_eq!(cache.get(hash, at(0)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let cache = GrantCache::default();
        let now = Timestamp::from_millis(1_700_000_000_000);
        for _ in 0..CAPACITY * 2 + 1 {
            cache.put(grant(now), now);
        }
        assert!(cache.0.lock().expect("no panic").len() <= CAPACITY);
    }
}
