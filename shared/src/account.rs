//! Who signed up. Accounts are keyed by lower-cased e-mail; passwords are kept as argon2id PHC strings.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, BusinessId};
use crate::time::Timestamp;

/// Failures allowed for one account within [`LOGIN_WINDOW`] (contract §2).
pub const MAX_LOGIN_FAILURES: u32 = 10;
pub const LOGIN_WINDOW: Duration = Duration::from_secs(15 * 60);

/// An e-mail address as accounts are keyed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailKey(String);

impl EmailKey {
    #[must_use]
    pub fn of(email: &str) -> Self {
        Self(email.trim().to_lowercase())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password's argon2id hash, as a PHC string.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// One row of the accounts table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub email_key: EmailKey,
    pub id: AccountId,
    /// As it was typed.
    pub email: String,
    pub password_hash: PasswordHash,
    pub first_name: String,
    pub last_name: String,
    pub business_id: BusinessId,
    pub business_name: String,
    pub business_summary: String,
    pub industry: String,
    pub created_at: Timestamp,
}
