//! Accepting an event: once this answers, each of its deliveries ends without anyone's help (contract §4).

use std::collections::HashSet;
use std::time::Duration;

use echo_shared::decision::stand_back;
use echo_shared::delivery::{Delivery, DeliveryStatus};
use echo_shared::endpoint::Endpoint;
use echo_shared::event::{Event, EventDelivery};
use echo_shared::id::EndpointId;
use echo_shared::job::{Chain, DeliveryJob};
use echo_shared::queue::Queue;
use echo_shared::store::{Accepted, StoreError};
use echo_shared::time::Timestamp;
use futures_util::future::{try_join, try_join_all};

use crate::app::App;
use crate::error::ApiError;

/// An event that is durable.
#[derive(Debug)]
pub struct Acceptance {
    /// As it was first accepted.
    pub event: Event,
    pub duplicate: bool,
}

/// Makes an event durable: its row, its deliveries' rows, and a job for each of these.
///
/// # Errors
/// When its id is taken by an event of other content, or the store or a queue did not do its part.
pub async fn accept(
    app: &App,
    event: Event,
    endpoints: &[Endpoint],
    now: Timestamp,
) -> Result<Acceptance, ApiError> {
    match app.store.accept_event(&event, now).await? {
        Accepted::New => {
            let jobs = event.deliveries.iter().map(|listed| job(&event, listed, None)).collect();
            try_join(write_rows(app, &event, &event.deliveries), queue(app, jobs, endpoints, now)).await?;
            Ok(Acceptance { event, duplicate: false })
        }
        Accepted::Exists(first) if first.content_hash == event.content_hash => {
            make_sure(app, &first, endpoints, now).await?;
            Ok(Acceptance { event: *first, duplicate: true })
        }
        Accepted::Exists(_) => Err(ApiError::conflict(
            "event_id was already used in this project for an event with other content",
        )),
    }
}

fn job(event: &Event, listed: &EventDelivery, chain: Option<Chain>) -> DeliveryJob {
    DeliveryJob {
        project_id: event.project_id,
        endpoint_id: listed.endpoint_id,
        delivery_id: listed.id,
        event_id: event.event_id,
        chain,
        manual_at: None,
    }
}

async fn write_rows(app: &App, event: &Event, listed: &[EventDelivery]) -> Result<(), ApiError> {
    let writes = listed.iter().map(|listed| async {
        let delivery = Delivery::pending(event, listed);
        app.store.create_delivery(&delivery).await
    });
    try_join_all(writes).await?;
    Ok(())
}

/// The first time may have died half-way: adds the rows that are missing, and a standing-back job for each delivery
/// that no one has tried yet.
async fn make_sure(app: &App, event: &Event, endpoints: &[Endpoint], now: Timestamp) -> Result<(), ApiError> {
    let rows = event.deliveries.iter().map(|listed| async {
        let row = app.store.delivery(&event.project_id, &listed.endpoint_id, &listed.id, now).await?;
        Ok::<_, StoreError>((*listed, row))
    });
    let rows = try_join_all(rows).await?;
    let missing: Vec<EventDelivery> =
        rows.iter().filter(|(_, row)| row.is_none()).map(|(listed, _)| *listed).collect();
    let is_waiting = |row: &Delivery| row.status == DeliveryStatus::Pending && row.attempt_count == 0;
    let waiting = rows
        .iter()
        .filter(|(_, row)| row.as_ref().is_none_or(is_waiting))
        .map(|(listed, _)| job(event, listed, Some(Chain::new())))
        .collect();
    let backups = send_backups(app, waiting, endpoints, now);
    try_join(write_rows(app, event, &missing), backups).await?;
    Ok(())
}

/// Sends first jobs. One whose send is in doubt may be queued, so what follows it is not the same job again but one
/// that stands back.
async fn queue(
    app: &App,
    jobs: Vec<DeliveryJob>,
    endpoints: &[Endpoint],
    now: Timestamp,
) -> Result<(), ApiError> {
    let in_doubt = send_by_lane(app, jobs, endpoints, now, Duration::ZERO).await;
    let backups = in_doubt.into_iter().map(|job| DeliveryJob { chain: Some(Chain::new()), ..job }).collect();
    send_backups(app, backups, endpoints, now).await
}

async fn send_backups(
    app: &App,
    jobs: Vec<DeliveryJob>,
    endpoints: &[Endpoint],
    now: Timestamp,
) -> Result<(), ApiError> {
    let delay = stand_back(app.settings.request_timeout);
    let in_doubt = send_by_lane(app, jobs, endpoints, now, delay).await;
    if in_doubt.is_empty() {
        return Ok(());
    }
    Err(ApiError::unavailable(format_args!("{} jobs were perhaps not queued", in_doubt.len())))
}

/// Sends each job to its endpoint's lane and returns those that are not certain to be in the queue.
async fn send_by_lane(
    app: &App,
    jobs: Vec<DeliveryJob>,
    endpoints: &[Endpoint],
    now: Timestamp,
    delay: Duration,
) -> Vec<DeliveryJob> {
    let troubled: HashSet<EndpointId> =
        endpoints.iter().filter(|endpoint| endpoint.is_troubled(now)).map(|endpoint| endpoint.id).collect();
    let (slow, fast): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| troubled.contains(&job.endpoint_id));
    let send = |lane: &Queue, jobs: Vec<DeliveryJob>| {
        let lane = lane.clone();
        async move { lane.send_all(&jobs, delay).await }
    };
    let (fast, slow) = futures_util::join!(send(&app.fast_lane, fast), send(&app.slow_lane, slow));
    [fast, slow].concat()
}
