//! Internal faults. A fault of the service is no failed attempt, and it leaves the message in its queue.

use echo_shared::accept::AcceptError;
use echo_shared::aws::Failure;
use echo_shared::queue::QueueError;
use echo_shared::sealing::SealingError;
use echo_shared::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a stream is not woken yet: {0}")]
    NotWoken(#[from] QueueError),
    /// Nothing is sent unsigned or without its headers.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    #[error("an operational event is not accepted yet: {0}")]
    NotAccepted(#[source] AcceptError),
    #[error("EventBridge did not take an operational event: {0}")]
    Bus(#[source] Failure),
}
