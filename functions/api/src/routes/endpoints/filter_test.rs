//! `…/webhooks/{webhookId}/filter/test`: whether a filter would let an event pass (contract §3).

use axum::Json;
use axum::extract::State;
use echo_shared::event_input;
use echo_shared::event_name::EventNames;
use echo_shared::fields::{Fields, Refused};
use echo_shared::filter::{Document, Filter, FilterText};
use echo_shared::id::EventId;
use echo_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{fields, find};
use crate::app::AppState;
use crate::auth::InProject;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::request::{PathIds, QueryValues};

/// The verdict of a filter on an event.
#[derive(Serialize, ToSchema)]
#[schema(as = FilterVerdict)]
pub struct VerdictBody {
    matches: bool,
}

/// `POST …/webhooks/{webhookId}/filter/test`
pub async fn test_filter(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<VerdictBody>, ApiError> {
    find(&app, &project, &ids.endpoint()?).await?;
    query.only(&[])?;
    let given = body.fields()?;
    let filter = fields::filter(&given)?
        .ok_or_else(|| ApiError::invalid("filter is required and must be null or an event pattern"))?;
    let event = given.required("event", "an event, as it is posted", Some)?;
    let event: Fields<'_> =
        serde_json::from_str(event.get()).map_err(|_| ApiError::invalid("event must be an object"))?;
    let read = |names: &EventNames| {
        event_input::read(&event, names).map_err(|Refused(why)| Refused::new(format!("event.{why}")))
    };
    let (id, content) = app.by_delivered_names(&project, read).await?;
    let envelope = content.envelope(&id.unwrap_or_else(|| EventId::new(Timestamp::now())));
    let matches = match filter {
        None => true,
        Some(text) => matches(&text, &envelope)?,
    };
    Ok(Json(VerdictBody { matches }))
}

fn matches(text: &FilterText, envelope: &[u8]) -> Result<bool, ApiError> {
    let filter = Filter::compile(text).map_err(ApiError::internal)?;
    Ok(filter.matches(&Document::new(envelope)))
}
