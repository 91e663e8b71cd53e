//! API keys. The plaintext is shown once, and only its hash is stored (contract §1, §2).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{AccountId, ApiKeyId, ProjectId};
use crate::scope::{Scope, Scopes};
use crate::shards::Shards;
use crate::time::Timestamp;

const PREFIX: &str = "echo_";
/// The length of the part that the owner sees again: enough to tell keys apart, and far too little to guess the rest.
const SHOWN_CHARS: usize = 16;

/// The most active keys of one project.
pub const MAX_ACTIVE_KEYS: u32 = 100;

/// A key in the clear: `echo_` and 64 lower-case hex digits. It has 256 random bits, so a plain hash protects it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct NotAnApiKey;

impl ApiKey {
    #[must_use]
    pub fn generate() -> Self {
        let mut random = [0_u8; 32];
        rand::fill(&mut random);
        Self(format!("{PREFIX}{}", hex::encode(random)))
    }

    /// # Errors
    /// When the text does not have the form of a key. Then there is nothing to look up.
    pub fn parse(text: &str) -> Result<Self, NotAnApiKey> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotAnApiKey)?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if digits.len() == 64 && is_hex { Ok(Self(text.to_owned())) } else { Err(NotAnApiKey) }
    }

    /// The text that its owner sees once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn shown_prefix(&self) -> String {
        self.0.chars().take(SHOWN_CHARS).collect()
    }

    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash(hex::encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The SHA-256 of a key, in hex. Rows hold this instead of the key.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyHash(String);

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

impl ApiKeyHash {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyStatus {
    Active,
    Revoked,
}

/// The maker of a key: its account, or the key whose id the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CreatedBy {
    Account,
    Key(ApiKeyId),
}

const BY_ACCOUNT: &str = "account";

impl From<CreatedBy> for String {
    fn from(by: CreatedBy) -> Self {
        match by {
            CreatedBy::Account => BY_ACCOUNT.to_owned(),
            CreatedBy::Key(id) => id.to_string(),
        }
    }
}

impl TryFrom<String> for CreatedBy {
    type Error = crate::id::NotAnId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == BY_ACCOUNT { Ok(Self::Account) } else { ApiKeyId::parse(&text).map(Self::Key) }
    }
}

/// How far a key reaches. No key makes one that reaches further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub scopes: Scopes,
    /// From this moment on the key opens nothing; `None` is never. The rows' `expires_at` is another time: when DynamoDB
    /// deletes them.
    pub ends_at: Option<Timestamp>,
}

/// In which way a key would reach further than its maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    Scope(Scope),
    /// The maker ends at this moment.
    End(Timestamp),
}

impl Reach {
    /// All scopes, for ever.
    pub const WHOLE: Self = Self { scopes: Scopes::ALL, ends_at: None };

    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// # Errors
    /// When this reaches further than `maker`.
    pub fn within(&self, maker: &Self) -> Result<(), Beyond> {
        if let Some(scope) = self.scopes.first_beyond(maker.scopes) {
            return Err(Beyond::Scope(scope));
        }
        match maker.ends_at {
            Some(end) if self.ends_at.is_none_or(|own| own > end) => Err(Beyond::End(end)),
            _ => Ok(()),
        }
    }
}

/// One row of the keys table, which the owner's list shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    pub project_id: ProjectId,
    pub id: ApiKeyId,
    pub account_id: AccountId,
    /// Those of its project.
    pub shards: Shards,
    pub name: String,
    pub key_prefix: String,
    pub key_hash: ApiKeyHash,
    pub status: ApiKeyStatus,
    #[serde(flatten)]
    pub reach: Reach,
    pub created_by: CreatedBy,
    pub updated_at: Timestamp,
}

impl ApiKeyRecord {
    /// A key of its account's making that reaches everything in its project.
    #[must_use]
    pub fn new(
        account_id: AccountId,
        project_id: ProjectId,
        shards: Shards,
        name: String,
        key: &ApiKey,
        now: Timestamp,
    ) -> Self {
        Self {
            project_id,
            id: ApiKeyId::new(now),
            account_id,
            shards,
            name,
            key_prefix: key.shown_prefix(),
            key_hash: key.hash(),
            status: ApiKeyStatus::Active,
            reach: Reach::WHOLE,
            created_by: CreatedBy::Account,
            updated_at: now,
        }
    }
}

/// The access that a key gives. Authentication finds this row by the key's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGrant {
    pub key_hash: ApiKeyHash,
    pub project_id: ProjectId,
    pub account_id: AccountId,
    /// Those of the project, so that no request reads the project's row for them.
    pub shards: Shards,
    pub api_key_id: ApiKeyId,
    pub status: ApiKeyStatus,
    #[serde(flatten)]
    pub reach: Reach,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_contracts_shape_is_a_key() {
        let key = ApiKey::generate();
        assert_eq!(ApiKey::parse(key.expose()), Ok(key.clone()));
        assert_eq!(key.shown_prefix().len(), 16);
        assert!(key.expose().starts_with(&key.shown_prefix()));
        let upper = key.expose().to_uppercase();
        for bad in ["", "echo_", "echo_abc", &upper, &format!("{}0", key.expose()), &key.expose()[1..]] {
            assert_eq!(ApiKey::parse(bad), Err(NotAnApiKey), "{bad}");
        }
    }

    #[test]
    fn a_key_reaches_no_further_than_its_maker() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let read: Scopes = [Scope::Read].into_iter().collect();
        let whole = Reach::WHOLE;
        let reading = Reach { scopes: read, ends_at: None };
        let until = |ends_at| Reach { ends_at, ..whole };
        assert_eq!(whole.within(&whole), Ok(()));
        assert_eq!(reading.within(&whole), Ok(()));
        assert_eq!(whole.within(&reading), Err(Beyond::Scope(Scope::EventsWrite)));
        assert_eq!(until(at(5)).within(&whole), Ok(()));
        assert_eq!(until(at(5)).within(&until(at(5))), Ok(()));
        assert_eq!(until(at(6)).within(&until(at(5))), Err(Beyond::End(Timestamp::from_millis(5))));
        assert_eq!(whole.within(&until(at(5))), Err(Beyond::End(Timestamp::from_millis(5))));
        assert!(until(at(5)).has_ended(Timestamp::from_millis(5)));
        assert!(!until(at(5)).has_ended(Timestamp::from_millis(4)));
        assert!(!whole.has_ended(Timestamp::from_millis(i64::MAX)));
    }

    #[test]
    fn neither_key_nor_hash_shows_in_debug() {
        let key = ApiKey::generate();
        assert_eq!(format!("{key:?} {:?}", key.hash()), "ApiKey(…) ApiKeyHash(…)");
    }
}
