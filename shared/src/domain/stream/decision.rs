//! What a stream's job does: on its first look, inside a block, and behind it.

use std::time::Duration;

use super::{Block, Chunk, Entry, FULL, Head};
use crate::attempt::Trigger;
use crate::decision::stand_back;
use crate::delivery::Delivery;
use crate::id::DeliveryId;
use crate::time::Timestamp;

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
    pub(super) const START: Self = Self { chunk: 0, made: None, from: 0 };

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
fn number_at(block: &Block, seen: &[Seen], until: usize) -> u64 {
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
