//! Where accepted events go, and why an event was not accepted: the parts that all acceptances share.

use std::time::Duration;

use crate::queue::Queue;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// Where an accepted event goes: its rows to the store, and its jobs to one of two queues.
#[derive(Debug, Clone, Copy)]
pub struct Sinks<'a> {
    pub store: &'a Store,
    /// First attempts of endpoints that answer promptly.
    pub first_attempts: &'a Queue,
    /// All jobs of slow endpoints.
    pub slow_endpoints: &'a Queue,
    /// The timeout of one request to a receiver. A second job for a delivery stands back for longer than that.
    pub request_timeout: Duration,
}

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error(
        "event_id was already used in this project, for an event with other content that was accepted at {accepted_at}; data is \
         compared byte for byte"
    )]
    Conflict { accepted_at: Timestamp },
    #[error("event_id was already used in this project, for an event whose payload has been erased")]
    Erased,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} jobs are not certain to be queued")]
    InDoubt(usize),
    #[error("the event was not durable when the answer was due")]
    TooLate,
}
