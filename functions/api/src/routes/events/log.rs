//! `GET …/events`: the events that came, their deliveries, and the endpoints that were skipped (contract §4).

use axum::Json;
use axum::extract::State;
use echo_shared::event::Event;
use echo_shared::id::EventId;
use echo_shared::payload::Payload;
use echo_shared::time::Timestamp;

use super::body::{EventBody, deliveries_of};
use super::page::{EventPage, EventPageBody};
use crate::app::{App, AppState};
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::request::{PathIds, QueryValues};

/// The event, or 404.
///
/// # Errors
/// When the project has no such event, or the store did not answer.
pub async fn find(app: &App, project: &InProject, id: &EventId) -> Result<Event, ApiError> {
    let event = app.store.event(&project.id, project.shards.of(id), id, Timestamp::now()).await?;
    event.ok_or_else(ApiError::event_not_found)
}

/// `GET …/events`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    query: QueryValues,
) -> Result<Json<EventPageBody>, ApiError> {
    let page = app.by_delivered_names(&project, |names| EventPage::read(&query, &project.id, names)).await?;
    Ok(Json(page.load(&app, &project, Timestamp::now()).await?))
}

/// `GET …/events/{eventId}`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<EventBody>, ApiError> {
    let event = find(&app, &project, &ids.event()?).await?;
    query.only(&[])?;
    let deliveries = deliveries_of(&app, std::iter::once(&event)).await?;
    let envelope = event.payload.as_ref().map(Payload::unpack).transpose().map_err(ApiError::internal)?;
    Ok(Json(EventBody::new(&event, envelope, &deliveries)?))
}
