//! Accounts. The lower-cased e-mail is the key of an account, and its password is kept as an argon2id PHC string.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, BusinessId, SessionSetId};
use crate::time::Timestamp;

/// The most failed logins at one account within [`LOGIN_WINDOW`], from all callers together (contract §2).
pub const MAX_LOGIN_FAILURES: u32 = 100;
/// The most failed logins at one account from one caller.
pub const MAX_LOGIN_FAILURES_OF_CALLER: u32 = 10;
pub const LOGIN_WINDOW: Duration = Duration::from_secs(15 * 60);

/// The most characters of an e-mail address.
pub const EMAIL_CHARS: usize = 254;

/// An e-mail address in the form that is the key of an account.
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

/// The network whose failed logins are counted together: an IPv4 address, or the /64 network of one IPv6 customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerNetwork(String);

impl CallerNetwork {
    /// All callers with an unknown address are counted together.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() >> 64 << 64;
                format!("{}/64", Ipv6Addr::from_bits(network))
            }
            None => "unknown".to_owned(),
        })
    }
}

impl fmt::Display for CallerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    /// The e-mail as its owner typed it.
    pub email: String,
    pub password_hash: PasswordHash,
    /// A session of any other set has ended. So one write of this row ends all sessions, however many there are.
    pub session_set: SessionSetId,
    pub first_name: String,
    pub last_name: String,
    pub business_id: BusinessId,
    pub business_name: String,
    pub business_summary: String,
    pub industry: String,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_caller_is_its_network_and_a_mapped_one_its_ipv4_address() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ] {
            assert_eq!(CallerNetwork::of(address.parse().ok()).to_string(), network);
        }
        assert_eq!(CallerNetwork::of(None).to_string(), "unknown");
    }
}
