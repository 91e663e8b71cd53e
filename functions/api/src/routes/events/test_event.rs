//! `…/webhooks/{webhookId}/test`: one sample event to one endpoint (contract §4).

use axum::extract::State;
use echo_shared::accept::accept_new;
use echo_shared::budget::Budgeted;
use echo_shared::endpoint::EndpointStatus;
use echo_shared::event::{Event, EventContent};
use echo_shared::fields::string;
use echo_shared::id::EventId;
use echo_shared::route::Routes;
use echo_shared::subscription::Subscription;
use echo_shared::time::Timestamp;

use super::{AcceptedBody, sample};
use crate::app::AppState;
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{PathIds, QueryValues};
use crate::routes::endpoints;

/// `POST …/webhooks/{webhookId}/test`
pub async fn send_test(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
    body: RequestBody,
) -> Result<AcceptedBody, ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    query.only(&[])?;
    let names = app.settings.names_in(&project.id);
    let asked = body
        .fields_if_any()?
        .nullable("event_name", format_args!("one of: {names}"), |value| names.find(&string(value)?))?;
    if endpoint.status == EndpointStatus::Disabled {
        return Err(ApiError::endpoint_disabled());
    }
    let first = || endpoint.events.first().and_then(Subscription::name);
    let covered =
        || names.iter().find(|name| endpoint.events.iter().any(|event| event.covers(name))).cloned();
    let name = asked.or_else(first).or_else(covered).ok_or_else(|| {
        ApiError::invalid(format!(
            "event_name is required, because the endpoint's wildcards cover none of: {names}"
        ))
    })?;
    let now = Timestamp::now();
    let permit = app.budgets.take(Budgeted::TestEvents, &project.id, now).await;
    permit.map_err(|spent| ApiError::over_budget(spent, now))?;
    if !app.store.note_event_name(&endpoint, &name).await? {
        return Err(ApiError::endpoint_not_found());
    }
    let now = Timestamp::now();
    let data = sample::data(&name, now).map_err(ApiError::internal)?;
    let content = EventContent { name, customer_id: None, notification_id: None, data: &data };
    let event = Event::for_one(EventId::new(now), &content, &endpoint, now, app.settings.retention);
    let accepted = accept_new(app.sinks(), event, &Routes::to(&endpoint), now).await?;
    Ok(accepted.into())
}
