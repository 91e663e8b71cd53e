//! By which an endpoint's receiver knows the service, beside the signature: the contract's `auth` (§3). Each form has
//! one secret, which is sealed in a row, open in an attempt, and a mask in an answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sealed::{Field, Sealed};

pub const MAX_CLIENT_ID_CHARS: usize = 512;
pub const MAX_CLIENT_SECRET_CHARS: usize = 1_024;
pub const MAX_SCOPE_CHARS: usize = 1_024;
/// Four certificates of usual size.
pub const MAX_CERTIFICATE_CHARS: usize = 8 * 1_024;
/// A key of RSA with 4,096 bits takes 3,300.
pub const MAX_KEY_CHARS: usize = 4 * 1_024;

/// `S` is the form of the secret. Rows and answers have the same fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Auth<S> {
    OAuth2(OAuth2<S>),
    Mtls(Mtls<S>),
}

/// A client of OAuth 2.0 that gets its tokens by client credentials (RFC 6749 §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth2<S> {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: S,
    pub scope: Option<String>,
}

/// A certificate that the receiver asks for in the TLS handshake, with its chain, and its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtls<S> {
    pub certificate: String,
    pub key: S,
}

/// As its row holds it.
pub type SealedAuth = Auth<Sealed>;

/// As a caller sends it, and as an attempt needs it.
pub type ReceiverAuth = Auth<AuthSecret>;

/// A secret in the open. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthSecret(String);

impl AuthSecret {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for AuthSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for AuthSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthSecret(…)")
    }
}

/// Tells one credential from another, and shows nothing of either. Tokens and connections are kept under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl<S> Auth<S> {
    #[must_use]
    pub const fn secret(&self) -> &S {
        match self {
            Self::OAuth2(client) => &client.client_secret,
            Self::Mtls(client) => &client.key,
        }
    }

    /// The name of the secret's field.
    #[must_use]
    pub const fn secret_name(&self) -> &'static str {
        match self {
            Self::OAuth2(_) => "client_secret",
            Self::Mtls(_) => "key",
        }
    }

    /// The secret's place in a row.
    #[must_use]
    pub const fn field(&self) -> Field<'static> {
        match self {
            Self::OAuth2(_) => Field::ClientSecret,
            Self::Mtls(_) => Field::ClientKey,
        }
    }

    /// The same with its secret in another form.
    #[must_use]
    pub fn with<T>(&self, secret: T) -> Auth<T> {
        match self {
            Self::OAuth2(client) => Auth::OAuth2(OAuth2 {
                token_url: client.token_url.clone(),
                client_id: client.client_id.clone(),
                client_secret: secret,
                scope: client.scope.clone(),
            }),
            Self::Mtls(client) => Auth::Mtls(Mtls { certificate: client.certificate.clone(), key: secret }),
        }
    }

    /// The secret of another one, if that is of the same kind: a mask keeps no secret of a certificate as one of a client.
    #[must_use]
    pub fn secret_like<'a, T>(&self, other: &'a Auth<T>) -> Option<&'a T> {
        (self.secret_name() == other.secret_name()).then(|| other.secret())
    }

    /// The URL beside the endpoint's own to which the secret is sent.
    #[must_use]
    pub const fn token_url(&self) -> Option<&str> {
        match self {
            Self::OAuth2(client) => Some(client.token_url.as_str()),
            Self::Mtls(_) => None,
        }
    }

    /// The header that it sets, which no header of the endpoint's own may be.
    #[must_use]
    pub const fn header(&self) -> Option<&'static str> {
        match self {
            Self::OAuth2(_) => Some("authorization"),
            Self::Mtls(_) => None,
        }
    }

    /// Whether it is part of TLS, so that plain HTTP would leave it out.
    #[must_use]
    pub const fn needs_tls(&self) -> bool {
        matches!(self, Self::Mtls(_))
    }
}

impl ReceiverAuth {
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let parts = match self {
            Self::OAuth2(OAuth2 { token_url, client_id, client_secret, scope }) => {
                [token_url.as_str(), client_id, client_secret.expose(), scope.as_deref().unwrap_or_default()]
            }
            Self::Mtls(Mtls { certificate, key }) => [certificate.as_str(), key.expose(), "", ""],
        };
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }
}

/// Whether a client's id or secret is one of RFC 6749 (appendix A), and no copy with a space too many.
#[must_use]
pub fn is_client_text(text: &str, max: usize) -> bool {
    let is_legal = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    (1..=max).contains(&text.len()) && is_legal && text.trim() == text
}

/// Whether a scope is one of RFC 6749 §3.3: names with single spaces between them.
#[must_use]
pub fn is_scope(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_legal);
    text.len() <= MAX_SCOPE_CHARS && text.split(' ').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(secret: &str) -> ReceiverAuth {
        Auth::OAuth2(OAuth2 {
            token_url: "https://login.example.com/token".to_owned(),
            client_id: "id".to_owned(),
            client_secret: secret.to_owned().into(),
            scope: Some("a b".to_owned()),
        })
    }

    #[test]
    fn a_row_and_an_answer_have_the_same_fields() {
        let masked = serde_json::to_value(client("hidden").with("****")).expect("JSON");
        let wanted = serde_json::json!({
            "type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "id", "client_secret": "****",
            "scope": "a b",
        });
        assert_eq!(masked, wanted);
        let certificate = Auth::Mtls(Mtls { certificate: "-----".to_owned(), key: "****" });
        let wanted = serde_json::json!({ "type": "mtls", "certificate": "-----", "key": "****" });
        assert_eq!(serde_json::to_value(&certificate).expect("JSON"), wanted);
        for sealed in [client("hidden").with(vec![1, 2].into()), certificate.with(vec![1, 2].into())] {
            let row: aws_sdk_dynamodb::types::AttributeValue =
                serde_dynamo::to_attribute_value(&sealed).expect("a value");
            assert_eq!(serde_dynamo::from_attribute_value::<_, SealedAuth>(row).expect("a row"), sealed);
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?} {:?}", client("hidden"), client("hidden").fingerprint()).contains("hidden"));
    }

    #[test]
    fn each_part_of_a_credential_makes_it_another_one() {
        let Auth::OAuth2(base) = client("a") else { panic!("a client") };
        let all = [
            OAuth2 { token_url: "https://login.example.com/token2".to_owned(), ..base.clone() },
            OAuth2 { client_id: "i".to_owned(), client_secret: "da".to_owned().into(), ..base.clone() },
            OAuth2 { client_secret: "b".to_owned().into(), ..base.clone() },
            OAuth2 { scope: None, ..base.clone() },
            base,
        ];
        let prints: std::collections::HashSet<_> =
            all.into_iter().map(|one| Auth::OAuth2(one).fingerprint()).collect();
        assert_eq!(prints.len(), 5);
        assert_eq!(client("a").fingerprint(), client("a").fingerprint());
    }

    #[test]
    fn texts_of_a_client_are_those_of_the_rfc() {
        for good in ["a", "a b", "~!@#", &"s".repeat(9)] {
            assert!(is_client_text(good, 9), "{good}");
        }
        for bad in ["", " a", "a ", "a\n", "\u{e9}", &"s".repeat(10)] {
            assert!(!is_client_text(bad, 9), "{bad}");
        }
        for good in ["read", "read write", "https://graph.example.com/.default"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in ["", " ", "a  b", " a", "a ", "a\"b", "a\\b", "a\tb", &"s".repeat(1_025)] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
