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
    /// Until then a request is at work that erases the project: it gets no new keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_until: Option<Timestamp>,
}

impl Project {
    /// A project that is made with its first key.
    #[must_use]
    pub fn new(account_id: AccountId, name: String, shards: Shards, now: Timestamp) -> Self {
        let id = ProjectId::new(now);
        Self { account_id, id, name, shards, active_key_count: 1, updated_at: now, closing_until: None }
    }
}
