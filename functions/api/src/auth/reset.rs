//! The token with which an operator lets a person set a new password. The service does not make it: docs/operations.md has the
//! command. Its code is an HMAC, keyed by the root secret, over the account's id, its password hash and the token's end. So
//! nothing is stored for it, and with a new password hash it is void.

use std::fmt;

use echo_shared::account::{Account, EMAIL_CHARS, EmailKey};
use echo_shared::mac::hmac_sha256;
use echo_shared::time::Timestamp;
use subtle::ConstantTimeEq;

/// `<Unix seconds of its end>.<64 hex digits>.<e-mail>`
#[derive(Debug, Clone)]
pub struct ResetToken {
    pub email: EmailKey,
    until: i64,
    code: Vec<u8>,
}

impl ResetToken {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (until, rest) = text.trim().split_once('.')?;
        let (code, email) = rest.split_once('.')?;
        let fits = !email.is_empty() && email.chars().count() <= EMAIL_CHARS;
        let (until, code) = (until.parse().ok()?, hex::decode(code).ok()?);
        fits.then(|| Self { email: EmailKey::of(email), until, code })
    }
}

/// The root secret, as far as it checks tokens.
pub struct ResetKey(String);

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(…)")
    }
}

impl ResetKey {
    #[must_use]
    pub fn new(root: &str) -> Self {
        Self(root.to_owned())
    }

    /// Whether the token is for this account with its present password, and has not ended. The comparison takes the same time
    /// wherever the codes differ.
    #[must_use]
    pub fn accepts(&self, token: &ResetToken, account: &Account, now: Timestamp) -> bool {
        let (id, hash, until) = (account.id, &account.password_hash.0, token.until);
        let text = format!("echo-webhooks/reset/v1|{id}|{hash}|{until}");
        let code = hmac_sha256(self.0.as_bytes(), &[text.as_bytes()]);
        bool::from(code.ct_eq(&token.code)) && account.email_key == token.email && now.as_seconds() < until
    }
}

#[cfg(test)]
mod tests {
    use echo_shared::account::PasswordHash;
    use echo_shared::id::{AccountId, BusinessId, SessionSetId};

    use super::*;

    /// `printf %s 'echo-webhooks/reset/v1|01970000-0000-7000-8000-000000000000|$argon2id$x|1776012719' | openssl dgst -sha256 -hmac root`
    const CODE: &str = "158776dee6992351d7768428b6a67291cd7b531367ee7a1f017fb10a6388b551";

    fn account(hash: &str) -> Account {
        let now = Timestamp::from_millis(0);
        Account {
            email_key: EmailKey::of("ada@example.com"),
            id: AccountId::parse("01970000-0000-7000-8000-000000000000").expect("an id"),
            email: "Ada@example.com".to_owned(),
            password_hash: PasswordHash(hash.to_owned()),
            session_set: SessionSetId::new(now),
            first_name: String::new(),
            last_name: String::new(),
            business_id: BusinessId::new(now),
            business_name: String::new(),
            business_summary: String::new(),
            industry: String::new(),
            created_at: now,
        }
    }

    #[test]
    fn a_token_is_for_one_account_one_password_and_a_time() {
        let (key, ada) = (ResetKey::new("root"), account("$argon2id$x"));
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let accepts = |text: &str, account: &Account, now: i64| {
            ResetToken::parse(text).is_some_and(|token| key.accepts(&token, account, at(now)))
        };
        let token = format!("1776012719.{CODE}.ada@example.com");
        assert!(accepts(&token, &ada, 1_776_012_718), "as openssl made it");
        assert!(accepts(&token.replace("ada@", "Ada@"), &ada, 1_776_012_718));
        assert!(!accepts(&token, &ada, 1_776_012_719), "ended");
        assert!(!accepts(&token, &account("$argon2id$y"), 1_776_012_718), "another password");
        let other = Account { id: AccountId::new(at(1)), ..ada.clone() };
        assert!(!accepts(&token, &other, 1_776_012_718), "another account");
        let other = Account { email_key: EmailKey::of("eve@example.com"), ..ada.clone() };
        assert!(!accepts(&token, &other, 1_776_012_718), "another e-mail");
        for wrong in [
            format!("1776012720.{CODE}.ada@example.com"),
            format!("1776012719.{}.ada@example.com", &CODE[2..]),
            "1776012719..ada@example.com".to_owned(),
            format!("1776012719.{CODE}."),
            format!("1776012719.{CODE}"),
            format!("1776012719.{CODE}.{}@example.com", "a".repeat(300)),
            "x".to_owned(),
            String::new(),
        ] {
            assert!(!accepts(&wrong, &ada, 1_776_012_718), "{wrong}");
        }
        assert!(!ResetKey::new("other").accepts(&ResetToken::parse(&token).expect("a token"), &ada, at(0)));
        assert_eq!(format!("{key:?}"), "ResetKey(…)");
    }
}
