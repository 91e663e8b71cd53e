//! Memories for credentials that were looked up lately.

use std::hash::Hash;
use std::time::Duration;

use echo_shared::recent::Recent;

/// A revoked key and an ended session stop working within 5 s everywhere (contract §2).
const REMEMBERED_FOR: Duration = Duration::from_secs(3);

/// How many credentials of a kind are remembered.
pub(super) const CAPACITY: usize = 1_000;

/// A memory for credentials that were looked up lately.
#[must_use]
pub fn memory<K: Hash + Eq, V: Clone>() -> Recent<K, V> {
    Recent::new(REMEMBERED_FOR, CAPACITY)
}
