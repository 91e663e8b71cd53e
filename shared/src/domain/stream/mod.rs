//! The order of an ordered endpoint's deliveries: docs/ordering.md.
//!
//! A delivery of such an endpoint stands in a stream. Its acceptance appends it to the stream's last chunk, and that gives it
//! its place. A job that finds the stream free takes the next deliveries of a chunk together, a *block*, by a conditional write
//! on the stream's head, and makes their first attempts one after another. Who records the end of a delivery goes on with the
//! next one; a delivery that must be retried has a job of its own meanwhile, and that job's end wakes the stream.

mod decision;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::id::{DeliveryId, EndpointId, EventId};
use crate::time::Timestamp;

pub use self::decision::{
    COMES_BACK, Coming, Inside, LISTED_FOR, LOST_AFTER, Look, LookingJob, Place, ROUNDS, SLICE, Seen, coming,
    inside, is_listed_anew, job_after_erasure, leaves_for_slow_lane, look, takes_number,
};

/// How an endpoint wants its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// One stream of all.
    #[serde(rename = "endpoint")]
    Endpoint,
    /// One stream for each customer.
    #[serde(rename = "customer_id")]
    Customer,
}

impl Order {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "endpoint" => Some(Self::Endpoint),
            "customer_id" => Some(Self::Customer),
            _ => None,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Customer => "customer_id",
        }
    }

    /// The stream of an event of this customer.
    #[must_use]
    pub fn stream_of(self, customer_id: Option<&str>) -> StreamTag {
        match (self, customer_id) {
            (Self::Endpoint, _) => StreamTag::Endpoint,
            (Self::Customer, None) => StreamTag::NoCustomer,
            (Self::Customer, Some(id)) => {
                let mut hash = [0; 12];
                hash.copy_from_slice(&Sha256::digest(id)[..12]);
                StreamTag::Customer(hash)
            }
        }
    }
}

/// A stream among those of its endpoint. A customer's id stands in no row of a stream, only its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum StreamTag {
    Endpoint,
    /// Events without a customer form a stream too.
    NoCustomer,
    Customer([u8; 12]),
}

impl From<StreamTag> for String {
    fn from(tag: StreamTag) -> Self {
        match tag {
            StreamTag::Endpoint => "e".to_owned(),
            StreamTag::NoCustomer => "c".to_owned(),
            StreamTag::Customer(hash) => format!("c{}", hex::encode(hash)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the tag of a stream")]
pub struct NotATag;

impl TryFrom<String> for StreamTag {
    type Error = NotATag;

    fn try_from(text: String) -> Result<Self, NotATag> {
        match text.as_str() {
            "e" => Ok(Self::Endpoint),
            "c" => Ok(Self::NoCustomer),
            _ => {
                let mut hash = [0; 12];
                let hex = text.strip_prefix('c').ok_or(NotATag)?;
                hex::decode_to_slice(hex, &mut hash).map_err(|_| NotATag)?;
                Ok(Self::Customer(hash))
            }
        }
    }
}

/// Names a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    pub endpoint_id: EndpointId,
    pub tag: StreamTag,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.endpoint_id, String::from(self.tag))
    }
}

/// A delivery in its stream: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub delivery_id: DeliveryId,
    pub event_id: EventId,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (delivery, event) = (self.delivery_id.as_uuid(), self.event_id.as_uuid());
        serializer.serialize_bytes(&[*delivery.as_bytes(), *event.as_bytes()].concat())
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the 32 bytes of an entry")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Entry, E> {
                Entry::from_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl Entry {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (delivery, event) = bytes.split_at_checked(16)?;
        let delivery = uuid::Uuid::from_slice(delivery).ok()?;
        let event = uuid::Uuid::from_slice(event).ok()?;
        Some(Self { delivery_id: DeliveryId::from_uuid(delivery), event_id: EventId::from_uuid(event) })
    }
}

impl StreamKey {
    /// The streams of an endpoint whose names follow from its id.
    #[must_use]
    pub const fn named_by_endpoint(endpoint_id: EndpointId) -> [Self; 2] {
        [Self { endpoint_id, tag: StreamTag::Endpoint }, Self { endpoint_id, tag: StreamTag::NoCustomer }]
    }
}

/// A chunk with so many entries takes no more, and the next chunk follows. It fits one write unit.
pub const FULL: usize = 24;

/// The deliveries that still need a place after a chunk refused them. The others stand in the chunk already, because their
/// acceptance, or the write, is a repeat.
#[must_use]
pub fn without_place(new: Vec<Entry>, chunk: &[Entry]) -> Vec<Entry> {
    new.into_iter().filter(|entry| !chunk.contains(entry)).collect()
}

/// How long a stream's rows outlive the events of their last change: longer than the deliveries of a block can be retried, one
/// after another, on the longest schedule.
pub const LINGERS: Duration = Duration::from_secs(120 * 24 * 60 * 60);

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Random. A chunk that expired and was made again has another one.
    pub made: u32,
    pub entries: Vec<Entry>,
}

/// The row that says how far a stream has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chunk to append to, or an earlier one, which is full then.
    #[serde(default)]
    pub tail: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
}

/// The deliveries that a job has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// One more each time that the stream is taken.
    pub turn: u64,
    pub chunk: u64,
    pub made: u32,
    /// Entries of the chunk: from this one, and up to before that one.
    pub from: u32,
    pub to: u32,
    /// The last of these deliveries.
    pub last: DeliveryId,
    /// The number of the first of them that is attempted.
    pub number: u64,
    /// The message whose job has taken them.
    pub runner: String,
    /// Random: tells this taking from another one by the same message.
    pub token: u32,
    pub taken_at: Timestamp,
}

impl Block {
    /// Entries of a chunk that no job has taken yet; `None` of an empty chunk.
    #[must_use]
    pub fn of(number_of_chunk: u64, chunk: &Chunk, from: u32, to: u32, number: u64) -> Option<Self> {
        Some(Self {
            turn: 0,
            chunk: number_of_chunk,
            made: chunk.made,
            from,
            to,
            last: chunk.entries.last()?.delivery_id,
            number,
            runner: String::new(),
            token: 0,
            taken_at: Timestamp::from_millis(0),
        })
    }

    /// The same, taken by a message after the block `before`.
    #[must_use]
    pub fn taken(self, before: Option<&Self>, runner: &str, token: u32, taken_at: Timestamp) -> Self {
        let turn = before.map_or(0, |before| before.turn) + 1;
        Self { turn, runner: runner.to_owned(), token, taken_at, ..self }
    }
}
