//! `/v1/projects/{projectId}/events`: events in (contract §4).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use echo_shared::accept::{Acceptance, accept, accept_new};
use echo_shared::budget::Budgeted;
use echo_shared::event::Event;
use echo_shared::event_input;
use echo_shared::event_name::EventName;
use echo_shared::id::{DeliveryId, EndpointId, EventId};
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::routes_ahead::RoutesAhead;
use crate::app::AppState;
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::observe::AcceptedEvent;
use crate::http::request::QueryValues;
use crate::openapi::values;

/// An event that is durable.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedEvent)]
pub struct AcceptedBody {
    #[schema(value_type = values::Id)]
    pub(super) event_id: EventId,
    #[schema(value_type = values::EventName)]
    event_name: EventName,
    /// Whether this `event_id` was there already, with the same content.
    pub(super) duplicate: bool,
    deliveries: Vec<AcceptedDelivery>,
}

/// A delivery that was made of an event.
#[derive(Serialize, ToSchema)]
pub(super) struct AcceptedDelivery {
    #[schema(value_type = values::Id)]
    id: DeliveryId,
    #[schema(value_type = values::Id)]
    webhook_endpoint_id: EndpointId,
}

impl From<Acceptance> for AcceptedBody {
    fn from(Acceptance { event, duplicate }: Acceptance) -> Self {
        let deliveries = event
            .deliveries
            .iter()
            .map(|listed| AcceptedDelivery { id: listed.id, webhook_endpoint_id: listed.endpoint_id })
            .collect();
        Self { event_id: event.event_id, event_name: event.event_name, duplicate, deliveries }
    }
}

impl IntoResponse for AcceptedBody {
    fn into_response(self) -> Response {
        let logged = AcceptedEvent { id: self.event_id, duplicate: self.duplicate };
        (StatusCode::ACCEPTED, Extension(logged), Json(self)).into_response()
    }
}

/// `POST …/events`
pub async fn create(
    State(app): State<AppState>,
    project: InProject,
    ahead: RoutesAhead,
    query: QueryValues,
    body: RequestBody,
) -> Result<AcceptedBody, ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let (event_id, content) =
        app.by_posted_names(&project, |names| event_input::read(&fields, names)).await?;
    // The routes are being read meanwhile.
    let now = Timestamp::now();
    let permit = app.budgets.take(Budgeted::Events, &project.id, now).await;
    permit.map_err(|spent| ApiError::over_budget(spent, now))?;
    let routes = ahead.routes(&app, &project).await?;
    let now = Timestamp::now();
    let new_event = |id| Event::accept(project.id, id, &content, &routes, now, app.settings.retention);
    let accepted = match event_id {
        Some(id) => accept(app.sinks(), new_event(id), &routes, now).await?,
        None => accept_new(app.sinks(), new_event(EventId::new(now)), &routes, now).await?,
    };
    Ok(accepted.into())
}
