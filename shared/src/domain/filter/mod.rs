//! The filter of an endpoint: which events, of the names that it wants, it gets (contract §3).
//!
//! A filter is an event pattern of EventBridge over the envelope
//! (docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html). A pattern is compiled once, and
//! an event's envelope is read once for all filters, only as far as they look into it. Nothing backtracks, and `$or` is not
//! multiplied out. `steps.rs` bounds the work of a match.
//!
//! (Rejected: the crate `quamina`. It compiles many patterns into one automaton, which pays from hundreds of patterns
//! on, brings four more crates, lacks `$or`, and does not say where a pattern is wrong.)

mod document;
mod matching;
mod numbers;
mod pattern;
mod steps;

pub use self::document::Document;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::pattern::Pattern;
use self::steps::Steps;
use crate::bytes;

/// The most bytes of a filter's text.
pub const MAX_BYTES: usize = 4_096;

/// A filter as its owner wrote it. It compiles.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilterText(String);

/// Which filter it is. Two endpoints with one text have one compiled filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterHash([u8; 16]);

/// A compiled filter.
#[derive(Debug)]
pub struct Filter {
    hash: FilterHash,
    bytes: usize,
    pattern: Pattern,
}

/// What is wrong with a filter, and where. The text repeats names of fields, and no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is wrong at {at}: {why}")]
pub struct Wrong {
    /// A JSON path, such as `$.data.amount[0].numeric`.
    pub at: String,
    pub why: String,
}

impl FilterText {
    /// # Errors
    /// When the text is too long, or is not a pattern.
    pub fn new(json: &RawValue) -> Result<Self, Wrong> {
        if json.get().len() > MAX_BYTES {
            let why = format!("it must have at most {MAX_BYTES} bytes");
            return Err(Wrong { at: "$".to_owned(), why });
        }
        Pattern::compile(json)?;
        Ok(Self(json.get().to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn hash(&self) -> FilterHash {
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(self.0.as_bytes())[..16]);
        FilterHash(hash)
    }
}

/// A filter can name a customer.
impl fmt::Debug for FilterText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilterText({} bytes)", self.0.len())
    }
}

impl Filter {
    /// # Errors
    /// When the text is not a pattern, which a stored text always is.
    pub fn compile(text: &FilterText) -> Result<Self, Wrong> {
        let not_json = |_| Wrong { at: "$".to_owned(), why: "it must be JSON".to_owned() };
        let json: &RawValue = serde_json::from_str(&text.0).map_err(not_json)?;
        Ok(Self { hash: text.hash(), bytes: text.0.len(), pattern: Pattern::compile(json)? })
    }

    #[must_use]
    pub const fn hash(&self) -> FilterHash {
        self.hash
    }

    /// The bytes of its text.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it matches within its steps. A filter that does not come to an end matches nothing, because filters keep
    /// customers' events apart.
    #[must_use]
    pub fn matches(&self, envelope: &Document<'_>) -> bool {
        let steps = Steps::on(envelope.bytes());
        self.pattern.matches(Some(envelope.root()), &steps).unwrap_or(false)
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Filter {}

impl Serialize for FilterHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for FilterHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize(deserializer, "a filter's hash", |bytes| bytes.try_into().ok().map(Self))
    }
}

#[cfg(test)]
mod tests;
