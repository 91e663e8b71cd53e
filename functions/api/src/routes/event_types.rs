//! `/v1/event-types`: the names that an account's events may have, with the account's words on them (contract §2).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::event_name::EventName;
use echo_shared::event_type::{EventType, MAX_TYPES};
use echo_shared::store::{Created, TypeRemoved};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::{AccountCaller, Caller};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{PathIds, QueryValues};
use crate::openapi::values;

/// A name that events may have.
#[derive(Serialize, ToSchema)]
#[schema(as = EventType)]
pub struct EventTypeBody {
    #[schema(value_type = values::EventName)]
    name: EventName,
    /// Whether the name is one of this deployment's. Such a name is there without a call, and stays when the account's words on it
    /// are taken away.
    configured: bool,
    /// The account's own words.
    #[schema(required, min_length = 1, max_length = 256)]
    description: Option<String>,
    /// The `data` of an event of this name; a test event has it.
    #[schema(value_type = Option<values::ExampleData>, required)]
    example: Option<Box<RawValue>>,
    /// Whether producers should stop using it. It is accepted all the same.
    deprecated: bool,
    /// When the account put it; null if it never did.
    #[schema(value_type = Option<values::Time>, required)]
    updated_at: Option<String>,
}

impl EventTypeBody {
    fn new(app: &AppState, event_type: EventType) -> Result<Self, ApiError> {
        let example = event_type.example.map(RawValue::from_string).transpose();
        Ok(Self {
            configured: app.settings.event_names.is_configured(&event_type.name),
            name: event_type.name,
            description: event_type.description,
            example: example.map_err(ApiError::internal)?,
            deprecated: event_type.is_deprecated,
            updated_at: Some(event_type.updated_at.to_string()),
        })
    }

    /// A name of the deployment on which the account has said nothing.
    const fn configured(name: EventName) -> Self {
        Self { name, configured: true, description: None, example: None, deprecated: false, updated_at: None }
    }
}

/// `GET /v1/event-types`: the names of the deployment in the operator's order, then the account's own by name.
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    query: QueryValues,
) -> Result<Json<Vec<EventTypeBody>>, ApiError> {
    query.only(&[])?;
    let types = app.registry.event_types(&caller.account_id()).await?;
    let mut types: BTreeMap<EventName, EventType> =
        types.into_iter().map(|each| (each.name.clone(), each)).collect();
    let mut shown = Vec::new();
    for name in app.settings.event_names.iter() {
        shown.push(match types.remove(name) {
            Some(described) => EventTypeBody::new(&app, described)?,
            None => EventTypeBody::configured(name.clone()),
        });
    }
    for own in types.into_values() {
        shown.push(EventTypeBody::new(&app, own)?);
    }
    Ok(Json(shown))
}

/// `GET /v1/event-types/{name}`
pub async fn show(
    State(app): State<AppState>,
    caller: Caller,
    names: PathIds,
    query: QueryValues,
) -> Result<Json<EventTypeBody>, ApiError> {
    let name = names.event_type()?;
    query.only(&[])?;
    match app.registry.event_type(&caller.account_id(), &name).await? {
        Some(described) => EventTypeBody::new(&app, described).map(Json),
        None if app.settings.event_names.is_configured(&name) => Ok(Json(EventTypeBody::configured(name))),
        None => Err(ApiError::event_type_not_found()),
    }
}

/// `PUT /v1/event-types/{name}`
pub async fn put(
    State(app): State<AppState>,
    AccountCaller { id: account_id, email }: AccountCaller,
    names: PathIds,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<EventTypeBody>, ApiError> {
    let fields = body.fields_if_any()?;
    let name = names.event_type()?;
    query.only(&[])?;
    let now = Timestamp::now();
    let event_type = EventType::read(account_id, name, &fields, now)?;
    match app.registry.put_event_type(&event_type, &email, now).await? {
        Created::Done => {}
        Created::CapReached => {
            let message = format!("The account has {MAX_TYPES} event types, which is the most allowed");
            return Err(ApiError::conflict(message));
        }
        Created::OwnerGone => return Err(ApiError::access_token_refused()),
    }
    app.store.forget_own_names(&account_id);
    EventTypeBody::new(&app, event_type).map(Json)
}

/// `DELETE /v1/event-types/{name}`
pub async fn delete(
    State(app): State<AppState>,
    AccountCaller { id: account_id, email }: AccountCaller,
    names: PathIds,
    query: QueryValues,
) -> Result<StatusCode, ApiError> {
    let name = names.event_type()?;
    query.only(&[])?;
    let removed = app.registry.delete_event_type(&account_id, &name, &email, Timestamp::now()).await?;
    app.store.forget_own_names(&account_id);
    match removed {
        TypeRemoved::Done => Ok(StatusCode::NO_CONTENT),
        TypeRemoved::OwnerGone => Err(ApiError::access_token_refused()),
        TypeRemoved::Absent if app.settings.event_names.is_configured(&name) => Err(ApiError::conflict(
            format!("{name} is an event name of this deployment, which only its operator takes away"),
        )),
        TypeRemoved::Absent => Err(ApiError::event_type_not_found()),
    }
}
