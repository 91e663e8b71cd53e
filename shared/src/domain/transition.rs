//! The change that a decision makes to a delivery's row, written in one conditional update.

use crate::attempt::{Attempt, Trigger};
use crate::delivery::{Delivery, DeliveryStatus, FailureReason};
use crate::id::ReplayId;
use crate::job::Chain;
use crate::rate_limit::Slot;
use crate::time::Timestamp;

/// What changes on a delivery's row, in one write.
#[derive(Debug, Clone)]
pub struct Transition {
    pub status: DeliveryStatus,
    pub triggered_by: Trigger,
    pub next_retry_at: Option<Timestamp>,
    pub failure_reason: Option<FailureReason>,
    pub chain: Option<Chain>,
    pub slot: Option<Slot>,
    pub uncounted: bool,
    /// The attempt that led to it, if one was made.
    pub attempt: Option<Attempt>,
    /// The replay that it is made for. A delivery that this replay or a later one has moved on is not moved on again.
    pub replay_id: Option<ReplayId>,
    pub at: Timestamp,
}

impl Transition {
    /// As it is, without an attempt, but for what the caller changes.
    #[must_use]
    pub fn unchanged(delivery: &Delivery, at: Timestamp) -> Self {
        Self {
            status: delivery.status,
            triggered_by: delivery.triggered_by,
            next_retry_at: delivery.next_retry_at,
            failure_reason: delivery.failure_reason,
            chain: delivery.chain,
            slot: delivery.slot,
            uncounted: delivery.uncounted,
            attempt: None,
            replay_id: None,
            at,
        }
    }
    /// A delivery that has ended, about to be tried by hand.
    #[must_use]
    pub const fn by_hand(chain: Chain, at: Timestamp) -> Self {
        Self {
            status: DeliveryStatus::Pending,
            triggered_by: Trigger::Manual,
            next_retry_at: None,
            failure_reason: None,
            chain: Some(chain),
            slot: None,
            uncounted: false,
            attempt: None,
            replay_id: None,
            at,
        }
    }
}
