//! Links to the portal, for a project's customer (contract §2). A link has a code that works once, and one session,
//! which that code opens.
//!
//! The answer to a code may get lost. So the caller that redeems it makes up a nonce before, and sends both. The session's
//! token follows from code and nonce: the same two give the same token again, and another nonce gives none. So a lost
//! answer costs nothing, and a code that somebody else has read opens nothing.

mod secrets;

pub use self::secrets::{Nonce, PortalCode, PortalToken, SecretHash};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api_key::{CreatedBy, Reach};
use crate::id::{AccountId, PortalLinkId, ProjectId};
use crate::scope::{Scope, Scopes};
use crate::shards::Shards;
use crate::time::Timestamp;

/// For how many seconds a link can be redeemed.
pub const REDEEMABLE_SECONDS: Bounds = Bounds { least: 60, most: 86_400, default: 3_600 };
/// How many seconds its session lasts.
pub const SESSION_SECONDS: Bounds = Bounds { least: 300, most: 86_400, default: 28_800 };

/// What a caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub least: u32,
    pub most: u32,
    pub default: u32,
}

/// One row of the sessions table: a link, and its session once it is redeemed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalLink {
    /// The name that the key has in this table. See [`PortalLink::partition`].
    #[serde(rename = "account_id")]
    pub partition: String,
    pub id: PortalLinkId,
    pub project_id: ProjectId,
    /// The account of the project.
    pub owner_id: AccountId,
    /// Those of the project.
    pub shards: Shards,
    pub scopes: Scopes,
    pub created_by: CreatedBy,
    pub code_hash: SecretHash,
    pub redeemable_until: Timestamp,
    pub session_seconds: u32,
    /// When the key that made the link ends. Its session does not outlast it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker_ends_at: Option<Timestamp>,
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub session: Option<PortalSession>,
    /// Unix seconds: until then the link can be redeemed, or its session lasts.
    pub expires_at: i64,
}

/// The session of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalSession {
    pub token_hash: SecretHash,
    pub redeemed_at: Timestamp,
    pub ends_at: Timestamp,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub expires_in_seconds: u32,
    pub session_seconds: u32,
    pub read_only: bool,
}

/// The answer to a code and a nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeem {
    /// The code opens this session.
    Open(PortalSession),
    /// It has opened this session before, with this nonce.
    Repeat(PortalSession),
    /// It has opened a session with another nonce, or that session is over.
    Used,
    Expired,
    /// It is not the link's code.
    Unknown,
}

impl Asked {
    /// What the session may do. No link gives a key's own rights: posting events and keys.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        let all = [Scope::Read, Scope::EndpointsWrite];
        all.into_iter().filter(|scope| !self.read_only || *scope == Scope::Read).collect()
    }
}

impl PortalLink {
    /// The partition of a project's links in the sessions table.
    #[must_use]
    pub fn partition(project_id: &ProjectId) -> String {
        format!("portal#{project_id}")
    }

    /// A new link and its code. `maker` is the reach of the caller that makes it.
    #[must_use]
    pub fn new(
        (project_id, owner_id, shards): (ProjectId, AccountId, Shards),
        asked: &Asked,
        (created_by, maker): (CreatedBy, Reach),
        now: Timestamp,
    ) -> (Self, PortalCode) {
        let id = PortalLinkId::new(now);
        let code = PortalCode::generate(project_id, id);
        let until = now.plus(Duration::from_secs(asked.expires_in_seconds.into()));
        let until = maker.ends_at.map_or(until, |end| end.min(until));
        let link = Self {
            partition: Self::partition(&project_id),
            id,
            project_id,
            owner_id,
            shards,
            scopes: asked.scopes(),
            created_by,
            code_hash: code.0.hash(),
            redeemable_until: until,
            session_seconds: asked.session_seconds,
            maker_ends_at: maker.ends_at,
            session: None,
            expires_at: until.as_seconds(),
        };
        (link, code)
    }

    /// Decides on a code and a nonce.
    #[must_use]
    pub fn redeem(&self, code: &PortalCode, nonce: &Nonce, now: Timestamp) -> Redeem {
        if self.code_hash != code.0.hash()
            || self.id != code.link_id()
            || self.project_id != code.project_id()
        {
            return Redeem::Unknown;
        }
        let token_hash = code.token(nonce).hash();
        match &self.session {
            Some(session) if session.token_hash == token_hash && now < session.ends_at => {
                Redeem::Repeat(session.clone())
            }
            Some(_) => Redeem::Used,
            None if now >= self.redeemable_until => Redeem::Expired,
            None => {
                let end = now.plus(Duration::from_secs(self.session_seconds.into()));
                let ends_at = self.maker_ends_at.map_or(end, |latest| latest.min(end));
                Redeem::Open(PortalSession { token_hash, redeemed_at: now, ends_at })
            }
        }
    }

    /// The link's session, if this token is its own and it lasts.
    #[must_use]
    pub fn opened_by(&self, token: &PortalToken, now: Timestamp) -> Option<&PortalSession> {
        let is_own = self.id == token.link_id() && self.project_id == token.project_id();
        let session = self.session.as_ref().filter(|_| is_own)?;
        (session.token_hash == token.hash() && now < session.ends_at).then_some(session)
    }

    /// Whether the link can still be redeemed, or its session lasts.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.session.as_ref().map_or(self.redeemable_until, |session| session.ends_at)
    }

    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        !self.scopes.contains(Scope::EndpointsWrite)
    }
}

#[cfg(test)]
mod tests {
    use super::secrets::{LinkSecret, SECRET_BYTES};
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);
    const ASKED: Asked = Asked { expires_in_seconds: 600, session_seconds: 900, read_only: false };

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn link(asked: &Asked, ends_at: Option<Timestamp>) -> (PortalLink, PortalCode) {
        let project = (ProjectId::new(NOW), AccountId::new(NOW), Shards::ONE);
        PortalLink::new(project, asked, (CreatedBy::Account, Reach { ends_at, ..Reach::WHOLE }), NOW)
    }

    fn nonce(byte: u8) -> Nonce {
        Nonce([byte; SECRET_BYTES])
    }

    fn opened(link: &PortalLink, code: &PortalCode, at: Timestamp) -> PortalLink {
        let Redeem::Open(session) = link.redeem(code, &nonce(1), at) else { panic!("a new link opens") };
        PortalLink { session: Some(session), ..link.clone() }
    }

    #[test]
    fn a_code_opens_one_session_and_gives_it_again_to_its_own_nonce_alone() {
        let (link, code) = link(&ASKED, None);
        let after = opened(&link, &code, later(599));
        let token = code.token(&nonce(1));
        let session = after.session.clone().expect("a session");
        assert_eq!((session.redeemed_at, session.ends_at), (later(599), later(599 + 900)));
        assert_eq!(after.redeem(&code, &nonce(1), later(700)), Redeem::Repeat(session));
        assert_eq!(after.redeem(&code, &nonce(2), later(700)), Redeem::Used);
        assert_eq!(after.redeem(&code, &nonce(1), later(599 + 900)), Redeem::Used, "its session is over");
        assert!(after.opened_by(&token, later(599 + 899)).is_some());
        assert!(after.opened_by(&token, later(599 + 900)).is_none());
        assert!(after.opened_by(&code.token(&nonce(2)), later(600)).is_none());
        assert!(link.opened_by(&token, later(1)).is_none(), "before it is redeemed");
    }

    #[test]
    fn a_code_can_be_redeemed_until_its_end() {
        let (link, code) = link(&ASKED, None);
        assert_eq!(link.redeem(&code, &nonce(1), later(600)), Redeem::Expired);
        assert!(link.lives(later(599)) && !link.lives(later(600)));
        let after = opened(&link, &code, NOW);
        assert!(after.lives(later(899)) && !after.lives(later(900)));
    }

    #[test]
    fn another_code_opens_nothing() {
        let (link, own) = link(&ASKED, None);
        let other = PortalCode::generate(link.project_id, link.id);
        assert_eq!(link.redeem(&other, &nonce(1), NOW), Redeem::Unknown);
        let moved = PortalCode(LinkSecret { project_id: ProjectId::new(NOW), ..own.0.clone() });
        assert_eq!(link.redeem(&moved, &nonce(1), NOW), Redeem::Unknown);
        let after = opened(&link, &own, NOW);
        let moved = PortalToken(LinkSecret { id: PortalLinkId::new(NOW), ..own.token(&nonce(1)).0 });
        assert!(after.opened_by(&moved, NOW).is_none());
    }

    #[test]
    fn a_link_outlives_neither_itself_nor_the_key_that_made_it() {
        let (link, code) = link(&ASKED, Some(later(60)));
        assert_eq!(link.redeemable_until, later(60));
        let after = opened(&link, &code, later(30));
        assert_eq!(after.session.expect("a session").ends_at, later(60));
    }

    #[test]
    fn a_link_never_gives_keys_or_events() {
        let scopes = |read_only| Asked { read_only, ..ASKED }.scopes().iter().collect::<Vec<_>>();
        assert_eq!(scopes(false), [Scope::Read, Scope::EndpointsWrite]);
        assert_eq!(scopes(true), [Scope::Read]);
    }

    #[test]
    fn a_row_is_written_and_read_back() {
        let (link, code) = link(&ASKED, None);
        for row in [link.clone(), opened(&link, &code, NOW)] {
            let item: serde_json::Value = serde_json::to_value(&row).expect("JSON");
            assert_eq!(item["account_id"], format!("portal#{}", row.project_id));
            assert!(!item.to_string().contains(&code.expose()[64..]), "the row holds no code");
            assert_eq!(serde_json::from_value::<PortalLink>(item).expect("a row"), row);
        }
        let shown = format!("{link:?} {code:?} {:?} {:?}", code.token(&nonce(1)), nonce(1));
        assert!(!shown.contains(&code.expose()[64..]) && shown.contains("PortalCode(…)"), "{shown}");
    }
}
