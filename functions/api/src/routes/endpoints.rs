//! `/v1/projects/{projectId}/webhooks`: where a project wants its events (contract §3).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::address::AddressRules;
use echo_shared::custom_headers::{self, CustomHeaders};
use echo_shared::endpoint::{DisabledReason, Endpoint, EndpointStatus};
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::event_name::{EventName, EventNames};
use echo_shared::fields::{Fields, Refused, string};
use echo_shared::id::{EndpointId, ProjectId};
use echo_shared::rate_limit::{MAX_PER_SECOND, RateLimit};
use echo_shared::store::{Created, EndpointPatch, Patched, Rotated};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::{App, AppState};
use crate::auth::InProject;
use crate::config::Settings;
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::loops::CalledHost;
use crate::http::request::PathIds;
use crate::openapi::values;

const MAX_DESCRIPTION_CHARS: usize = 512;

/// How often a change is tried that others overtake.
const CHANGE_TRIES: usize = 5;

/// Whether deliveries are made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EndpointStatus)]
pub enum EndpointState {
    Active,
    Disabled,
}

/// Why it is disabled: by hand, after too many failures in a row, or because it answered 410.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DisabledReason)]
pub enum DisabledReasonShown {
    Manual,
    ConsecutiveFailures,
    Gone,
}

/// A webhook endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointBody {
    #[schema(value_type = values::Id)]
    id: EndpointId,
    #[schema(value_type = values::Id)]
    project_id: ProjectId,
    #[schema(value_type = values::EndpointUrl)]
    url: String,
    #[schema(value_type = values::SigningSecret)]
    signing_secret: String,
    status: EndpointState,
    #[schema(value_type = Vec<values::EventName>)]
    events: Vec<EventName>,
    /// Deliveries in a row that ended in failure; any success makes it 0.
    consecutive_failures: u32,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Null while it is active.
    #[schema(required)]
    disabled_reason: Option<DisabledReasonShown>,
    /// Null while it is active.
    #[schema(value_type = Option<values::Time>, required)]
    disabled_at: Option<String>,
    /// Its owner's own words.
    #[schema(required, max_length = 512)]
    description: Option<String>,
    /// Sent with each request beside those of the service.
    #[schema(value_type = values::OwnHeaders)]
    headers: BTreeMap<String, String>,
    /// The most requests it gets in a second; null is no limit.
    #[schema(required, minimum = 1, maximum = 1_000)]
    rate_limit_per_second: Option<u16>,
    /// Since when it does not answer: it gets an attempt now and then, and its other deliveries wait. Null while it answers.
    #[schema(value_type = Option<values::Time>, required)]
    hanging_since: Option<String>,
}

/// A new signing secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewSigningSecret)]
pub struct SecretBody {
    #[schema(value_type = values::SigningSecret)]
    signing_secret: String,
}

impl From<Endpoint> for EndpointBody {
    fn from(endpoint: Endpoint) -> Self {
        let rate_limit_per_second = endpoint.rate_limit_per_second();
        Self {
            id: endpoint.id,
            project_id: endpoint.project_id,
            signing_secret: endpoint.signing_secret.expose().to_owned(),
            url: endpoint.url,
            status: match endpoint.status {
                EndpointStatus::Active => EndpointState::Active,
                EndpointStatus::Disabled => EndpointState::Disabled,
            },
            events: endpoint.events,
            consecutive_failures: endpoint.consecutive_failures,
            created_at: endpoint.id.created_at().to_string(),
            updated_at: endpoint.updated_at.to_string(),
            disabled_reason: endpoint.disabled_reason.map(|reason| match reason {
                DisabledReason::Manual => DisabledReasonShown::Manual,
                DisabledReason::ConsecutiveFailures => DisabledReasonShown::ConsecutiveFailures,
                DisabledReason::Gone => DisabledReasonShown::Gone,
            }),
            disabled_at: endpoint.disabled_at.map(|at| at.to_string()),
            description: endpoint.description,
            headers: endpoint.headers.expose().clone(),
            rate_limit_per_second,
            hanging_since: endpoint.hanging_since.map(|at| at.to_string()),
        }
    }
}

/// The endpoint, or 404.
///
/// # Errors
/// When the project has no such endpoint, or the store did not answer.
pub async fn find(app: &App, project: &InProject, id: &EndpointId) -> Result<Endpoint, ApiError> {
    app.store.endpoint(&project.id, id).await?.ok_or_else(ApiError::endpoint_not_found)
}

/// `POST …/webhooks`
pub async fn create(
    State(app): State<AppState>,
    project: InProject,
    host: CalledHost,
    body: RequestBody,
) -> Result<(StatusCode, Json<EndpointBody>), ApiError> {
    let fields = body.fields()?;
    let url = url(&fields, &app.settings, host)?.ok_or_else(|| missing("url", "an absolute https URL"))?;
    let names = app.settings.names_in(&project.id);
    let events = events(&fields, names)?
        .ok_or_else(|| missing("events", &format!("a non-empty array of: {names}")))?;
    let now = Timestamp::now();
    let limit = rate_limit_per_second(&fields)?.flatten();
    let endpoint = Endpoint {
        description: description(&fields)?.flatten(),
        headers: headers(&fields)?.unwrap_or_default(),
        rate_limit: limit.map(|per_second| RateLimit { per_second, since: now }),
        ..Endpoint::new(project.id, url, events, now)
    };
    let cap = app.settings.max_endpoints_per_project;
    match app.registry.create_endpoint(&project.account_id, &endpoint, cap).await? {
        Created::Done => Ok((StatusCode::CREATED, Json(endpoint.into()))),
        Created::CapReached => Err(ApiError::conflict(format!(
            "The project has {cap} webhook endpoints, which is the most allowed"
        ))),
    }
}

/// `GET …/webhooks`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
) -> Result<Json<Vec<EndpointBody>>, ApiError> {
    let endpoints = app.store.endpoints(&project.id).await?;
    Ok(Json(endpoints.into_iter().map(EndpointBody::from).collect()))
}

/// `GET …/webhooks/{webhookId}`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
) -> Result<Json<EndpointBody>, ApiError> {
    Ok(Json(find(&app, &project, &ids.endpoint()?).await?.into()))
}

/// `PATCH …/webhooks/{webhookId}`
pub async fn update(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    host: CalledHost,
    body: RequestBody,
) -> Result<Json<EndpointBody>, ApiError> {
    let id = ids.endpoint()?;
    let mut endpoint = find(&app, &project, &id).await?;
    let fields = body.fields()?;
    let patch = EndpointPatch {
        url: url(&fields, &app.settings, host)?,
        events: events(&fields, app.settings.names_in(&project.id))?,
        status: fields.optional("status", "active or disabled", status)?,
        description: description(&fields)?,
        headers: headers(&fields)?,
        rate_limit_per_second: rate_limit_per_second(&fields)?,
    };
    if patch.is_empty() {
        return Err(ApiError::invalid(
            "At least one of url, events, status, description, headers and rate_limit_per_second is required",
        ));
    }
    for _ in 0..CHANGE_TRIES {
        match app.store.patch_endpoint(&endpoint, &patch, Timestamp::now()).await? {
            Patched::Done(endpoint) => return Ok(Json((*endpoint).into())),
            Patched::Overtaken => endpoint = find(&app, &project, &id).await?,
            Patched::Gone => return Err(ApiError::endpoint_not_found()),
        }
    }
    Err(ApiError::unavailable("an endpoint was changed by others each time"))
}

/// `DELETE …/webhooks/{webhookId}`
pub async fn delete(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
) -> Result<StatusCode, ApiError> {
    let id = ids.endpoint()?;
    if app.registry.delete_endpoint(&project.account_id, &project.id, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::endpoint_not_found())
    }
}

/// `POST …/webhooks/{webhookId}/secret/rotate`
pub async fn rotate_secret(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    body: RequestBody,
) -> Result<Json<SecretBody>, ApiError> {
    let id = ids.endpoint()?;
    let endpoint = find(&app, &project, &id).await?;
    body.check()?;
    match app.store.rotate_secret(&endpoint, Timestamp::now()).await? {
        Rotated::To(secret) => Ok(Json(SecretBody { signing_secret: secret.expose().to_owned() })),
        Rotated::Overtaken => Err(ApiError::unavailable("the secret was rotated by another call meanwhile")),
        Rotated::Gone => Err(ApiError::endpoint_not_found()),
    }
}

/// `null` takes it away.
fn description(fields: &Fields<'_>) -> Result<Option<Option<String>>, Refused> {
    let allowed = format!("null or a string of at most {MAX_DESCRIPTION_CHARS} characters");
    fields.optional("description", allowed, |value| {
        let text: Option<String> = serde_json::from_str(value.get()).ok()?;
        let fits = text.as_ref().is_none_or(|text| text.chars().count() <= MAX_DESCRIPTION_CHARS);
        fits.then_some(text)
    })
}

/// `null` takes them away.
fn headers(fields: &Fields<'_>) -> Result<Option<CustomHeaders>, Refused> {
    fields.optional("headers", format_args!("null or {}", custom_headers::ALLOWED), |value| {
        if value.get() == "null" {
            return Some(CustomHeaders::default());
        }
        let pairs = Fields::parse(value.get().as_bytes()).ok()?;
        let pairs: Option<Vec<(String, String)>> =
            pairs.iter().map(|(name, value)| Some((name.to_owned(), string(value)?))).collect();
        CustomHeaders::new(pairs?)
    })
}

/// `null` takes it away.
fn rate_limit_per_second(fields: &Fields<'_>) -> Result<Option<Option<u16>>, Refused> {
    let allowed = format!("null or a whole number from 1 to {MAX_PER_SECOND}");
    fields.optional("rate_limit_per_second", allowed, |value| {
        let limit: Option<u16> = serde_json::from_str(value.get()).ok()?;
        limit.is_none_or(|limit| (1..=MAX_PER_SECOND).contains(&limit)).then_some(limit)
    })
}

fn missing(name: &str, allowed: &str) -> ApiError {
    ApiError::invalid(format!("{name} is required and must be {allowed}"))
}

fn url(
    fields: &Fields<'_>,
    settings: &Settings,
    CalledHost(host): CalledHost,
) -> Result<Option<String>, Refused> {
    let Some(text) = fields.optional("url", "a string", string)? else {
        return Ok(None);
    };
    let rules = host.into_iter().fold(settings.address_rules.clone(), AddressRules::own);
    let url = EndpointUrl::parse(&text, &rules).map_err(|refused| Refused::new(format!("url {refused}")))?;
    Ok(Some(url.as_str().to_owned()))
}

/// Duplicates collapse; the order is the caller's.
fn events(fields: &Fields<'_>, names: &EventNames) -> Result<Option<Vec<EventName>>, Refused> {
    fields.optional("events", format_args!("a non-empty array of: {names}"), |value| {
        let texts: Vec<String> = serde_json::from_str(value.get()).ok()?;
        let mut events: Vec<EventName> = Vec::new();
        for text in texts {
            let name = names.find(&text)?;
            if !events.contains(&name) {
                events.push(name);
            }
        }
        (!events.is_empty()).then_some(events)
    })
}

fn status(value: &RawValue) -> Option<EndpointStatus> {
    match string(value)?.as_str() {
        "active" => Some(EndpointStatus::Active),
        "disabled" => Some(EndpointStatus::Disabled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &str) -> Option<Vec<String>> {
        let names = EventNames::parse("call.started,call.ended").expect("names");
        let fields = Fields::parse(body.as_bytes()).expect("an object");
        let events = events(&fields, &names).ok()?.unwrap_or_default();
        Some(events.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn events_are_known_and_collapse() {
        let both = Some(vec!["call.ended".to_owned(), "call.started".to_owned()]);
        assert_eq!(named(r#"{"events": ["call.ended", "call.started", "call.ended"]}"#), both);
        assert_eq!(named("{}"), Some(Vec::new()));
        for bad in [
            r#"{"events": []}"#,
            r#"{"events": null}"#,
            r#"{"events": "call.ended"}"#,
            r#"{"events": ["call.ended", "call.summary"]}"#,
            r#"{"events": ["Call.ended"]}"#,
            r#"{"events": [1]}"#,
            r#"{"events": [["call.ended"]]}"#,
            r#"{"events": {"0": "call.ended"}}"#,
        ] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }
}
