//! Remembers for a few seconds which project an API key opens, so that a busy producer does not cost a read each time.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use echo_shared::api_key::{ApiKeyHash, KeyGrant};
use echo_shared::id::ProjectId;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;

/// A revoked key stops working within 5 s everywhere (contract §2).
const REMEMBERED_FOR: Duration = Duration::from_secs(3);

/// How many known keys, and how many unknown ones, are remembered. Beyond that all of the kind are forgotten, which costs a
/// read each.
const CAPACITY: usize = 1_000;

/// The keys that were looked up lately. An instance serves one request at a time, so a flood of made-up keys costs each
/// instance one read after another, and here it takes no room from the keys that work.
#[derive(Debug, Default)]
pub struct GrantCache {
    /// Grants of keys that worked, by hash, and when they were read.
    known: Mutex<HashMap<ApiKeyHash, (KeyGrant, Timestamp)>>,
    /// Unknown and revoked keys. They will never work: no key is shown before its rows are written, and no revoked key comes back.
    refused: Mutex<HashSet<ApiKeyHash>>,
}

impl GrantCache {
    fn known(&self) -> MutexGuard<'_, HashMap<ApiKeyHash, (KeyGrant, Timestamp)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, HashSet<ApiKeyHash>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, hash: &ApiKeyHash, now: Timestamp) -> Option<KeyGrant> {
        let grants = self.known();
        let (grant, read_at) = grants.get(hash)?;
        // The wall clock runs on while a function is frozen. If it is set back, nothing is known.
        let is_fresh = *read_at <= now && now.since(*read_at) < REMEMBERED_FOR;
        is_fresh.then(|| grant.clone())
    }

    /// The project's shards, if the key opened it when it was last looked up, however long ago.
    pub fn opened(&self, hash: &ApiKeyHash, project_id: &ProjectId) -> Option<Shards> {
        let known = self.known();
        known.get(hash).filter(|(grant, _)| grant.project_id == *project_id).map(|(grant, _)| grant.shards)
    }

    pub fn is_refused(&self, hash: &ApiKeyHash) -> bool {
        self.refused().contains(hash)
    }

    /// Remembers a grant. `read_at` is a moment before it was read.
    pub fn put(&self, grant: KeyGrant, read_at: Timestamp) {
        let mut grants = self.known();
        if grants.len() >= CAPACITY {
            grants.clear();
        }
        grants.insert(grant.key_hash.clone(), (grant, read_at));
    }

    /// Remembers that a key is unknown or revoked.
    pub fn refuse(&self, hash: ApiKeyHash) {
        self.known().remove(&hash);
        let mut refused = self.refused();
        if refused.len() >= CAPACITY {
            refused.clear();
        }
        refused.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use echo_shared::api_key::{ApiKey, ApiKeyStatus};
    use echo_shared::id::{AccountId, ApiKeyId};

    use super::*;

    fn grant(now: Timestamp) -> KeyGrant {
        KeyGrant {
            key_hash: ApiKey::generate().hash(),
            project_id: ProjectId::new(now),
            account_id: AccountId::new(now),
            shards: Shards::ONE,
            api_key_id: ApiKeyId::new(now),
            status: ApiKeyStatus::Active,
        }
    }

    #[test]
    fn a_grant_is_remembered_for_three_seconds_or_until_its_key_is_refused() {
        let cache = GrantCache::default();
        let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
        let grant = grant(at(0));
        let hash = &grant.key_hash;
        assert_eq!(cache.get(hash, at(0)), None);
        cache.put(grant.clone(), at(0));
        assert_eq!(cache.get(hash, at(2_999)).as_ref(), Some(&grant));
        assert_eq!(cache.get(hash, at(3_000)), None);
        assert_eq!(cache.get(hash, at(-1)), None);
        assert_eq!(cache.opened(hash, &grant.project_id), Some(grant.shards), "however long ago");
        assert_eq!(cache.opened(hash, &ProjectId::new(at(0))), None, "another project");
        assert!(!cache.is_refused(hash));
        cache.refuse(hash.clone());
        assert_eq!(cache.get(hash, at(0)), None);
        assert_eq!(cache.opened(hash, &grant.project_id), None);
        assert!(cache.is_refused(hash));
    }

    #[test]
    fn memory_is_bounded() {
        let cache = GrantCache::default();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let works = grant(now);
        cache.put(works.clone(), now);
        for _ in 0..CAPACITY * 2 + 1 {
            cache.refuse(ApiKey::generate().hash());
        }
        assert!(cache.refused().len() <= CAPACITY);
        assert!(
            cache.get(&works.key_hash, now).is_some(),
            "a key that works was forgotten for those that do not"
        );
        for _ in 0..CAPACITY * 2 + 1 {
            cache.put(grant(now), now);
        }
        assert!(cache.known().len() <= CAPACITY);
    }
}
