//! Access and refresh tokens: JWTs signed with HS256. Their `typ` claim tells one from the other, and both name their session.
//!
//! A refresh token is made of its session's row alone, so the row gives the same token each time (contract §2). An access
//! token is new in every answer, so none is near its end when it comes.

use std::fmt;
use std::time::Duration;

use echo_shared::account::Account;
use echo_shared::id::{AccountId, SessionId};
use echo_shared::session::Session;
use echo_shared::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    Access,
    Refresh,
}

impl TokenType {
    const fn lifetime(self) -> Duration {
        match self {
            Self::Access => ACCESS_LIFETIME,
            Self::Refresh => REFRESH_LIFETIME,
        }
    }
}

/// A token's claims.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub sub: AccountId,
    pub email: String,
    pub sid: SessionId,
    /// The number of the refresh token in its session.
    #[serde(rename = "gen")]
    pub generation: u32,
    pub typ: TokenType,
    iat: i64,
    exp: i64,
}

/// The key that signs and checks tokens.
pub struct TokenKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys(…)")
    }
}

impl TokenKeys {
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key) }
    }

    /// An access token of the session.
    ///
    /// # Errors
    /// When signing fails, which it does not with this kind of key.
    pub fn access(&self, account: &Account, session: &Session, now: Timestamp) -> Result<String, ApiError> {
        self.issue(TokenType::Access, account, session, now)
    }

    /// The session's newest refresh token.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub fn refresh(&self, account: &Account, session: &Session) -> Result<String, ApiError> {
        self.issue(TokenType::Refresh, account, session, session.issued_at)
    }

    fn issue(
        &self,
        typ: TokenType,
        account: &Account,
        session: &Session,
        at: Timestamp,
    ) -> Result<String, ApiError> {
        let claims = Claims {
            sub: account.id,
            email: account.email.clone(),
            sid: session.id,
            generation: session.generation,
            typ,
            iat: at.as_seconds(),
            exp: at.plus(typ.lifetime()).as_seconds().min(session.expires_at),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(ApiError::internal)
    }

    /// A token's claims, if this service made it, it has that type, and it has not expired.
    #[must_use]
    pub fn verify(&self, typ: TokenType, token: &str, now: Timestamp) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked below, against the time that was passed in.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        (claims.typ == typ && now.as_seconds() < claims.exp).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use echo_shared::account::{EmailKey, PasswordHash};
    use echo_shared::id::{BusinessId, SessionSetId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_000);

    fn account() -> Account {
        Account {
            email_key: EmailKey::of("Ada@example.com"),
            id: AccountId::new(NOW),
            email: "Ada@example.com".to_owned(),
            password_hash: PasswordHash(String::new()),
            session_set: SessionSetId::new(NOW),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            business_id: BusinessId::new(NOW),
            business_name: "Engines".to_owned(),
            business_summary: "Engines".to_owned(),
            industry: "Computing".to_owned(),
            created_at: NOW,
        }
    }

    #[test]
    fn a_token_serves_its_own_type_until_it_expires() {
        let keys = TokenKeys::new(b"key");
        let account = account();
        let session = Session::new(&account, NOW);
        let access = keys.access(&account, &session, NOW).expect("a token");
        let refresh = keys.refresh(&account, &session).expect("a token");
        for (typ, other, token, lifetime) in [
            (TokenType::Access, TokenType::Refresh, access, 15 * 60),
            (TokenType::Refresh, TokenType::Access, refresh, 30 * 86_400),
        ] {
            let later = |seconds| NOW.plus(Duration::from_secs(seconds));
            let claims = keys.verify(typ, &token, later(lifetime - 1)).expect("not yet expired");
            assert_eq!((claims.sub, claims.email.as_str()), (account.id, "Ada@example.com"));
            assert_eq!((claims.sid, claims.generation), (session.id, 0));
            assert!(keys.verify(typ, &token, later(lifetime)).is_none());
            assert!(keys.verify(other, &token, NOW).is_none());
            assert!(TokenKeys::new(b"other").verify(typ, &token, NOW).is_none());
        }
    }

    #[test]
    fn a_sessions_row_gives_one_refresh_token_and_no_token_outlives_it() {
        let keys = TokenKeys::new(b"key");
        let account = account();
        let session = Session::new(&account, NOW);
        let token = |session: &Session| keys.refresh(&account, session).expect("a token");
        assert_eq!(token(&session), token(&session));
        assert_ne!(token(&session), token(&Session { generation: 1, ..session.clone() }));
        let end = Timestamp::from_millis(session.expires_at * 1_000);
        let late = Session { issued_at: end.minus(Duration::from_secs(60)), ..session };
        let access = keys.access(&account, &late, late.issued_at).expect("a token");
        for (typ, token) in [(TokenType::Access, access), (TokenType::Refresh, token(&late))] {
            assert!(keys.verify(typ, &token, end.minus(Duration::from_secs(1))).is_some());
            assert!(keys.verify(typ, &token, end).is_none());
        }
    }

    #[test]
    fn only_hs256_with_our_key_is_believed() {
        let keys = TokenKeys::new(b"key");
        let session = Session::new(&account(), NOW);
        let token = keys.access(&account(), &session, NOW).expect("a token");
        let parts: Vec<&str> = token.split('.').collect();
        let header = |alg: &str| URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{alg}"}}"#));
        let forged = [
            format!("{}.{}.", header("none"), parts[1]),
            format!("{}.{}.{}", header("none"), parts[1], parts[2]),
            format!("{}.{}.{}", header("HS512"), parts[1], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode("{}"), parts[2]),
            String::new(),
            "a.b.c".to_owned(),
        ];
        for token in forged {
            assert!(keys.verify(TokenType::Access, &token, NOW).is_none(), "{token}");
        }
    }
}
