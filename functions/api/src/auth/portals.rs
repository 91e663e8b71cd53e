//! The sessions of portal links. Each is a credential of its own, with a set of scopes like a key's.

use echo_shared::id::{AccountId, PortalLinkId, ProjectId};
use echo_shared::portal_link::{PortalLink, PortalToken, SecretHash};
use echo_shared::scope::Scopes;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;

use crate::app::App;
use crate::error::ApiError;

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
    fn of(link: &PortalLink, token: &PortalToken, now: Timestamp) -> Option<Self> {
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
}

/// # Errors
/// When the token is not one of a session that lasts, or the store did not answer.
pub async fn grant(app: &App, token: &str) -> Result<PortalGrant, ApiError> {
    let token = PortalToken::parse(token).ok_or_else(ApiError::portal_session_refused)?;
    let now = Timestamp::now();
    let is_this = |grant: &PortalGrant| {
        grant.token_hash == token.hash() && grant.project_id == token.project_id() && now < grant.ends_at
    };
    if let Some(grant) = app.portals.get(&token.link_id(), now).filter(is_this) {
        return Ok(grant);
    }
    let link = app.registry.portal_link(&token.project_id(), &token.link_id()).await?;
    let grant = link.and_then(|link| PortalGrant::of(&link, &token, now));
    let grant = grant.ok_or_else(ApiError::portal_session_refused)?;
    app.portals.put(grant.link_id, grant.clone(), now);
    Ok(grant)
}
