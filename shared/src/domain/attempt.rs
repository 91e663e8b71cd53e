//! One HTTP request to a receiver, and its outcome. A failed request is data here, never an `Err`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::AttemptId;

/// The most attempts that one delivery can have, manual ones included (contract §6).
pub const MAX_ATTEMPTS: u32 = 50;

/// How many bytes of a receiver's answer are read and kept.
pub const MAX_RESPONSE_BODY_BYTES: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Auto,
    Manual,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The head of an answer came. Its status decides, even if the body broke off (contract §5).
    Answered {
        status: u16,
        /// The start of the body, as far as it came.
        body: String,
        /// Whether more of the body came than is kept.
        truncated: bool,
        /// Where a redirect leads. It is not followed.
        location: Option<String>,
        /// The wait that `retry-after` of a 429 or 503 asks for.
        retry_after: Option<Duration>,
        /// Why the body did not come whole; `None` also when as much of it came as is kept.
        broken_off: Option<BodyFault>,
    },
    /// No head of an answer came.
    Failed { cause: SendFailure },
    /// The token that the request needs could not be had, so there was no request to the receiver.
    NoToken { why: NoToken },
}

impl Outcome {
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
}

/// Why no answer came. The messages are for the endpoint's owner: they name the fault to mend, and hold no address of our
/// own network. An unknown name and a forbidden address have the same message, so nobody learns from it which names a
/// private network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    #[error("{missing} within {seconds} s")]
    TimedOut { missing: Missing, seconds: u64 },
    #[error("{NO_PUBLIC_ADDRESS}")]
    Dns,
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error("the connection was refused or could not be made")]
    Connect,
    #[error("the connection was closed before an answer came")]
    Closed,
    #[error("the connection was reset before an answer came")]
    Reset,
    #[error("the connection closed or broke in the middle of the answer's head")]
    Broken,
    #[error("{NO_PUBLIC_ADDRESS}")]
    ForbiddenAddress,
    #[error("the URL leads back to this service")]
    OwnHost,
    #[error("the answer was not valid HTTP")]
    NotHttp,
    #[error("the answer's head was too long")]
    HeadTooLong,
    #[error("a header of the endpoint cannot be sent")]
    Unsendable,
}

const NO_PUBLIC_ADDRESS: &str = "no public address was found for the host of the URL";

/// The step that was not done when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("no address of the host name")]
    Address,
    #[error("no connection")]
    Connection,
    #[error("no complete TLS handshake")]
    Handshake,
    #[error("no answer")]
    Answer,
    #[error("no complete head of an answer")]
    Head,
}

/// Why there was no TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error(
        "the certificate is for another host: the host of the URL is not among its subject alternative names"
    )]
    OtherHost,
    #[error("the certificate is self-signed: it must come from a publicly trusted authority")]
    SelfSigned,
    #[error(
        "the certificate's chain is incomplete: the receiver must send its intermediate certificates too"
    )]
    ChainIncomplete,
    #[error("the certificate's issuer is not a publicly trusted authority")]
    IssuerUnknown,
    #[error(
        "a key or signature in the certificate's chain is too weak: RSA keys need 2,048 bits, and SHA-1 and MD5 are not \
         accepted"
    )]
    TooWeak,
    #[error("the certificate is not one for servers, or is not well-formed")]
    UnfitCertificate,
    #[error("no TLS version in common: the receiver must offer TLS 1.2 or 1.3, not only 1.0 or 1.1")]
    NoCommonVersion,
    #[error(
        "the receiver refused the TLS handshake, most likely for want of a common cipher suite: it must offer ECDHE with \
         AES-GCM or ChaCha20-Poly1305, not only CBC suites or static RSA"
    )]
    NoCommonCipher,
    #[error("no protocol in common: the receiver must offer HTTP/1.1")]
    NoHttp1,
    #[error("the receiver wants a client certificate")]
    ClientCertificate,
    #[error("the receiver refused the client certificate: it has expired")]
    ClientCertificateExpired,
    #[error(
        "the receiver refused the client certificate: the receiver does not trust its issuer, or lacks a certificate of its chain"
    )]
    ClientCertificateUntrusted,
    #[error("the receiver refused the client certificate")]
    ClientCertificateRefused,
    #[error("the receiver knows no such host name: its TLS server has no certificate for it")]
    UnknownName,
    #[error("the answer to the TLS handshake was not TLS: the port seems to be one for plain HTTP")]
    NotTls,
    #[error("the receiver closed the connection during the TLS handshake")]
    Closed,
    #[error("the receiver reset the connection during the TLS handshake")]
    Reset,
    #[error("the receiver refused the TLS connection with alert {0}")]
    Alert(u8),
    #[error("the TLS connection failed")]
    Other,
}

/// Why no token came from an endpoint's token URL (RFC 6749). The messages repeat nothing that the token URL sent but
/// its status and an error that the RFC names, because other text may repeat the client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    #[error("no token from the token URL: {0}")]
    Unreached(SendFailure),
    #[error("the token URL answered {status}{}", reason.map(|reason| format!(" {reason}")).unwrap_or_default())]
    Refused { status: u16, reason: Option<TokenRefusal> },
    #[error(
        "the token URL answered 200, but not with the JSON object of a token (RFC 6749 §5.1) within 16 KiB"
    )]
    Unreadable,
    #[error("the token URL gave a token of another type than bearer")]
    NotBearer,
    #[error("the token URL gave a token that a header cannot carry")]
    Unsendable,
}

/// An error of RFC 6749 §5.2, or of RFC 8707 §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("invalid_request")]
    InvalidRequest,
    #[error("invalid_client")]
    InvalidClient,
    #[error("invalid_grant")]
    InvalidGrant,
    #[error("unauthorized_client")]
    UnauthorizedClient,
    #[error("unsupported_grant_type")]
    UnsupportedGrantType,
    #[error("invalid_scope")]
    InvalidScope,
    #[error("invalid_target")]
    InvalidTarget,
}

impl TokenRefusal {
    /// `None` for an error that no RFC names.
    #[must_use]
    pub fn parse(error: &str) -> Option<Self> {
        Some(match error {
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "invalid_scope" => Self::InvalidScope,
            "invalid_target" => Self::InvalidTarget,
            _ => return None,
        })
    }
}

/// The fault that broke an answer's body off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    #[error("the connection closed before the answer's body was complete")]
    CutShort,
    #[error("the connection was reset before the answer's body was complete")]
    Reset,
    #[error("the answer's body was not complete within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("the chunks of the answer's body are not valid HTTP")]
    BadChunks,
    #[error("the answer's body has too much chunk framing or too many trailers")]
    TooMuchFraming,
    #[error("a TLS error broke off the answer's body")]
    Tls,
}

/// An attempt as its delivery's row keeps it. Its number is its index in the row's list, counted from 1. Its time is inside
/// its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub id: AttemptId,
    pub triggered_by: Trigger,
    /// The endpoint's URL at that moment. The endpoint may have another one now.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub response_truncated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

impl Attempt {
    #[must_use]
    pub fn new(id: AttemptId, triggered_by: Trigger, url: &str, outcome: &Outcome, took: Duration) -> Self {
        let attempt = Self {
            id,
            triggered_by,
            url: url.to_owned(),
            http_status: None,
            response_body: None,
            response_truncated: false,
            location: None,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            error_message: None,
        };
        match outcome {
            Outcome::Answered { status, body, truncated, location, broken_off, .. } => Self {
                http_status: Some(*status),
                response_body: Some(body.clone()),
                response_truncated: *truncated,
                location: location.clone(),
                error_message: broken_off.map(|fault| fault.to_string()),
                ..attempt
            },
            Outcome::Failed { cause } => Self { error_message: Some(cause.to_string()), ..attempt },
            Outcome::NoToken { why } => Self { error_message: Some(why.to_string()), ..attempt },
        }
    }

    /// The status alone decides: a message beside a status names the fault that broke the body off.
    #[must_use]
    pub fn success(&self) -> bool {
        self.http_status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The start of an answer as text, and whether it was cut: at most [`MAX_RESPONSE_BODY_BYTES`], cut at a character boundary.
/// Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> (String, bool) {
    let mut is_cut = bytes.len() > MAX_RESPONSE_BODY_BYTES;
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RESPONSE_BODY_BYTES)]).into_owned();
    // The limit may cut a character in two. Such a character is dropped and not replaced.
    if bytes.len() >= MAX_RESPONSE_BODY_BYTES {
        let tail = std::str::from_utf8(&bytes[..MAX_RESPONSE_BODY_BYTES]);
        if tail.is_err_and(|error| error.error_len().is_none()) && text.ends_with(char::REPLACEMENT_CHARACTER)
        {
            text.pop();
            is_cut = true;
        }
    }
    while text.len() > MAX_RESPONSE_BODY_BYTES {
        text.pop();
        is_cut = true;
    }
    (text, is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.com/hook";

    #[test]
    fn an_answer_whose_body_broke_off_keeps_its_status_and_says_why() {
        for (status, success) in [(200, true), (500, false)] {
            let broken_off = Some(BodyFault::CutShort);
            let outcome = Outcome::Answered {
                status,
                body: "half".to_owned(),
                truncated: false,
                location: None,
                retry_after: None,
                broken_off,
            };
            let id = AttemptId::new(crate::time::Timestamp::from_millis(0));
            let attempt = Attempt::new(id, Trigger::Auto, URL, &outcome, Duration::ZERO);
            assert_eq!((attempt.success(), outcome.is_success()), (success, success));
            assert_eq!((attempt.http_status, attempt.response_body.as_deref()), (Some(status), Some("half")));
            let message = attempt.error_message.expect("a note");
            assert!(message.contains("before the answer's body was complete"), "{message}");
        }
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let long = format!("{}é and more", "a".repeat(1_023));
        assert_eq!(excerpt(long.as_bytes()), ("a".repeat(1_023), true));
        assert_eq!(excerpt("é".as_bytes()), ("é".to_owned(), false));
        assert_eq!(excerpt(b"a\xffb"), ("a\u{fffd}b".to_owned(), false));
        assert_eq!(excerpt(&[b'a'; MAX_RESPONSE_BODY_BYTES]), ("a".repeat(1_024), false));
        let (text, is_cut) = excerpt(&[0xff; 1_000]);
        assert!(text.len() <= MAX_RESPONSE_BODY_BYTES && is_cut, "a replaced byte takes three");
    }
}
