//! The queue message behind a piece of work: done with, or hidden and kept.

use std::time::Duration;

use echo_shared::decision::{EARLY, backoff};
use echo_shared::queue::Queue;
use echo_shared::rate_limit::Slot;
use echo_shared::time::Timestamp;

/// Below this, rounding a wait up to SQS's whole seconds would make it late by more than a tenth.
const ROUNDED_UP_FROM: Duration = Duration::from_secs(10);

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// What becomes of a message when its turn is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Disposal {
    /// Lambda deletes it.
    Delete,
    /// It is named in the batch's failures and comes back.
    Keep,
    /// As `Keep`, for a fault of our own: DynamoDB, SQS, EventBridge or this code failed. An alarm stands on their count.
    HeldBack,
}

impl Disposal {
    /// The same, where a fault of our own is the reason that a message stays.
    pub(crate) const fn by_our_fault(self) -> Self {
        match self {
            Self::Delete => Self::Delete,
            Self::Keep | Self::HeldBack => Self::HeldBack,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) queue: Queue,
    /// What the batch's failures call it.
    pub(crate) id: String,
    pub(crate) receipt_handle: String,
    pub(crate) receives: u32,
}

impl Message {
    /// Keeps the message, unseen for `wait`. If SQS does not answer it comes back after the queue's own visibility timeout,
    /// and what it finds then is judged anew.
    pub(crate) async fn hide(&self, wait: Duration) -> Disposal {
        match self.queue.hide(&self.receipt_handle, wait).await {
            Ok(()) => Disposal::Keep,
            Err(error) => {
                tracing::warn!(message_id = self.id, %error, "a message could not be hidden");
                Disposal::HeldBack
            }
        }
    }

    /// Keeps the message out of the way of a fault of our own, for longer each time.
    pub(crate) async fn back_off(&self) -> Disposal {
        self.hide(backoff(self.receives)).await.by_our_fault()
    }
}

/// How long a job that may act from `due` is left to the queue.
pub(crate) fn time_in_queue(due: Timestamp, slot: Option<Slot>) -> Duration {
    let wait = due.since(Timestamp::now());
    if slot.is_some_and(|slot| slot.at == due) { slot_wait(wait) } else { queue_wait(wait) }
}

/// How long to leave a job to the queue that has `wait` to wait, for short waits the nearest second: what is cut off
/// is slept through when the job wakes before its time by that much.
fn queue_wait(wait: Duration) -> Duration {
    if wait < ROUNDED_UP_FROM { Duration::from_secs((wait + HALF_A_SECOND).as_secs()) } else { wait }
}

/// As [`queue_wait`] for a job that waits for its slot. It wakes up to a second and [`EARLY`] before and sleeps through
/// what is left, or those that were put off together would be sent together.
const fn slot_wait(wait: Duration) -> Duration {
    Duration::from_secs(wait.saturating_sub(EARLY).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_waits_leave_at_most_half_a_second_to_sleep() {
        let millis = [0, 499, 500, 980, 1_050, 2_100, 9_450, 9_999, 10_000, 60_001];
        let waits = millis.map(|ms| queue_wait(Duration::from_millis(ms)).as_millis());
        assert_eq!(waits, [0, 0, 1_000, 1_000, 1_000, 2_000, 9_000, 10_000, 10_000, 60_001]);
    }

    #[test]
    fn a_job_wakes_half_a_second_before_its_slot_or_somewhat_earlier() {
        let waits =
            [0, 999, 1_499, 1_500, 12_345, 12_678].map(|ms| slot_wait(Duration::from_millis(ms)).as_millis());
        assert_eq!(waits, [0, 0, 0, 1_000, 11_000, 12_000]);
    }
}
