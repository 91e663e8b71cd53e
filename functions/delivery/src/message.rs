//! A queue message: deleted when its work is done, or hidden and kept.

use std::time::Duration;

use echo_shared::decision::{EARLY, backoff};
use echo_shared::queue::Queue;
use echo_shared::rate_limit::Slot;
use echo_shared::time::Timestamp;

/// A shorter wait, rounded up to SQS's whole seconds, would be longer by more than a tenth.
const ROUNDED_UP_FROM: Duration = Duration::from_secs(10);

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// The end of a message's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Disposal {
    /// Lambda deletes it.
    Delete,
    /// The batch's failures name it, so it comes back.
    Keep,
    /// As `Keep`, because of an internal fault: DynamoDB, SQS, EventBridge or this code failed. An alarm watches their number.
    /// The message is hidden for 5 s, doubling up to 15 minutes, so it is received 960 times in no less than 48 hours.
    HeldBack,
}

impl Disposal {
    /// The same, if an internal fault is the reason that the message stays.
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
    /// Its name in the batch's failures.
    pub(crate) id: String,
    pub(crate) receipt_handle: String,
    pub(crate) receives: u32,
}

impl Message {
    /// Keeps the message and hides it for `wait`. If SQS does not answer, the message comes back after the queue's own
    /// visibility timeout, and its job is decided again.
    pub(crate) async fn hide(&self, wait: Duration) -> Disposal {
        match self.queue.hide(&self.receipt_handle, wait).await {
            Ok(()) => Disposal::Keep,
            Err(error) => {
                tracing::warn!(message_id = self.id, %error, "a message could not be hidden");
                Disposal::HeldBack
            }
        }
    }

    /// Keeps the message until an internal fault may have passed, for longer each time.
    pub(crate) async fn back_off(&self) -> Disposal {
        self.hide(backoff(self.receives)).await.by_our_fault()
    }
}

/// How long the queue keeps a job that may act from `due`.
pub(crate) fn time_in_queue(due: Timestamp, slot: Option<Slot>) -> Duration {
    let wait = due.since(Timestamp::now());
    if slot.is_some_and(|slot| slot.at == due) { slot_wait(wait) } else { queue_wait(wait) }
}

/// How long the queue keeps a job that has to wait for `wait`. A short wait is rounded to the nearest second; a job that
/// wakes a little early sleeps through the rest.
fn queue_wait(wait: Duration) -> Duration {
    if wait < ROUNDED_UP_FROM { Duration::from_secs((wait + HALF_A_SECOND).as_secs()) } else { wait }
}

/// As [`queue_wait`], for a job that waits for its slot. It wakes up to a second and [`EARLY`] before its slot and sleeps
/// through the rest. Rounded up, jobs with different slots in one second would all be sent at its end.
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
