//! One HTTP request to a receiver, and its outcome. A failed request is data here, never an `Err`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::AttemptId;

/// The most attempts that one delivery can have, manual ones included (contract §6).
pub const MAX_ATTEMPTS: u32 = 50;

/// How many bytes of an answer's body are read and kept.
pub const MAX_RESPONSE_BODY_BYTES: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Auto,
    Manual,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered. The body is kept up to its first KiB.
    Answered {
        status: u16,
        body: String,
        /// The wait that a 429 or 503 asked for with `retry-after`.
        retry_after: Option<Duration>,
    },
    /// There was no complete answer. The status is there if the receiver sent one.
    Failed { cause: SendFailure, status: Option<u16>, body: Option<String> },
}

impl Outcome {
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
}

/// Why there was no complete answer. The endpoint's owner sees these messages, so they say nothing about our own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    #[error("no complete answer within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("the host name could not be resolved")]
    Dns,
    #[error("the TLS handshake failed: check the certificate and its chain")]
    Tls,
    #[error("the connection was refused or could not be made")]
    Connect,
    #[error("the connection broke before the answer was complete")]
    Broken,
    #[error("the address is private, local or otherwise not allowed")]
    ForbiddenAddress,
    #[error("the URL leads back to this service")]
    OwnHost,
    #[error("the answer was not valid HTTP")]
    NotHttp,
}

/// An attempt as its delivery's row keeps it. Its number is its index in the row's list, counted from 1. Its time is inside
/// its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub id: AttemptId,
    pub triggered_by: Trigger,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

impl Attempt {
    #[must_use]
    pub fn new(id: AttemptId, triggered_by: Trigger, outcome: &Outcome, took: Duration) -> Self {
        let (http_status, response_body, error_message) = match outcome {
            Outcome::Answered { status, body, .. } => (Some(*status), Some(body.clone()), None),
            Outcome::Failed { cause, status, body } => (*status, body.clone(), Some(cause.to_string())),
        };
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { id, triggered_by, http_status, response_body, duration_ms, error_message }
    }

    #[must_use]
    pub fn success(&self) -> bool {
        self.error_message.is_none() && self.http_status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The start of an answer as text: at most [`MAX_RESPONSE_BODY_BYTES`], cut at a character boundary. Bytes that are not UTF-8
/// are replaced.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RESPONSE_BODY_BYTES)]).into_owned();
    // The limit may cut a character in two. Such a character is dropped and not replaced.
    if bytes.len() >= MAX_RESPONSE_BODY_BYTES {
        let tail = std::str::from_utf8(&bytes[..MAX_RESPONSE_BODY_BYTES]);
        if tail.is_err_and(|error| error.error_len().is_none()) && text.ends_with(char::REPLACEMENT_CHARACTER)
        {
            text.pop();
        }
    }
    while text.len() > MAX_RESPONSE_BODY_BYTES {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let long = format!("{}é and more", "a".repeat(1_023));
        assert_eq!(excerpt(long.as_bytes()), "a".repeat(1_023));
        assert_eq!(excerpt("é".as_bytes()), "é");
        assert_eq!(excerpt(b"a\xffb"), "a\u{fffd}b");
        assert!(excerpt(&[0xff; 4_000]).len() <= MAX_RESPONSE_BODY_BYTES);
    }
}
