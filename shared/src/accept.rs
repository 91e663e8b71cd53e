//! Accepting an event. Once an event is accepted, each of its deliveries ends as `success` or `failed` with no one's help
//! (contract §4).
//!
//! An event with an id of ours cannot exist yet: its row and its deliveries' rows go in one request, and the jobs beside it. An
//! event with the producer's id writes its own row first, on condition that the id is free. Where an event of equal content has
//! the id, missing rows are written and a copy is sent for each delivery without an attempt. Then the deliveries' rows are
//! inserted, 25 a request, each only if it is new, and beside them the jobs are sent, ten a request. (Rejected:
//! `BatchWriteItem`, which takes no conditions, and a transaction, which costs twice as much.)

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join, try_join, try_join_all};

use crate::decision::stand_back;
use crate::delivery::Delivery;
use crate::event::{Event, EventDelivery};
use crate::id::EndpointId;
use crate::job::DeliveryJob;
use crate::line_up::{InStreams, line_up};
use crate::route::Routes;
pub use crate::sinks::{AcceptError, Sinks};
use crate::store::{Accepted, StoreError};
use crate::time::Timestamp;

/// An event that is durable.
#[derive(Debug)]
pub struct Acceptance {
    /// The event as it was first accepted.
    pub event: Event,
    pub duplicate: bool,
}

/// An event whose own row is written. The rows and jobs of its deliveries may still be missing.
#[derive(Debug)]
pub struct EventWritten {
    pub acceptance: Acceptance,
    missing: Vec<EventDelivery>,
    pub jobs: Jobs,
    /// The deliveries that are still to be appended to their streams, once all rows are written.
    pub in_streams: InStreams,
}

/// The jobs of one event or several, still to be sent.
#[derive(Debug, Default)]
pub struct Jobs {
    first: Vec<DeliveryJob>,
    /// Jobs that stand back, because their delivery may have a job already.
    backups: Vec<DeliveryJob>,
    /// The endpoints whose jobs go to the queue of slow endpoints.
    pub(crate) slow: HashSet<EndpointId>,
}

impl Jobs {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_empty() && self.backups.is_empty()
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.first.len() + self.backups.len()
    }

    pub fn add(&mut self, others: Self) {
        self.first.extend(others.first);
        self.backups.extend(others.backups);
        self.slow.extend(others.slow);
    }
}

/// Makes an event durable: writes its row and the rows of its deliveries, and sends a job for each delivery.
///
/// # Errors
/// When an event with other content has the same id, or when the store or a queue did not do its part.
pub async fn accept(
    sinks: Sinks<'_>,
    event: Event,
    routes: &Routes,
    now: Timestamp,
) -> Result<Acceptance, AcceptError> {
    let accepted = sinks.store.accept_event(&event, now).await?;
    let event_written = after_event_written(sinks, event, accepted, routes, now).await?;
    let rows = event_written.rows();
    let EventWritten { acceptance, jobs, in_streams, .. } = event_written;
    let written = async { Ok(sinks.store.create_deliveries(&rows).await?) };
    try_join(written, send_all(sinks, jobs)).await?;
    line_up(sinks, in_streams).await?;
    Ok(acceptance)
}

/// Makes an event with an id of ours durable. No row can have this id yet, so all rows of the event go in one request, and
/// its jobs beside it: a job that wakes first waits for the rows ([`crate::decision::without_event`]).
///
/// # Errors
/// When the store or a queue did not do its part. Then the event may still be delivered, if all of its rows were written.
pub async fn accept_new(
    sinks: Sinks<'_>,
    event: Event,
    routes: &Routes,
    now: Timestamp,
) -> Result<Acceptance, AcceptError> {
    let event_written = written_new(event, routes, now);
    let rows = event_written.rows();
    let EventWritten { acceptance, jobs, in_streams, .. } = event_written;
    let written = async { Ok(sinks.store.create_event(&acceptance.event, &rows).await?) };
    try_join(written, send_all(sinks, jobs)).await?;
    line_up(sinks, in_streams).await?;
    Ok(acceptance)
}

/// Finds the rows and jobs that an event still lacks once its own row is written. From then on the same `event_id` leads to
/// the same deliveries.
///
/// # Errors
/// When an event with other content has the same id, or when the store did not do its part.
pub async fn after_event_written(
    sinks: Sinks<'_>,
    event: Event,
    accepted: Accepted,
    routes: &Routes,
    now: Timestamp,
) -> Result<EventWritten, AcceptError> {
    match accepted {
        Accepted::New => Ok(written_new(event, routes, now)),
        Accepted::Exists(first) if first.is_erased() => Err(AcceptError::Erased),
        Accepted::Exists(first) if first.content_hash == event.content_hash => {
            let (missing, untried) = left_over(sinks, &first, now).await?;
            let slow = slow_ones(routes, now);
            let in_streams = InStreams::of(&first, &untried, &slow);
            let plain = untried.iter().filter(|listed| listed.stream.is_none());
            let backups = plain.map(|listed| first.first_job(listed).standing_back()).collect();
            let jobs = Jobs { first: Vec::new(), backups, slow };
            Ok(EventWritten {
                acceptance: Acceptance { event: *first, duplicate: true },
                missing,
                jobs,
                in_streams,
            })
        }
        Accepted::Exists(first) => Err(AcceptError::Conflict { accepted_at: first.accepted_at }),
    }
}

/// The rows and jobs of an event that was not there before.
pub(crate) fn written_new(event: Event, routes: &Routes, now: Timestamp) -> EventWritten {
    let plain = event.deliveries.iter().filter(|listed| listed.stream.is_none());
    let first = plain.map(|listed| event.first_job(listed)).collect();
    let missing = event.deliveries.clone();
    let slow = slow_ones(routes, now);
    let in_streams = InStreams::of(&event, &missing, &slow);
    let jobs = Jobs { first, backups: Vec::new(), slow };
    EventWritten { acceptance: Acceptance { event, duplicate: false }, missing, jobs, in_streams }
}

fn slow_ones(routes: &Routes, now: Timestamp) -> HashSet<EndpointId> {
    routes.endpoints.keys().filter(|id| routes.is_slow(id, now)).copied().collect()
}

impl EventWritten {
    /// The missing rows of deliveries.
    #[must_use]
    pub fn rows(&self) -> Vec<Delivery> {
        self.missing.iter().map(|listed| Delivery::pending(&self.acceptance.event, listed)).collect()
    }
}

/// The first acceptance may have stopped half-way. Returns the deliveries whose rows are missing, and the deliveries without an
/// attempt. Those may lack a job, or a place in their stream.
async fn left_over(
    sinks: Sinks<'_>,
    event: &Event,
    now: Timestamp,
) -> Result<(Vec<EventDelivery>, Vec<EventDelivery>), StoreError> {
    let rows = event.deliveries.iter().map(|listed| async {
        let row = sinks.store.delivery(&event.project_id, &listed.endpoint_id, &listed.id, now).await?;
        Ok::<_, StoreError>((*listed, row))
    });
    let rows = try_join_all(rows).await?;
    let missing = rows.iter().filter(|(_, row)| row.is_none()).map(|(listed, _)| *listed).collect();
    let untried = rows.iter().filter(|(_, row)| row.as_ref().is_none_or(Delivery::is_untried));
    let untried = untried.map(|(listed, _)| *listed).collect();
    Ok((missing, untried))
}

/// Sends jobs and returns the jobs that are not certain to be queued. When the send of a first job is in doubt, the job may
/// be in the queue. So the second try sends a job that stands back from it.
pub async fn send(sinks: Sinks<'_>, jobs: Jobs) -> Vec<DeliveryJob> {
    let Jobs { first, mut backups, slow } = jobs;
    let in_doubt = send_by_lane(sinks, first, &slow, Duration::ZERO).await;
    backups.extend(in_doubt.into_iter().map(DeliveryJob::standing_back));
    send_by_lane(sinks, backups, &slow, stand_back(sinks.request_timeout)).await
}

async fn send_all(sinks: Sinks<'_>, jobs: Jobs) -> Result<(), AcceptError> {
    let in_doubt = send(sinks, jobs).await;
    if in_doubt.is_empty() { Ok(()) } else { Err(AcceptError::InDoubt(in_doubt.len())) }
}

async fn send_by_lane(
    sinks: Sinks<'_>,
    jobs: Vec<DeliveryJob>,
    slow: &HashSet<EndpointId>,
    delay: Duration,
) -> Vec<DeliveryJob> {
    let (slow_endpoints, first_attempts): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| slow.contains(&job.endpoint_id));
    let first_attempts = sinks.first_attempts.send_all(&first_attempts, delay);
    let slow_endpoints = sinks.slow_endpoints.send_all(&slow_endpoints, delay);
    let (first_attempts, slow_endpoints) = join(first_attempts, slow_endpoints).await;
    [first_attempts, slow_endpoints].concat()
}
