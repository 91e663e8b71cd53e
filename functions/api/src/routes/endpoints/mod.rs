//! `/v1/projects/{projectId}/webhooks`: where a project wants its events (contract §3).

mod auth;
mod body;
mod fields;
pub mod filter_test;

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::audit::Action;
use echo_shared::endpoint::{DisabledReason, Endpoint, EndpointStatus};
use echo_shared::endpoint_patch::EndpointPatch;
use echo_shared::event_name::EventNames;
use echo_shared::id::EndpointId;
use echo_shared::masks::{self, Change, Keeps};
use echo_shared::rate_limit::RateLimit;
use echo_shared::sealed::{Field, SealedField};
use echo_shared::signing_secret::SigningSecret;
use echo_shared::store::{Created, Patched, Rotated, Rotation};
use echo_shared::time::Timestamp;

use self::auth::auth;
pub use self::body::{EndpointBody, EndpointState, OrderShown, SecretBody};
use self::fields::{
    description, ed25519, events, filter, headers, ordered, rate_limit_per_second, status, url,
};
use crate::app::{App, AppState};
use crate::auth::{By, Caller, InProject};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::loops::CalledHost;
use crate::http::request::{PathIds, QueryValues};

/// How long a change is tried again that others overtake.
const CHANGE_TIME: Duration = Duration::from_secs(5);

/// How often a rotation is tried that meets the sweep.
const ROTATIONS: usize = 3;

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
    By { author, .. }: By,
    project: InProject,
    host: CalledHost,
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<EndpointBody>), ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let rules = fields::rules(&app.settings, host);
    let url = url(&fields, &rules)?.ok_or_else(|| missing("url", "an absolute https URL"))?;
    let wanted = |names: &EventNames| {
        events(&fields, names)?.ok_or_else(|| missing("events", &fields::events_allowed(names)))
    };
    let events = app.by_delivered_names(&project, wanted).await?;
    let now = Timestamp::now();
    let limit = rate_limit_per_second(&fields)?.flatten();
    let status = fields.nullable("status", "active or disabled", status)?.unwrap_or(EndpointStatus::Active);
    let is_disabled = status == EndpointStatus::Disabled;
    let (description, headers) = (description(&fields)?.flatten(), headers(&fields)?.unwrap_or_default());
    let auth = auth(&fields, &rules)?.flatten();
    masks::allowed_at_first(&url, &headers, auth.as_ref())?;
    let (id, secret, keys) = (EndpointId::new(now), SigningSecret::generate(), app.keys.to_seal().await?);
    let place = SealedField { project_id: &project.id, endpoint_id: &id, field: Field::SigningSecret };
    let sealed = keys.seal(&place, secret.expose())?;
    let mut endpoint = Endpoint {
        status,
        disabled_reason: is_disabled.then_some(DisabledReason::Manual),
        disabled_at: is_disabled.then_some(now),
        description,
        ordered: ordered(&fields)?.flatten(),
        filter: filter(&fields)?.flatten(),
        ..Endpoint::new(project.id, id, project.shards, url, events, sealed, now)
    };
    endpoint.headers = keys.seal_headers(&endpoint, &headers)?;
    let is_wanted = fields.nullable("ed25519", "true or false", ed25519)?.unwrap_or(false);
    endpoint.ed25519 = keys.seal_ed25519(&endpoint, is_wanted)?;
    endpoint.auth = auth.map(|auth| keys.seal_auth(&endpoint, &auth)).transpose()?;
    endpoint.state.rate_limit = limit.map(|per_second| RateLimit { per_second, since: now });
    let cap = app.settings.max_endpoints_per_project;
    let entry = author.of_endpoint(&endpoint, Action::EndpointCreated, now);
    match app.registry.create_endpoint(&endpoint, cap, &entry).await? {
        Created::Done => Ok((StatusCode::CREATED, Json(EndpointBody::new(&app, endpoint, Some(&secret))?))),
        Created::CapReached => Err(ApiError::conflict(format!(
            "The project has {cap} webhook endpoints, which is the most allowed"
        ))),
        Created::OwnerGone => Err(ApiError::foreign_project()),
    }
}

/// `GET …/webhooks`
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    project: InProject,
    query: QueryValues,
) -> Result<Json<Vec<EndpointBody>>, ApiError> {
    query.only(&[])?;
    let copy = project.shards.any(rand::random());
    let endpoints = app.store.endpoints(&project.id, copy).await?.ok_or_else(ApiError::foreign_project)?;
    let mut shown = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        shown.push(EndpointBody::shown_to(&app, &caller, endpoint).await?);
    }
    Ok(Json(shown))
}

/// `GET …/webhooks/{webhookId}`
pub async fn show(
    State(app): State<AppState>,
    caller: Caller,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<EndpointBody>, ApiError> {
    let endpoint = find(&app, &project, &ids.endpoint()?).await?;
    query.only(&[])?;
    EndpointBody::shown_to(&app, &caller, endpoint).await.map(Json)
}

/// `PATCH …/webhooks/{webhookId}`
pub async fn update(
    State(app): State<AppState>,
    By { author, caller }: By,
    project: InProject,
    ids: PathIds,
    host: CalledHost,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<EndpointBody>, ApiError> {
    let id = ids.endpoint()?;
    let mut endpoint = find(&app, &project, &id).await?;
    query.only(&[])?;
    let fields = body.fields()?;
    let rules = fields::rules(&app.settings, host);
    let (headers, auth) = (headers(&fields)?, auth(&fields, &rules)?);
    let ed25519 = fields.optional("ed25519", "true or false", ed25519)?;
    let unsealed = EndpointPatch {
        url: url(&fields, &rules)?,
        events: app.by_delivered_names(&project, |names| events(&fields, names)).await?,
        status: fields.optional("status", "active or disabled", status)?,
        description: description(&fields)?,
        headers: None,
        auth: None,
        rate_limit_per_second: rate_limit_per_second(&fields)?,
        ordered: ordered(&fields)?,
        filter: filter(&fields)?,
        ed25519: None,
    };
    if unsealed.is_empty() && headers.is_none() && ed25519.is_none() && auth.is_none() {
        return Err(ApiError::invalid(
            "At least one of url, events, status, description, headers, rate_limit_per_second, ordered, filter, ed25519 and auth is required",
        ));
    }
    let end = Instant::now() + CHANGE_TIME;
    loop {
        let change = Change {
            url: unsealed.url.as_deref(),
            headers: headers.as_ref(),
            auth: auth.as_ref().map(Option::as_ref),
            keeps: if caller.is_portal() { Keeps::Url } else { Keeps::Origin },
        };
        masks::allowed_at(&endpoint, &change)?;
        // Nothing is changed unless the answer can be given.
        let secret = app.keys.open(|keys| keys.signing_secret_of(&endpoint)).await?;
        let (before, patch) = sealed(&app, &endpoint, &unsealed, &change, ed25519).await?;
        match app.store.patch_endpoint(&before, &patch, &author, Timestamp::now()).await? {
            Patched::Done(endpoint) => return EndpointBody::new(&app, *endpoint, Some(&secret)).map(Json),
            // When several changes come at once, one is made each time, and the others try again.
            Patched::Overtaken(latest) => {
                if Instant::now() >= end || !patch.may_follow(&endpoint, &latest) {
                    return Err(overtaken());
                }
                endpoint = *latest;
            }
            Patched::Gone => return Err(ApiError::endpoint_not_found()),
        }
    }
}

/// Seals the values of a change, and returns the change with the endpoint before it, whose values are under the same key.
async fn sealed(
    app: &App,
    endpoint: &Endpoint,
    unsealed: &EndpointPatch,
    &Change { headers, auth, .. }: &Change<'_>,
    ed25519: Option<bool>,
) -> Result<(Endpoint, EndpointPatch), ApiError> {
    if headers.is_none() && ed25519.is_none() && auth.flatten().is_none() {
        // No keys are needed, so none are asked for.
        let patch = EndpointPatch { auth: auth.map(|_| None), ..unsealed.clone() };
        return Ok((endpoint.clone(), patch));
    }
    let (before, mut patch) = app
        .keys
        .seal(|keys| {
            let before = keys.under_current_key(endpoint);
            let patch = EndpointPatch {
                headers: headers.map(|headers| keys.seal_headers(&before, headers)).transpose()?,
                ed25519: ed25519.map(|is_wanted| keys.seal_ed25519(&before, is_wanted)).transpose()?,
                ..unsealed.clone()
            };
            Ok((before, patch))
        })
        .await?;
    patch.auth = match auth {
        Some(Some(auth)) => Some(Some(auth::sealed(app, &before, auth).await?)),
        Some(None) => Some(None),
        None => None,
    };
    Ok((before, patch))
}

/// `DELETE …/webhooks/{webhookId}`
pub async fn delete(
    State(app): State<AppState>,
    By { author, .. }: By,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<StatusCode, ApiError> {
    let id = ids.endpoint()?;
    let mut endpoint = find(&app, &project, &id).await?;
    query.only(&[])?;
    let end = Instant::now() + CHANGE_TIME;
    loop {
        let now = endpoint.changed_at(Timestamp::now());
        let entry = author.of_endpoint(&endpoint, Action::EndpointDeleted, now);
        if app.registry.delete_endpoint(&endpoint, app.settings.retention, now, &entry).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
        endpoint = find(&app, &project, &id).await?;
        if Instant::now() >= end {
            return Err(overtaken());
        }
    }
}

/// `POST …/webhooks/{webhookId}/secret/rotate`
pub async fn rotate_secret(
    State(app): State<AppState>,
    By { author, .. }: By,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
    body: RequestBody,
) -> Result<Json<SecretBody>, ApiError> {
    let id = ids.endpoint()?;
    let mut endpoint = find(&app, &project, &id).await?;
    body.check()?;
    query.only(&[])?;
    let (secret, mut replaced) = (SigningSecret::generate(), None);
    for _ in 0..ROTATIONS {
        let present = app.keys.open(|keys| keys.signing_secret_of(&endpoint)).await?;
        if present == secret {
            // The write was done after all.
            return Ok(Json(SecretBody::of(&secret)));
        }
        // The row may only have been sealed anew.
        if replaced.get_or_insert_with(|| present.clone()) != &present {
            break;
        }
        let sealed = app.keys.seal(|keys| {
            Ok(Rotation {
                signing_secret: keys.seal_secret(&endpoint, Field::SigningSecret, &secret)?,
                previous_secret: keys.seal_secret(&endpoint, Field::PreviousSecret, &present)?,
                ed25519: keys.rotate_ed25519(&endpoint)?,
            })
        });
        match app.store.rotate_secret(&endpoint, &sealed.await?, &author, Timestamp::now()).await? {
            Rotated::Done => return Ok(Json(SecretBody::of(&secret))),
            Rotated::Overtaken(latest) => endpoint = *latest,
            Rotated::Gone => return Err(ApiError::endpoint_not_found()),
        }
    }
    Err(ApiError::unavailable("the secret was rotated by another call meanwhile"))
}

fn overtaken() -> ApiError {
    ApiError::unavailable("an endpoint was changed by another call meanwhile")
}

fn missing(name: &str, allowed: &str) -> ApiError {
    ApiError::invalid(format!("{name} is required and must be {allowed}"))
}
