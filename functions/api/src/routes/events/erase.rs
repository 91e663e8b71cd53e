//! `…/events/{eventId}/payload`: takes away the payload and the receivers' answers (contract §2).

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::audit::Action;
use echo_shared::delivery::Delivery;
use echo_shared::event::Event;
use echo_shared::id::DeliveryId;
use echo_shared::store::StoreError;
use echo_shared::stream::job_after_erasure;
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::app::{App, AppState};
use crate::auth::{By, InProject};
use crate::error::ApiError;
use crate::http::request::{PathIds, QueryValues};
use crate::routes::events::find;

/// How often the deliveries are looked at. Another job may change one of them between a look and a write.
const LOOKS: usize = 10;

/// How many deliveries are written at once.
const AT_ONCE: usize = 16;

/// `DELETE …/events/{eventId}/payload`
pub async fn erase_payload(
    State(app): State<AppState>,
    By { author, .. }: By,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<StatusCode, ApiError> {
    let id = ids.event()?;
    find(&app, &project, &id).await?;
    query.only(&[])?;
    let now = Timestamp::now();
    // The event goes first: from then on no attempt begins, and no delivery is added.
    let entry = author.entry(&project.id, Action::EventPayloadErased, id.as_uuid(), now);
    let event = app.store.erase_payload(&project.id, project.shards.of(&id), &id, now, &entry).await?;
    let event = event.ok_or_else(ApiError::event_not_found)?;
    let listed: Vec<_> = event.deliveries.iter().map(|listed| (listed.endpoint_id, listed.id)).collect();
    for _ in 0..LOOKS {
        let rows = app.store.deliveries_by_id(&listed).await?;
        let left = left(&event, &rows);
        if left.is_empty() {
            wake_streams(&app, &event, &rows).await?;
            return Ok(StatusCode::NO_CONTENT);
        }
        let erased: Vec<_> = left.into_iter().map(|delivery| erase(&app, &event, delivery, now)).collect();
        stream::iter(erased).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Err(ApiError::unavailable("deliveries were changed by others each time"))
}

/// The deliveries that are not erased yet; `None` in place of a row that does not exist.
fn left<'a>(
    event: &'a Event,
    rows: &'a HashMap<DeliveryId, Delivery>,
) -> Vec<(DeliveryId, Option<&'a Delivery>)> {
    let rows = event.deliveries.iter().map(|listed| (listed.id, rows.get(&listed.id)));
    rows.filter(|(_, row)| row.is_none_or(|row| !row.erased)).collect()
}

/// Lets the ordered deliveries go on that waited for one that is erased. A repeated call sends the jobs again, because the call
/// before may have died before it sent them.
async fn wake_streams(
    app: &App,
    event: &Event,
    rows: &HashMap<DeliveryId, Delivery>,
) -> Result<(), ApiError> {
    let listed = event.deliveries.iter();
    let jobs: Vec<_> =
        listed.filter_map(|listed| job_after_erasure(rows.get(&listed.id)?, listed.stream?)).collect();
    let in_doubt = app.first_attempts.wake_all(&jobs, Duration::ZERO).await;
    if in_doubt.is_empty() {
        Ok(())
    } else {
        Err(ApiError::unavailable("a stream's job is not certain to be queued"))
    }
}

/// Erases one delivery, if it is still as it was read. A delivery without a row gets an erased one, so that an acceptance or a
/// job that is about to write the row finds its place taken.
async fn erase(
    app: &App,
    event: &Event,
    (id, row): (DeliveryId, Option<&Delivery>),
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(row) = row {
        return app.store.advance(row, &Transition::erased(row, now)).await.map(drop);
    }
    let Some(listed) = event.deliveries.iter().find(|listed| listed.id == id) else { return Ok(()) };
    let mut delivery = Delivery::pending(event, listed);
    Transition::erased(&delivery, now).apply(&mut delivery);
    app.store.create_delivery(&delivery).await
}
