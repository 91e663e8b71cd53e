//! The secrets of a portal link: its code, its redeemer's nonce, and the token of its session.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::id::{PortalLinkId, ProjectId};
use crate::mac::hmac_sha256;

/// In front of a session's token, to tell it from an access token.
const TOKEN_PREFIX: &str = "portal_";
pub(super) const SECRET_BYTES: usize = 32;

/// A secret of a link: the link by its ids, and 256 random bits, which a plain hash protects.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LinkSecret {
    pub(super) project_id: ProjectId,
    pub(super) id: PortalLinkId,
    pub(super) secret: [u8; SECRET_BYTES],
}

impl LinkSecret {
    /// Lower-case hex: mail programs cut some other characters off the end of an address.
    fn text(&self) -> String {
        let (project, id) = (self.project_id.as_uuid(), self.id.as_uuid());
        format!("{}{}{}", project.simple(), id.simple(), hex::encode(self.secret))
    }

    fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; 32 + SECRET_BYTES];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        let (ids, secret) = bytes.split_at(32);
        let (project, id) = ids.split_at(16);
        Some(Self {
            project_id: ProjectId::from_uuid(Uuid::from_slice(project).ok()?),
            id: PortalLinkId::from_uuid(Uuid::from_slice(id).ok()?),
            secret: secret.try_into().ok()?,
        })
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash(hex::encode(Sha256::digest(self.secret)))
    }
}

/// The SHA-256 of a secret, in hex. Rows hold this instead of the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(String);

impl SecretHash {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text in a link's fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct PortalCode(pub(super) LinkSecret);

/// What the holder of a code made up before redeeming it.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(pub(super) [u8; SECRET_BYTES]);

/// The credential of a portal session.
#[derive(Clone, PartialEq, Eq)]
pub struct PortalToken(pub(super) LinkSecret);

impl PortalCode {
    pub(super) fn generate(project_id: ProjectId, id: PortalLinkId) -> Self {
        let mut secret = [0_u8; SECRET_BYTES];
        rand::fill(&mut secret);
        Self(LinkSecret { project_id, id, secret })
    }

    /// `None` when the text does not have the form of a code. Then there is nothing to look up.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        LinkSecret::parse(text).map(Self)
    }

    /// The text for the link.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.text()
    }

    #[must_use]
    pub const fn project_id(&self) -> ProjectId {
        self.0.project_id
    }

    #[must_use]
    pub const fn link_id(&self) -> PortalLinkId {
        self.0.id
    }

    /// The token of the session that this code opens with this nonce.
    #[must_use]
    pub fn token(&self, nonce: &Nonce) -> PortalToken {
        let secret = hmac_sha256(&self.0.secret, &[b"echo-webhooks/portal/v1|", &nonce.0]);
        PortalToken(LinkSecret { secret, ..self.0.clone() })
    }
}

impl Nonce {
    /// `None` when the text is not 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; SECRET_BYTES];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        (text == hex::encode(bytes)).then_some(Self(bytes))
    }
}

impl PortalToken {
    /// Whether a bearer token is meant to be one of a portal session, well formed or not.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(TOKEN_PREFIX)
    }

    /// `None` when the text does not have the form of a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        LinkSecret::parse(text.strip_prefix(TOKEN_PREFIX)?).map(Self)
    }

    /// The text for the session's holder.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{TOKEN_PREFIX}{}", self.0.text())
    }

    #[must_use]
    pub const fn project_id(&self) -> ProjectId {
        self.0.project_id
    }

    #[must_use]
    pub const fn link_id(&self) -> PortalLinkId {
        self.0.id
    }

    #[must_use]
    pub fn hash(&self) -> SecretHash {
        self.0.hash()
    }
}

macro_rules! hidden {
    ($($name:ident)+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

hidden!(SecretHash PortalCode Nonce PortalToken);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    #[test]
    fn codes_nonces_and_tokens_have_one_spelling() {
        let code = PortalCode::generate(ProjectId::new(NOW), PortalLinkId::new(NOW));
        let nonce = Nonce([1; SECRET_BYTES]);
        let (text, token) = (code.expose(), code.token(&nonce));
        assert_eq!(PortalCode::parse(&text), Some(code));
        assert_eq!(PortalToken::parse(&token.expose()), Some(token.clone()));
        assert!(PortalToken::is_meant(&token.expose()) && !PortalToken::is_meant("eyJ0.e.p"));
        for bad in
            [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), String::new(), token.expose()]
        {
            assert_eq!(PortalCode::parse(&bad), None, "{bad}");
        }
        assert_eq!(PortalToken::parse(&text), None);
        assert!(Nonce::parse(&"a0".repeat(32)).is_some());
        for bad in ["A0".repeat(32), "a0".repeat(31), "a0".repeat(33), "g0".repeat(32)] {
            assert!(Nonce::parse(&bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_read_as_another_code(text in "[0-9a-fA-F]{126,130}") {
            if let Some(code) = PortalCode::parse(&text) {
                prop_assert_eq!(code.expose(), text);
            }
        }
    }
}
