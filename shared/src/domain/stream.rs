//! The order of an ordered endpoint's deliveries: docs/ordering.md.
//!
//! A delivery of such an endpoint stands in a stream. Its acceptance appends it to the stream's last chunk, and that gives it
//! its place. A job that finds the stream free takes the next deliveries of a chunk together, a *block*, by a conditional write
//! on the stream's head, and makes their first attempts one after another. Who records the end of a delivery goes on with the
//! next one; a delivery that must be retried has a job of its own meanwhile, and that job's end wakes the stream.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::attempt::Trigger;
use crate::decision::stand_back;
use crate::delivery::Delivery;
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::time::Timestamp;

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

/// A chunk with so many entries takes no more, and the next chunk follows. It fits one write unit.
pub const FULL: usize = 24;

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

/// The delivery of an entry, as far as its stream needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub has_row: bool,
    pub has_ended: bool,
    /// It has a job of its own, which retries it or makes its first attempt.
    pub is_handed_on: bool,
    pub sequence: Option<u64>,
    pub updated_at: Timestamp,
}

impl Seen {
    /// A row that is gone has expired: an entry is appended only after its rows are durable.
    #[must_use]
    pub fn of(row: Option<&Delivery>, now: Timestamp) -> Self {
        match row.filter(|row| !row.is_expired(now)) {
            Some(row) => Self {
                has_row: true,
                // A delivery is tried by hand only after it has ended, and stands outside of its stream then. An end that its
                // endpoint is still to hear of is not done: whoever goes on with the stream does that first.
                has_ended: (row.status.is_final() && !row.uncounted) || row.triggered_by == Trigger::Manual,
                is_handed_on: row.attempt_count > 0 || row.chain.is_some(),
                sequence: row.sequence,
                updated_at: row.updated_at,
            },
            None => Self {
                has_row: false,
                has_ended: true,
                is_handed_on: false,
                sequence: None,
                updated_at: Timestamp::from_millis(0),
            },
        }
    }
}

/// A job that looks at its stream.
#[derive(Debug, Clone, Copy)]
pub struct Woken<'a> {
    /// Its message's id, which stays when the message comes back.
    pub message: &'a str,
    /// The delivery that has ended, after which this job goes on.
    pub after: Option<DeliveryId>,
}

/// A place in a stream from which nothing is taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub chunk: u64,
    /// `None` when nothing of the chunk is taken.
    pub made: Option<u32>,
    pub from: u32,
}

impl Place {
    const START: Self = Self { chunk: 0, made: None, from: 0 };

    #[must_use]
    pub const fn after(block: &Block) -> Self {
        Self { chunk: block.chunk, made: Some(block.made), from: block.to }
    }

    const fn next_chunk(self) -> Self {
        Self { chunk: self.chunk + 1, made: None, from: 0 }
    }
}

/// The first look of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All that was taken has ended: take what comes next, with this number.
    Next { place: Place, number: u64 },
    /// Look at all deliveries of the block: they may have ended, or this job may be the one to go on with them.
    Inside,
    /// Another job goes on with the stream, and will see all that was appended until now: there is nothing to do.
    Leave,
}

/// Chooses a job's act. `last` is the last delivery of the head's block, read after the head. Most jobs of a backlog leave after
/// these two reads.
///
/// No wake-up is lost. A job that leaves was sent after its delivery was appended, and saw that the block had not ended. The job
/// that records the block's end looks for further entries after that record, so it sees that delivery.
#[must_use]
pub fn look(head: Option<&Head>, last: Option<Seen>, woken: Woken<'_>) -> Look {
    let Some(block) = head.and_then(|head| head.block.as_ref()) else {
        return Look::Next { place: Place::START, number: 1 };
    };
    match last {
        Some(last) if last.has_ended && block.from + 1 == block.to => {
            Look::Next { place: Place::after(block), number: number_at(block, &[last], 1) }
        }
        // The last one may be an entry that is there twice, or may have ended by other means, before those in front of it.
        Some(last) if last.has_ended => Look::Inside,
        _ if block.runner == woken.message || woken.after.is_some() => Look::Inside,
        _ => Look::Leave,
    }
}

/// The act of a job inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Another job goes on.
    Leave,
    /// All of it has ended.
    Done { number: u64 },
    /// The job that took the block may still be at work.
    Wait { until: Timestamp },
    /// Take the rest of the block, from this entry on. With `is_tried`, an earlier job may have made its request.
    TakeOver { index: u32, number: u64, is_tried: bool },
    /// This entry's delivery has been handed on, and this job acts for it if its own job does not.
    StandIn { index: u32 },
}

/// Chooses the act of a job inside a block. `entries` are those of its chunk, `seen` those from `block.from` to `block.to`.
#[must_use]
pub fn inside(
    block: &Block,
    entries: &[Entry],
    seen: &[Seen],
    woken: Woken<'_>,
    now: Timestamp,
    request_timeout: Duration,
) -> Inside {
    let Some(first) = seen.iter().position(|seen| !seen.has_ended) else {
        return Inside::Done { number: number_at(block, seen, seen.len()) };
    };
    let index = block.from + u32::try_from(first).unwrap_or(u32::MAX);
    let number = number_at(block, seen, first);
    let ended = entries.iter().skip(block.from as usize).take(first);
    // A job goes past a delivery that was handed on only by taking the rest of the block. So a mark inside the block is new.
    if woken.after.is_some_and(|after| ended.clone().any(|entry| entry.delivery_id == after)) {
        return Inside::TakeOver { index, number, is_tried: false };
    }
    if block.runner != woken.message {
        return Inside::Leave;
    }
    if seen[first].is_handed_on {
        return Inside::StandIn { index };
    }
    let last_sign = seen[..first].iter().map(|seen| seen.updated_at).fold(block.taken_at, Timestamp::max);
    let until = last_sign.plus(stand_back(request_timeout));
    if now < until { Inside::Wait { until } } else { Inside::TakeOver { index, number, is_tried: true } }
}

/// The number of a block's next attempted delivery, after the first `until` of `seen`. A number stands on the row of each
/// delivery that has one. Where rows have expired the count is the most that they can have had.
#[must_use]
pub fn number_at(block: &Block, seen: &[Seen], until: usize) -> u64 {
    let before = &seen[..until.min(seen.len())];
    if before.iter().all(|seen| seen.has_row) {
        before.iter().filter_map(|seen| seen.sequence).fold(block.number, |next, number| next.max(number + 1))
    } else {
        block.number + before.len() as u64
    }
}

/// What comes at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// These entries of the chunk.
    Entries {
        from: u32,
        to: u32,
    },
    /// The chunk has no more, and another may follow.
    LookAt(Place),
    Nothing,
}

#[must_use]
pub fn coming(place: Place, tail: u64, chunk: Option<&Chunk>) -> Coming {
    let Some(chunk) = chunk else {
        // All of its deliveries have expired.
        return if place.chunk < tail { Coming::LookAt(place.next_chunk()) } else { Coming::Nothing };
    };
    let from = if place.made.is_none_or(|made| made == chunk.made) { place.from } else { 0 };
    let to = u32::try_from(chunk.entries.len()).unwrap_or(u32::MAX);
    if from < to {
        Coming::Entries { from, to }
    } else if chunk.entries.len() >= FULL {
        Coming::LookAt(place.next_chunk())
    } else {
        Coming::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_776_009_119_000 + seconds * 1_000)
    }

    fn entry(n: u8) -> Entry {
        let id = uuid::Uuid::from_bytes([n; 16]);
        Entry { delivery_id: DeliveryId::from_uuid(id), event_id: EventId::from_uuid(id) }
    }

    fn entries(count: u8) -> Vec<Entry> {
        (0..count).map(entry).collect()
    }

    /// Three deliveries, of which the first two have the numbers 5 and 6 if they are attempted.
    fn block() -> Block {
        Block {
            turn: 3,
            chunk: 2,
            made: 9,
            from: 1,
            to: 4,
            last: entry(3).delivery_id,
            number: 5,
            runner: "me".to_owned(),
            token: 7,
            taken_at: at(0),
        }
    }

    fn ended(sequence: Option<u64>) -> Seen {
        Seen { has_row: true, has_ended: true, is_handed_on: true, sequence, updated_at: at(1) }
    }

    fn untried() -> Seen {
        Seen { has_row: true, has_ended: false, is_handed_on: false, sequence: None, updated_at: at(-60) }
    }

    const ME: Woken<'_> = Woken { message: "me", after: None };
    const OTHER: Woken<'_> = Woken { message: "other", after: None };

    #[test]
    fn a_stream_is_named_by_its_endpoint_and_a_hash_of_its_customer() {
        let of = |order: Order, customer| String::from(order.stream_of(customer));
        assert_eq!(of(Order::Endpoint, Some("a")), "e");
        assert_eq!(of(Order::Customer, None), "c");
        assert_eq!(of(Order::Customer, Some("a")), "cca978112ca1bbdcafac231b3");
        assert_ne!(of(Order::Customer, Some("")), of(Order::Customer, None));
        for bad in ["", "x", "c1", "cca978112ca1bbdcafac231bg"] {
            assert_eq!(StreamTag::try_from(bad.to_owned()), Err(NotATag), "{bad}");
        }
    }

    #[test]
    fn a_job_takes_what_comes_next_or_leaves() {
        let head = Head { tail: 2, block: Some(block()) };
        assert_eq!(look(None, None, OTHER), Look::Next { place: Place::START, number: 1 });
        assert_eq!(look(Some(&Head::default()), None, OTHER), Look::Next { place: Place::START, number: 1 });
        assert_eq!(look(Some(&head), Some(untried()), OTHER), Look::Leave);
        assert_eq!(look(Some(&head), Some(untried()), ME), Look::Inside);
        let marked = Woken { after: Some(entry(1).delivery_id), ..OTHER };
        assert_eq!(look(Some(&head), Some(untried()), marked), Look::Inside);
        assert_eq!(look(Some(&head), Some(ended(Some(7))), OTHER), Look::Inside, "others may not have ended");
        let one = Head { block: Some(Block { from: 3, ..block() }), ..head };
        let place = Place { chunk: 2, made: Some(9), from: 4 };
        assert_eq!(look(Some(&one), Some(ended(Some(5))), OTHER), Look::Next { place, number: 6 });
        assert_eq!(look(Some(&one), Some(ended(None)), OTHER), Look::Next { place, number: 5 });
    }

    #[test]
    fn only_the_job_that_took_a_block_or_was_left_it_goes_on_inside() {
        let seen = [ended(Some(5)), untried(), untried()];
        let act = |woken, now| inside(&block(), &entries(5), &seen, woken, now, TIMEOUT);
        assert_eq!(act(OTHER, at(1_000)), Inside::Leave);
        // The last sign of life is the end of the first one.
        let until = at(1).plus(stand_back(TIMEOUT));
        assert_eq!(act(ME, at(30)), Inside::Wait { until });
        assert_eq!(act(ME, until), Inside::TakeOver { index: 2, number: 6, is_tried: true });
        let after = |n| Woken { after: Some(entry(n).delivery_id), ..OTHER };
        assert_eq!(act(after(1), at(2)), Inside::TakeOver { index: 2, number: 6, is_tried: false });
        // In front of the block, not ended, and unknown.
        for n in [0, 2, 4, 77] {
            assert_eq!(act(after(n), at(1_000)), Inside::Leave, "{n}");
        }
    }

    #[test]
    fn a_delivery_that_was_handed_on_keeps_its_stream() {
        let retrying = Seen { is_handed_on: true, sequence: Some(5), ..untried() };
        let seen = [retrying, untried(), untried()];
        let act = |woken| inside(&block(), &entries(5), &seen, woken, at(1_000), TIMEOUT);
        assert_eq!((act(OTHER), act(ME)), (Inside::Leave, Inside::StandIn { index: 1 }));
    }

    #[test]
    fn numbers_have_no_gap_among_those_that_were_attempted() {
        let done = |seen: [Seen; 3]| inside(&block(), &entries(5), &seen, OTHER, at(1), TIMEOUT);
        let (none, gone) = (ended(None), Seen { has_row: false, ..ended(None) });
        assert_eq!(done([ended(Some(5)), ended(Some(6)), ended(Some(7))]), Inside::Done { number: 8 });
        assert_eq!(done([none, none, none]), Inside::Done { number: 5 });
        assert_eq!(done([none, ended(Some(5)), none]), Inside::Done { number: 6 });
        // An entry that is there twice was numbered in an earlier block.
        assert_eq!(done([ended(Some(2)), ended(Some(5)), none]), Inside::Done { number: 6 });
        assert_eq!(
            done([gone, ended(Some(6)), none]),
            Inside::Done { number: 8 },
            "as many as there can have been"
        );
    }

    #[test]
    fn entries_are_taken_chunk_by_chunk() {
        let chunk = |count| Chunk { made: 9, entries: entries(count) };
        let place = Place { chunk: 2, made: Some(9), from: 3 };
        assert_eq!(coming(place, 2, Some(&chunk(5))), Coming::Entries { from: 3, to: 5 });
        assert_eq!(coming(place, 2, Some(&chunk(3))), Coming::Nothing);
        let full = Place { from: 24, ..place };
        let next = Place { chunk: 3, made: None, from: 0 };
        assert_eq!(coming(full, 2, Some(&chunk(24))), Coming::LookAt(next));
        assert_eq!(
            coming(Place { made: Some(8), ..place }, 2, Some(&chunk(2))),
            Coming::Entries { from: 0, to: 2 }
        );
        assert_eq!(coming(next, 3, None), Coming::Nothing);
        assert_eq!(coming(next, 4, None), Coming::LookAt(Place { chunk: 4, ..next }));
    }
}
