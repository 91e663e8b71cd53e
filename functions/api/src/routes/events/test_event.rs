//! `…/webhooks/{webhookId}/test`: one sample event to one endpoint (contract §4).

use axum::extract::State;
use echo_shared::accept::accept_new;
use echo_shared::budget::Budgeted;
use echo_shared::endpoint::{Endpoint, EndpointStatus};
use echo_shared::event::{Event, EventContent};
use echo_shared::event_name::{EventName, EventNames};
use echo_shared::fields::{Fields, Refused, string};
use echo_shared::id::EventId;
use echo_shared::route::Routes;
use echo_shared::subscription::Subscription;
use echo_shared::time::Timestamp;
use serde_json::value::RawValue;

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
    let fields = body.fields_if_any()?;
    let asked = app.by_delivered_names(&project, |names| asked(&fields, names)).await?;
    if endpoint.status == EndpointStatus::Disabled {
        return Err(ApiError::endpoint_disabled());
    }
    let name = match asked {
        Some(name) => name,
        None => match first(&endpoint, &app.settings.delivered_names) {
            Ok(name) if listed(&endpoint).next().is_none_or(|listed| listed == name) => name,
            _ => first(&endpoint, &app.delivered_names(&project).await?)?,
        },
    };
    let now = Timestamp::now();
    let permit = app.budgets.take(Budgeted::TestEvents, &project.id, now).await;
    permit.map_err(|spent| ApiError::over_budget(spent, now))?;
    if !app.store.note_bucket_of(&endpoint, &name).await? {
        return Err(ApiError::endpoint_not_found());
    }
    let now = Timestamp::now();
    let described = app.registry.event_type(&project.account_id, &name).await?;
    let data = match described.and_then(|described| described.example) {
        Some(example) => RawValue::from_string(example),
        None => sample::data(&name, now),
    };
    let data = data.map_err(ApiError::internal)?;
    let content = EventContent { name, customer_id: None, notification_id: None, data: &data };
    let event = Event::for_one(EventId::new(now), &content, &endpoint, now, app.settings.retention);
    let accepted = accept_new(app.sinks(), event, &Routes::to(&endpoint), now).await?;
    Ok(accepted.into())
}

/// The name that the caller wants.
fn asked(fields: &Fields<'_>, names: &EventNames) -> Result<Option<EventName>, Refused> {
    fields.nullable("event_name", format_args!("one of: {names}"), |value| names.find(&string(value)?))
}

/// The first known name that the endpoint is subscribed to, or the first that its wildcards cover. An endpoint stays
/// subscribed to a type that was removed, and a removed type has no events.
fn first(endpoint: &Endpoint, names: &EventNames) -> Result<EventName, Refused> {
    let known = listed(endpoint).find_map(|name| names.find(name.as_str()));
    let covered =
        || names.iter().find(|name| endpoint.events.iter().any(|event| event.covers(name))).cloned();
    known.or_else(covered).ok_or_else(|| {
        Refused::new(format!(
            "event_name is required, because the endpoint is subscribed to none of: {names}"
        ))
    })
}

/// The names among the endpoint's subscriptions, without its wildcards.
fn listed(endpoint: &Endpoint) -> impl Iterator<Item = EventName> {
    endpoint.events.iter().filter_map(Subscription::name)
}
