//! A queue message: deleted when its work is done, or hidden and kept.

use std::time::Duration;

use echo_shared::decision::backoff;
use echo_shared::queue::Queue;

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
