//! What a stream's job does: on its first look, inside a block, and behind it.

use std::time::Duration;

use super::{Block, Chunk, Entry, FULL, Head, StreamTag};
use crate::attempt::Trigger;
use crate::decision::{Lane, stand_back};
use crate::delivery::{Delivery, FailureReason};
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::event::Event;
use crate::id::DeliveryId;
use crate::job::StreamJob;
use crate::time::Timestamp;

/// A runner goes on for so long, and then leaves the stream to a new job, so that it keeps no place in its lane for itself.
pub const SLICE: Duration = Duration::from_secs(5);

/// A runner's message comes back after this time if its function dies: after the invocation's end, and long before the queue's
/// own visibility timeout.
pub const COMES_BACK: Duration = Duration::from_secs(45);

/// A block of which nothing was heard for so long has lost its job: SQS handed the job's message out twice at once, one
/// receiver deleted it, and the other took the block and died. Any job may take it over then. The time is longer than
/// the default schedule's longest wait, because until then such a look would be made for each event of a blocked
/// stream.
pub const LOST_AFTER: Duration = Duration::from_secs(40 * 60);

/// A customer's stream is listed for the erasure of its project at its first block, and again in each such period in which
/// it is taken.
pub const LISTED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often a job looks again at once after another job has changed the stream.
pub const ROUNDS: usize = 5;

/// The delivery of an entry, as far as its stream needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub has_ended: bool,
    /// It has a job of its own, which retries it or makes its first attempt.
    pub is_handed_on: bool,
    pub sequence: Option<u64>,
    /// It ended from outside of its turn, perhaps while its first request was under way. Its number is not on the row then.
    pub may_have_a_number: bool,
    pub updated_at: Timestamp,
}

impl Seen {
    /// A row that is gone has expired: an entry is appended only after its rows are durable.
    #[must_use]
    pub fn of(row: Option<&Delivery>, now: Timestamp) -> Self {
        match row.filter(|row| !row.is_expired(now)) {
            Some(row) => Self {
                // A delivery is tried by hand only after it has ended, and stands outside of its stream then. An end that
                // somebody is still to hear of is not done: whoever goes on with the stream does that first.
                has_ended: (row.status.is_final() && !row.is_to_be_told())
                    || row.triggered_by == Trigger::Manual,
                is_handed_on: row.attempt_count > 0 || row.chain.is_some(),
                sequence: row.sequence,
                may_have_a_number: row.sequence.is_none()
                    && row.triggered_by == Trigger::Auto
                    && matches!(row.failure_reason, Some(FailureReason::Erased | FailureReason::Internal)),
                updated_at: row.updated_at,
            },
            None => Self {
                has_ended: true,
                is_handed_on: false,
                sequence: None,
                may_have_a_number: true,
                updated_at: Timestamp::from_millis(0),
            },
        }
    }

    /// The stream's next number after this delivery, which would have had `number`. A number stands on the row of each delivery
    /// that has one, unless its row has expired or it ended from outside of its turn. Such a delivery counts as one
    /// with a number: no receiver may get a number twice, and one that never arrives is a delivery that failed
    /// (contract §5).
    #[must_use]
    pub fn number_after(self, number: u64) -> u64 {
        match self.sequence {
            Some(own) => number.max(own + 1),
            None => number + u64::from(self.may_have_a_number),
        }
    }
}

/// A job that looks at its stream.
#[derive(Debug, Clone, Copy)]
pub struct LookingJob<'a> {
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

/// Chooses a job's act. `last` is the last delivery of the head's block, read after the head. Most jobs of a backlog
/// leave after these two reads.
///
/// No wake-up is lost. A job that leaves was sent after its delivery was appended, and saw that the block had not
/// ended. The job that records the block's end looks for further entries after that record, so it sees that delivery.
#[must_use]
pub fn look(head: Option<&Head>, last: Option<Seen>, looking: LookingJob<'_>, now: Timestamp) -> Look {
    let Some(block) = head.and_then(|head| head.block.as_ref()) else {
        return Look::Next { place: Place::START, number: 1 };
    };
    match last {
        Some(last) if last.has_ended && block.from + 1 == block.to => {
            Look::Next { place: Place::after(block), number: number_at(block, &[last], 1) }
        }
        // The last one may be an entry that is there twice, or may have ended by other means, before those in front of it.
        Some(last) if last.has_ended => Look::Inside,
        _ if block.runner == looking.message || looking.after.is_some() => Look::Inside,
        _ if now >= block.taken_at.plus(LOST_AFTER) => Look::Inside,
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
    looking: LookingJob<'_>,
    now: Timestamp,
    request_timeout: Duration,
) -> Inside {
    let Some(first) = seen.iter().position(|seen| !seen.has_ended) else {
        return Inside::Done { number: number_at(block, seen, seen.len()) };
    };
    let index = block.from + u32::try_from(first).unwrap_or(u32::MAX);
    let number = number_at(block, seen, first);
    let (passed, rest) = entries.split_at(entries.len().min(block.from as usize));
    let is_in = |entries: &[Entry], id| entries.iter().any(|entry| entry.delivery_id == id);
    // A job goes past a delivery that was handed on only by taking the rest of the block. So a mark inside the block is new,
    // unless the delivery stands twice in the chunk and was passed in its first place.
    if looking
        .after
        .is_some_and(|after| is_in(&rest[..first.min(rest.len())], after) && !is_in(passed, after))
    {
        return Inside::TakeOver { index, number, is_tried: false };
    }
    let last_sign = seen[..first].iter().map(|seen| seen.updated_at).fold(block.taken_at, Timestamp::max);
    if block.runner != looking.message {
        let is_lost = !seen[first].is_handed_on && now >= last_sign.plus(LOST_AFTER);
        return if is_lost { Inside::TakeOver { index, number, is_tried: true } } else { Inside::Leave };
    }
    if seen[first].is_handed_on {
        return Inside::StandIn { index };
    }
    let until = last_sign.plus(stand_back(request_timeout));
    if now < until { Inside::Wait { until } } else { Inside::TakeOver { index, number, is_tried: true } }
}

/// The number of a block's next attempted delivery, after the first `until` of `seen`.
fn number_at(block: &Block, seen: &[Seen], until: usize) -> u64 {
    seen[..until.min(seen.len())].iter().fold(block.number, |next, seen| seen.number_after(next))
}

/// Whether a delivery takes its stream's next number when the stream's runner comes to it. One that ends without a request
/// takes none, unless an earlier job may have made the request. One without a payload takes a number, as it does if it is
/// erased sooner.
#[must_use]
pub fn takes_number(endpoint: Option<&Endpoint>, event: Option<&Event>, is_tried: bool) -> bool {
    let is_active = endpoint.is_some_and(|endpoint| endpoint.status == EndpointStatus::Active);
    is_active || is_tried || event.is_none_or(Event::is_erased)
}

/// Whether a job leaves a block to a new job in the slow lane. With `is_tried` it must not: it goes on in the block because its
/// own message has come back, and a new message could not go on there. The delivery's own job goes to the slow lane instead.
#[must_use]
pub fn leaves_for_slow_lane(lane: Lane, is_slow: bool, is_tried: bool) -> bool {
    lane != Lane::Slow && is_slow && !is_tried
}

/// Whether a stream is listed before its next block is taken. The streams of all customers together and of events without
/// a customer need no list: their names follow from the endpoint's id.
#[must_use]
pub fn is_listed_anew(stream: StreamTag, before: Option<&Block>, now: Timestamp) -> bool {
    let period = |at: Timestamp| at.as_seconds().div_euclid(LISTED_FOR.as_secs().cast_signed());
    let is_listed = before.is_some_and(|before| period(before.taken_at) == period(now));
    matches!(stream, StreamTag::Customer(_)) && !is_listed
}

/// The job that lets a stream go on at once after the payload of the delivery was erased that held it up. `None` where a runner
/// may still have the delivery in hand and goes on by itself, because the job would be a second runner.
#[must_use]
pub fn job_after_erasure(delivery: &Delivery, stream: StreamTag) -> Option<StreamJob> {
    let was_waited_for =
        delivery.failure_reason == Some(FailureReason::Erased) && delivery.triggered_by == Trigger::Auto;
    let is_handed_on = Seen::of(Some(delivery), delivery.updated_at).is_handed_on;
    (was_waited_for && is_handed_on).then_some(StreamJob {
        project_id: delivery.project_id,
        endpoint_id: delivery.endpoint_id,
        stream,
        after: Some(delivery.id),
    })
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
