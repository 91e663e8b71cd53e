//! A project owns endpoints, events and keys. Each customer normally has one project.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ProjectId};
use crate::shards::Shards;
use crate::time::Timestamp;

/// One row of the projects table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub account_id: AccountId,
    pub id: ProjectId,
    pub name: String,
    /// Over how many partitions its events and deliveries are spread.
    pub shards: Shards,
    /// Each new or revoked key changes this count in its own transaction, so the cap is exact.
    pub active_key_count: u32,
    pub updated_at: Timestamp,
}

impl Project {
    /// A project that is made with its first key.
    #[must_use]
    pub fn new(account_id: AccountId, name: String, shards: Shards, now: Timestamp) -> Self {
        Self { account_id, id: ProjectId::new(now), name, shards, active_key_count: 1, updated_at: now }
    }
}
