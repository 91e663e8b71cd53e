//! The change that a decision makes to a delivery's row, written in one conditional update.

use crate::attempt::{Attempt, Trigger};
use crate::delivery::{Delivery, DeliveryStatus, FailureReason};
use crate::id::ReplayId;
use crate::job::Chain;
use crate::rate_limit::Slot;
use crate::time::Timestamp;

/// The fields that change on a delivery's row, in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub status: DeliveryStatus,
    pub triggered_by: Trigger,
    pub next_retry_at: Option<Timestamp>,
    pub failure_reason: Option<FailureReason>,
    pub chain: Option<Chain>,
    pub slot: Option<Slot>,
    /// The delivery's number in its stream; it stays once it is there.
    pub sequence: Option<u64>,
    pub uncounted: bool,
    /// The attempt that led to the change, if one was made.
    pub attempt: Option<Attempt>,
    /// The replay that makes the change. A delivery that this replay or a later one has moved on is not moved on again.
    pub replay_id: Option<ReplayId>,
    /// Takes the payload and the receivers' answers off the row. No other change comes after this one.
    pub erases: bool,
    pub at: Timestamp,
}

impl Transition {
    /// Changes nothing but the time. Others are made from it.
    #[must_use]
    pub fn unchanged(delivery: &Delivery, at: Timestamp) -> Self {
        Self {
            status: delivery.status,
            triggered_by: delivery.triggered_by,
            next_retry_at: delivery.next_retry_at,
            failure_reason: delivery.failure_reason,
            chain: delivery.chain,
            slot: delivery.slot,
            sequence: delivery.sequence,
            uncounted: delivery.uncounted,
            attempt: None,
            replay_id: None,
            erases: false,
            at,
        }
    }

    /// Names the job of this chain, which thereby makes the next attempt.
    #[must_use]
    pub fn named(delivery: &Delivery, chain: Option<Chain>, at: Timestamp) -> Self {
        Self { chain, ..Self::unchanged(delivery, at) }
    }

    /// Ends a delivery without an attempt.
    #[must_use]
    pub fn ended(delivery: &Delivery, reason: FailureReason, at: Timestamp) -> Self {
        Self {
            status: DeliveryStatus::Failed,
            failure_reason: Some(reason),
            next_retry_at: None,
            slot: None,
            erases: matches!(reason, FailureReason::Erased),
            ..Self::unchanged(delivery, at)
        }
    }

    /// Ends a delivery whose event was never accepted, and takes its payload off: an erasure of the event's payload starts at
    /// the event's row, which is not there.
    #[must_use]
    pub fn unaccepted(delivery: &Delivery, at: Timestamp) -> Self {
        Self { erases: true, ..Self::ended(delivery, FailureReason::Internal, at) }
    }

    /// Erases the payload and the receivers' answers. A delivery that waits ends; one that has ended keeps its times.
    #[must_use]
    pub fn erased(delivery: &Delivery, at: Timestamp) -> Self {
        if delivery.status.is_final() {
            Self { erases: true, ..Self::unchanged(delivery, delivery.updated_at) }
        } else {
            Self::ended(delivery, FailureReason::Erased, at)
        }
    }

    /// Opens a delivery that has ended for one attempt by hand.
    #[must_use]
    pub const fn by_hand(chain: Chain, at: Timestamp) -> Self {
        Self {
            status: DeliveryStatus::Pending,
            triggered_by: Trigger::Manual,
            next_retry_at: None,
            failure_reason: None,
            chain: Some(chain),
            slot: None,
            sequence: None,
            uncounted: false,
            attempt: None,
            replay_id: None,
            erases: false,
            at,
        }
    }

    /// Changes a delivery in memory as the write changes its row.
    pub fn apply(&self, delivery: &mut Delivery) {
        delivery.status = self.status;
        delivery.triggered_by = self.triggered_by;
        delivery.next_retry_at = self.next_retry_at;
        delivery.failure_reason = self.failure_reason;
        delivery.chain = self.chain;
        delivery.slot = self.slot;
        delivery.sequence = self.sequence.or(delivery.sequence);
        delivery.uncounted = self.uncounted;
        delivery.updated_at = self.at;
        delivery.attention = delivery.attention_at(self.at);
        if let Some(attempt) = &self.attempt {
            delivery.attempt_count += 1;
            delivery.attempts.push(attempt.clone());
            if self.status.wants_attention() {
                // The event's row has it too. A read there for each further attempt costs a fifth of the second write
                // unit that every further write of this row would cost.
                delivery.payload = None;
            }
        }
        if self.replay_id.is_some() {
            delivery.replay_id = self.replay_id;
        }
        if self.erases {
            delivery.erase();
        }
    }
}
