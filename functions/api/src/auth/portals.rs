//! The sessions of portal links. Each is a credential of its own, with a set of scopes like a key's.

use echo_shared::id::{AccountId, PortalLinkId, ProjectId};
use echo_shared::portal_link::{PortalLink, PortalToken, SecretHash};
use echo_shared::scope::Scopes;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;

/// The part of a project that a portal session opens.
#[derive(Debug, Clone)]
pub struct PortalGrant {
    pub link_id: PortalLinkId,
    pub project_id: ProjectId,
    pub owner_id: AccountId,
    pub shards: Shards,
    pub scopes: Scopes,
    pub ends_at: Timestamp,
    token_hash: SecretHash,
}

impl PortalGrant {
    /// What the token opens; `None` when its session does not last.
    pub(super) fn of(link: &PortalLink, token: &PortalToken, now: Timestamp) -> Option<Self> {
        let session = link.opened_by(token, now)?;
        Some(Self {
            link_id: link.id,
            project_id: link.project_id,
            owner_id: link.owner_id,
            shards: link.shards,
            scopes: link.scopes,
            ends_at: session.ends_at,
            token_hash: session.token_hash.clone(),
        })
    }
    /// Whether this is the session that the token opens, and the session still lasts.
    pub(super) fn is_of(&self, token: &PortalToken, now: Timestamp) -> bool {
        self.token_hash == token.hash() && self.project_id == token.project_id() && now < self.ends_at
    }
}
