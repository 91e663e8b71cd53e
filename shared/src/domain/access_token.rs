//! Access tokens of OAuth 2.0 by client credentials (RFC 6749 §4.4): the request for one, the answer, and how long it is used.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::{self, byte_serialize};

use crate::attempt::{NoToken, TokenRefusal};
use crate::receiver_auth::{AuthSecret, OAuth2};
use crate::time::Timestamp;

/// The most bytes of a token URL's answer that are read. Tokens with many claims have a few KiB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1_024;

/// A longer header is more than most servers take.
const MAX_TOKEN_CHARS: usize = 8 * 1_024;

/// How long a token is used whose answer doesn't say how long it is good. A token that ends earlier is replaced after a 401.
const USUAL_TIME: Duration = Duration::from_secs(5 * 60);

/// The longest that a token is used.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A token is used no longer when it has this time left: a request may take 20 s (`RequestTimeoutSeconds`), and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);

/// The two parts of a request for a token. Both may hold secrets, so there is no `Debug`.
pub struct TokenRequest {
    pub authorization: String,
    pub form: String,
}

impl TokenRequest {
    /// The client shows who it is by HTTP Basic, which every server must take (RFC 6749 §2.3.1). Id and secret are
    /// form-encoded first, as that section says.
    #[must_use]
    pub fn of(client: &OAuth2<AuthSecret>) -> Self {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = (encoded(&client.client_id), encoded(client.client_secret.expose()));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &client.scope {
            form.append_pair("scope", scope);
        }
        Self {
            authorization: format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            form: form.finish(),
        }
    }
}

/// A token, and how long it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    value: String,
    good_until: Timestamp,
}

/// The members of the answer that matter (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl AccessToken {
    /// Reads the answer to a request that was made at `asked_at`. `body` is absent if it was too long or broke off.
    ///
    /// # Errors
    /// When the answer gives no token that a request can carry.
    pub fn read(status: u16, body: Option<&[u8]>, asked_at: Timestamp) -> Result<Self, NoToken> {
        if status != 200 {
            let refused = body.and_then(|body| serde_json::from_slice::<Refused>(body).ok());
            let reason = refused.and_then(|refused| TokenRefusal::parse(&refused.error));
            return Err(NoToken::Refused { status, reason });
        }
        let granted = body.ok_or(NoToken::Unreadable)?;
        let granted: Granted = serde_json::from_slice(granted).map_err(|_| NoToken::Unreadable)?;
        // Some servers leave the type out, although RFC 6749 requires it.
        if granted.token_type.is_some_and(|name| !name.eq_ignore_ascii_case("bearer")) {
            return Err(NoToken::NotBearer);
        }
        let value = granted.access_token;
        if !(1..=MAX_TOKEN_CHARS).contains(&value.len()) || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NoToken::Unsendable);
        }
        let lifetime = granted.expires_in.as_ref().and_then(seconds).unwrap_or(USUAL_TIME);
        Ok(Self { value, good_until: asked_at.plus(used_for(lifetime)) })
    }

    /// Whether a request that is made now may carry it.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.good_until
    }

    /// The value of the request's `authorization` (RFC 6750 §2.1).
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.value)
    }
}

/// A short-lived token keeps half of its time.
fn used_for(lifetime: Duration) -> Duration {
    lifetime.min(LONGEST_TIME).saturating_sub(MARGIN.min(lifetime / 2))
}

/// Some servers write the number as a string.
fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    Some(Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(LONGEST_TIME))
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(until {})", self.good_until)
    }
}

/// The consequence of an answer for the token that its request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// A token that was made for this attempt is refused: another one would be refused too. The next attempt gets another one.
    Forget,
    /// The token is from before, and may have ended or been revoked: the request is made once more with another one.
    Renew,
}

/// 401 is the answer to a token that is refused (RFC 6750 §3.1).
#[must_use]
pub const fn after(status: u16, is_from_before: bool) -> Verdict {
    match (status, is_from_before) {
        (401, true) => Verdict::Renew,
        (401, false) => Verdict::Forget,
        _ => Verdict::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn read(status: u16, body: &str) -> Result<AccessToken, NoToken> {
        AccessToken::read(status, Some(body.as_bytes()), NOW)
    }

    #[test]
    fn the_request_is_that_of_the_rfc() {
        let client = |id: &str, secret: &str, scope: Option<&str>| {
            TokenRequest::of(&OAuth2 {
                token_url: String::new(),
                client_id: id.to_owned(),
                client_secret: secret.to_owned().into(),
                scope: scope.map(str::to_owned),
            })
        };
        // The example of RFC 6749 §4.4.2.
        let example = client("s6BhdRkqt3", "gX1fBat3bV", None);
        assert_eq!(example.authorization, "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW");
        assert_eq!(example.form, "grant_type=client_credentials");
        let odd = client("a:b", "c d+%", Some("read https://example.com/.default"));
        assert_eq!(odd.authorization, format!("Basic {}", STANDARD.encode("a%3Ab:c+d%2B%25")));
        assert_eq!(odd.form, "grant_type=client_credentials&scope=read+https%3A%2F%2Fexample.com%2F.default");
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (expires_in, used) in [
            ("3600", 3_570),
            ("\"3600\"", 3_570),
            ("3600.0", 3_570),
            ("60", 30),
            ("10", 5),
            ("0", 0),
            ("-5", 0),
            ("null", 270),
            ("\"soon\"", 270),
            ("1e300", 86_370),
        ] {
            let body = format!(r#"{{"access_token":"t","token_type":"BEARER","expires_in":{expires_in}}}"#);
            let token = read(200, &body).expect("a token");
            let until = NOW.plus(Duration::from_secs(used));
            assert_eq!(token.good_until, until, "{expires_in}");
            assert!(!token.is_good(until) && (used == 0 || token.is_good(NOW)));
        }
        let unsaid = read(200, r#"{"access_token":"t"}"#).expect("a token");
        assert_eq!(unsaid.good_until, NOW.plus(Duration::from_secs(270)));
        assert_eq!(unsaid.authorization(), "Bearer t");
    }

    #[test]
    fn other_answers_say_what_is_wrong() {
        for (status, body, said) in [
            (401, r#"{"error":"invalid_client"}"#, "the token URL answered 401 invalid_client"),
            (
                400,
                r#"{"error":"invalid_scope","error_description":"x"}"#,
                "the token URL answered 400 invalid_scope",
            ),
            (400, r#"{"error":"hidden-secret"}"#, "the token URL answered 400"),
            (503, "busy", "the token URL answered 503"),
            (302, "", "the token URL answered 302"),
            (201, r#"{"access_token":"t"}"#, "the token URL answered 201"),
            (
                200,
                "<html>",
                "the token URL answered 200, but not with the JSON object of a token (RFC 6749 §5.1) within 16 KiB",
            ),
            (
                200,
                r#"{"token":"t"}"#,
                "the token URL answered 200, but not with the JSON object of a token (RFC 6749 §5.1) within 16 KiB",
            ),
            (
                200,
                r#"{"access_token":"t","token_type":"mac"}"#,
                "the token URL gave a token of another type than bearer",
            ),
            (200, r#"{"access_token":"a b"}"#, "the token URL gave a token that a header cannot carry"),
            (200, r#"{"access_token":"a\r\nx: y"}"#, "the token URL gave a token that a header cannot carry"),
            (200, r#"{"access_token":""}"#, "the token URL gave a token that a header cannot carry"),
        ] {
            assert_eq!(read(status, body).expect_err(body).to_string(), said, "{body}");
        }
        assert_eq!(AccessToken::read(200, None, NOW), Err(NoToken::Unreadable));
        let refused = NoToken::Refused { status: 500, reason: None };
        assert_eq!(AccessToken::read(500, None, NOW), Err(refused));
        let long = format!(r#"{{"access_token":"{}"}}"#, "t".repeat(MAX_TOKEN_CHARS + 1));
        assert_eq!(read(200, &long), Err(NoToken::Unsendable));
    }

    #[test]
    fn only_a_token_from_before_is_renewed_after_a_401() {
        assert_eq!(after(401, true), Verdict::Renew);
        assert_eq!(after(401, false), Verdict::Forget);
        for status in [200, 204, 400, 403, 500] {
            assert_eq!(after(status, true), Verdict::Keep, "{status}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        let token = read(200, r#"{"access_token":"hidden"}"#).expect("a token");
        assert!(!format!("{token:?}").contains("hidden"));
    }
}
