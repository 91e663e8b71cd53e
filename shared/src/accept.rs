//! Accepting an event: once this answers, each of its deliveries ends without anyone's help (contract §4).

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join, try_join, try_join_all};

use crate::decision::stand_back;
use crate::delivery::{Delivery, DeliveryStatus};
use crate::endpoint::Endpoint;
use crate::event::{Event, EventDelivery};
use crate::id::EndpointId;
use crate::job::{Chain, DeliveryJob};
use crate::queue::Queue;
use crate::store::{Accepted, Store, StoreError};
use crate::time::Timestamp;

/// Where an event goes that is accepted: its rows, and its jobs to either lane.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    pub store: &'a Store,
    /// First attempts of endpoints that answer promptly.
    pub first_attempts: &'a Queue,
    /// Everything for endpoints that are slow.
    pub slow_endpoints: &'a Queue,
    /// For one request to a receiver: a repeated job stands back for longer than that.
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
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} jobs were perhaps not queued")]
    InDoubt(usize),
}

/// An event that is durable.
#[derive(Debug)]
pub struct Acceptance {
    /// As it was first accepted.
    pub event: Event,
    pub duplicate: bool,
}

/// An event whose own row is written; its deliveries' rows and jobs are still to follow.
#[derive(Debug)]
pub struct Noted {
    pub acceptance: Acceptance,
    missing: Vec<EventDelivery>,
    pub jobs: Jobs,
}

/// The jobs of one event or several, still to be sent.
#[derive(Debug, Default)]
pub struct Jobs {
    first: Vec<DeliveryJob>,
    /// Those that stand back, because there may be one of the same delivery already.
    backups: Vec<DeliveryJob>,
    /// The endpoints whose jobs go to the slow lane.
    slow: HashSet<EndpointId>,
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

/// Makes an event durable: its row, its deliveries' rows, and a job for each of these.
///
/// # Errors
/// When its id is taken by an event of other content, or the store or a queue did not do its part.
pub async fn accept(
    places: Places<'_>,
    event: Event,
    endpoints: &[Endpoint],
    now: Timestamp,
) -> Result<Acceptance, AcceptError> {
    let accepted = places.store.accept_event(&event, now).await?;
    let noted = note(places, event, accepted, endpoints, now).await?;
    let rows = noted.rows();
    let written = async { Ok(places.store.create_deliveries(&rows).await?) };
    let sent = async {
        let in_doubt = send(places, noted.jobs).await;
        if in_doubt.is_empty() { Ok(()) } else { Err(AcceptError::InDoubt(in_doubt.len())) }
    };
    try_join(written, sent).await?;
    Ok(noted.acceptance)
}

/// What is left to do for an event once its own row is there: from then on the same id finds the same deliveries.
///
/// # Errors
/// When its id is taken by an event of other content, or the store did not do its part.
pub async fn note(
    places: Places<'_>,
    event: Event,
    accepted: Accepted,
    endpoints: &[Endpoint],
    now: Timestamp,
) -> Result<Noted, AcceptError> {
    let slow = endpoints.iter().filter(|endpoint| endpoint.is_slow(now)).map(|endpoint| endpoint.id);
    let slow = slow.collect();
    match accepted {
        Accepted::New => {
            let first = event.deliveries.iter().map(|listed| job(&event, listed, None)).collect();
            let missing = event.deliveries.clone();
            let jobs = Jobs { first, backups: Vec::new(), slow };
            Ok(Noted { acceptance: Acceptance { event, duplicate: false }, missing, jobs })
        }
        Accepted::Exists(first) if first.content_hash == event.content_hash => {
            let (missing, backups) = left_over(places, &first, now).await?;
            let jobs = Jobs { first: Vec::new(), backups, slow };
            Ok(Noted { acceptance: Acceptance { event: *first, duplicate: true }, missing, jobs })
        }
        Accepted::Exists(first) => Err(AcceptError::Conflict { accepted_at: first.accepted_at }),
    }
}

impl Noted {
    /// The deliveries' rows that are missing.
    #[must_use]
    pub fn rows(&self) -> Vec<Delivery> {
        self.missing.iter().map(|listed| Delivery::pending(&self.acceptance.event, listed)).collect()
    }
}

/// The first time may have died half-way: the rows that are missing, and a standing-back job for each delivery that no
/// one has tried yet.
async fn left_over(
    places: Places<'_>,
    event: &Event,
    now: Timestamp,
) -> Result<(Vec<EventDelivery>, Vec<DeliveryJob>), StoreError> {
    let rows = event.deliveries.iter().map(|listed| async {
        let row = places.store.delivery(&event.project_id, &listed.endpoint_id, &listed.id, now).await?;
        Ok::<_, StoreError>((*listed, row))
    });
    let rows = try_join_all(rows).await?;
    let missing = rows.iter().filter(|(_, row)| row.is_none()).map(|(listed, _)| *listed).collect();
    let is_waiting = |row: &Delivery| row.status == DeliveryStatus::Pending && row.attempt_count == 0;
    let waiting = rows
        .iter()
        .filter(|(_, row)| row.as_ref().is_none_or(is_waiting))
        .map(|(listed, _)| job(event, listed, Some(Chain::new())))
        .collect();
    Ok((missing, waiting))
}

fn job(event: &Event, listed: &EventDelivery, chain: Option<Chain>) -> DeliveryJob {
    DeliveryJob {
        project_id: event.project_id,
        endpoint_id: listed.endpoint_id,
        delivery_id: listed.id,
        event_id: event.event_id,
        chain,
        manual_at: None,
        by_hand: event.by_hand,
        waits_since: None,
    }
}

/// Sends jobs and returns those that are not certain to be queued. A first job whose send is in doubt may be, so what
/// follows it is not the same job again but one that stands back.
pub async fn send(places: Places<'_>, jobs: Jobs) -> Vec<DeliveryJob> {
    let Jobs { first, mut backups, slow } = jobs;
    let in_doubt = send_by_lane(places, first, &slow, Duration::ZERO).await;
    backups.extend(in_doubt.into_iter().map(|job| DeliveryJob { chain: Some(Chain::new()), ..job }));
    send_by_lane(places, backups, &slow, stand_back(places.request_timeout)).await
}

async fn send_by_lane(
    places: Places<'_>,
    jobs: Vec<DeliveryJob>,
    slow: &HashSet<EndpointId>,
    delay: Duration,
) -> Vec<DeliveryJob> {
    let (slow, prompt): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| slow.contains(&job.endpoint_id));
    let prompt = places.first_attempts.send_all(&prompt, delay);
    let slow = places.slow_endpoints.send_all(&slow, delay);
    let (prompt, slow) = join(prompt, slow).await;
    [prompt, slow].concat()
}
