//! Remembers which project an API key opens.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use echo_shared::api_key::{ApiKeyHash, KeyGrant};
use echo_shared::id::ProjectId;
use echo_shared::recent::Recent;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;

use super::remembered::{CAPACITY, memory};

/// The keys that were looked up lately. An instance serves one request at a time, so a flood of made-up keys costs each
/// instance one read after another, and here it takes no room from the keys that work.
#[derive(Debug)]
pub struct GrantCache {
    /// Grants of keys that worked.
    known: Recent<ApiKeyHash, KeyGrant>,
    /// Unknown, revoked and expired keys. They will never work: no key is shown before its rows are written, and no revoked or
    /// expired key comes back.
    refused: Mutex<HashSet<ApiKeyHash>>,
}

impl Default for GrantCache {
    fn default() -> Self {
        Self { known: memory(), refused: Mutex::default() }
    }
}

impl GrantCache {
    fn refused(&self) -> MutexGuard<'_, HashSet<ApiKeyHash>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, hash: &ApiKeyHash, now: Timestamp) -> Option<KeyGrant> {
        self.known.get(hash, now)
    }

    /// The project's shards, if the key opened it when it was last looked up, however long ago.
    pub fn opened(&self, hash: &ApiKeyHash, project_id: &ProjectId) -> Option<Shards> {
        self.known.last(hash).filter(|grant| grant.project_id == *project_id).map(|grant| grant.shards)
    }

    pub fn is_refused(&self, hash: &ApiKeyHash) -> bool {
        self.refused().contains(hash)
    }

    /// Remembers a grant. `read_at` is a moment before it was read.
    pub fn put(&self, grant: KeyGrant, read_at: Timestamp) {
        self.known.put(grant.key_hash.clone(), grant, read_at);
    }

    /// Remembers that a key is unknown, revoked or expired.
    pub fn refuse(&self, hash: ApiKeyHash) {
        self.known.forget(&hash);
        let mut refused = self.refused();
        if refused.len() >= CAPACITY {
            refused.clear();
        }
        refused.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use echo_shared::api_key::{ApiKey, ApiKeyStatus, Reach};
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
            reach: Reach::WHOLE,
        }
    }

    #[test]
    fn a_grant_is_remembered_until_its_key_is_refused() {
        let cache = GrantCache::default();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let grant = grant(now);
        let hash = &grant.key_hash;
        assert_eq!(cache.get(hash, now), None);
        cache.put(grant.clone(), now);
        assert_eq!(cache.get(hash, now).as_ref(), Some(&grant));
        assert_eq!(cache.opened(hash, &grant.project_id), Some(grant.shards));
        assert_eq!(cache.opened(hash, &ProjectId::new(now)), None, "another project");
        assert!(!cache.is_refused(hash));
        cache.refuse(hash.clone());
        assert_eq!(cache.get(hash, now), None);
        assert_eq!(cache.opened(hash, &grant.project_id), None);
        assert!(cache.is_refused(hash));
    }

    #[test]
    fn refused_keys_are_bounded_and_take_no_room_from_those_that_work() {
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
    }
}
