//! `/v1/projects/{projectId}/webhooks`: where a project wants its events (contract §3).

mod fields;
pub mod filter_test;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::endpoint::{DisabledReason, Endpoint, EndpointStatus};
use echo_shared::endpoint_patch::EndpointPatch;
use echo_shared::event_name::EventNames;
use echo_shared::id::{EndpointId, ProjectId};
use echo_shared::masks::{self, MASK};
use echo_shared::rate_limit::RateLimit;
use echo_shared::sealed::{Field, Place};
use echo_shared::signing_secret::SigningSecret;
use echo_shared::store::{Created, Patched, Rotated, Rotation};
use echo_shared::stream::Order;
use echo_shared::subscription::Subscription;
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::fields::{
    description, ed25519, events, filter, headers, ordered, rate_limit_per_second, status, url,
};
use crate::app::{App, AppState};
use crate::auth::{Caller, InProject};
use crate::error::ApiError;
use crate::http::body::RequestBody;
use crate::http::loops::CalledHost;
use crate::http::request::{PathIds, QueryValues};
use crate::openapi::values;

/// How long a change is tried again that others overtake.
const CHANGE_TIME: Duration = Duration::from_secs(5);

/// How often a rotation is tried that meets the sweep.
const ROTATIONS: usize = 3;

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

/// The deliveries that come in order: all of the endpoint, or those of each `customer_id` at it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Order)]
pub enum OrderShown {
    Endpoint,
    CustomerId,
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
    /// Null for an API key or a portal session without the scope `endpoints:write`.
    #[schema(value_type = Option<values::SigningSecret>, required)]
    signing_secret: Option<String>,
    status: EndpointState,
    #[schema(value_type = Vec<values::Subscription>)]
    events: Vec<Subscription>,
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
    /// Sent with each request beside those of the service. No value is ever shown.
    #[schema(value_type = values::MaskedHeaders)]
    headers: BTreeMap<String, &'static str>,
    /// The most requests it gets in a second; null is no limit.
    #[schema(required, minimum = 1, maximum = 1_000)]
    rate_limit_per_second: Option<u16>,
    /// Since when it does not answer: it gets an attempt now and then, and its other deliveries wait. Null while it answers.
    #[schema(value_type = Option<values::Time>, required)]
    hanging_since: Option<String>,
    /// Whether its deliveries come one after another: all of them, or those of each customer. Null is no order.
    #[schema(required)]
    ordered: Option<OrderShown>,
    /// Which events, of those that it is subscribed to, it gets; null is all.
    #[schema(value_type = Option<values::EventFilter>, required)]
    filter: Option<Box<RawValue>>,
    /// Whether attempts also carry an Ed25519 signature, by a key of the endpoint's own.
    ed25519: bool,
    /// The public half of that key, which verifies the newest `v1a` entry of `webhook-signature`. Null without such a key.
    #[schema(value_type = Option<values::PublicKey>, required)]
    public_key: Option<String>,
    /// From when on one more failed delivery disables it, unless one succeeds before. Null while one more failure is not enough.
    #[schema(value_type = Option<values::Time>, required)]
    disables_at: Option<String>,
}

/// A new signing secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewSigningSecret)]
pub struct SecretBody {
    #[schema(value_type = values::SigningSecret)]
    signing_secret: String,
}

impl SecretBody {
    fn of(secret: &SigningSecret) -> Self {
        Self { signing_secret: secret.expose().to_owned() }
    }
}

impl EndpointBody {
    /// `secret` is absent for a caller who does not get it.
    ///
    /// # Errors
    /// When a stored filter is not JSON.
    fn new(app: &App, endpoint: Endpoint, secret: Option<&SigningSecret>) -> Result<Self, ApiError> {
        let filter = endpoint.filter.as_ref().map(|filter| RawValue::from_string(filter.as_str().to_owned()));
        let disables_at = app.settings.disable_rule.disables_at(&endpoint);
        let rate_limit_per_second = endpoint.rate_limit_per_second();
        Ok(Self {
            id: endpoint.id,
            project_id: endpoint.project_id,
            signing_secret: secret.map(|secret| secret.expose().to_owned()),
            url: endpoint.url,
            status: match endpoint.status {
                EndpointStatus::Active => EndpointState::Active,
                EndpointStatus::Disabled => EndpointState::Disabled,
            },
            events: endpoint.events,
            consecutive_failures: endpoint.state.consecutive_failures,
            created_at: endpoint.id.created_at().to_string(),
            updated_at: endpoint.updated_at.to_string(),
            disabled_reason: endpoint.disabled_reason.map(|reason| match reason {
                DisabledReason::Manual => DisabledReasonShown::Manual,
                DisabledReason::ConsecutiveFailures => DisabledReasonShown::ConsecutiveFailures,
                DisabledReason::Gone => DisabledReasonShown::Gone,
            }),
            disabled_at: endpoint.disabled_at.map(|at| at.to_string()),
            description: endpoint.description,
            headers: endpoint.headers.0.into_keys().map(|name| (name, MASK)).collect(),
            rate_limit_per_second,
            hanging_since: endpoint.state.hanging_since.map(|at| at.to_string()),
            ordered: endpoint.ordered.map(|order| match order {
                Order::Endpoint => OrderShown::Endpoint,
                Order::Customer => OrderShown::CustomerId,
            }),
            filter: filter.transpose().map_err(ApiError::internal)?,
            ed25519: endpoint.ed25519.is_some(),
            public_key: endpoint.ed25519.map(|pair| pair.public_key),
            disables_at: disables_at.map(|at| at.to_string()),
        })
    }

    /// The endpoint, with its secret if the caller gets it.
    async fn shown_to(app: &App, caller: &Caller, endpoint: Endpoint) -> Result<Self, ApiError> {
        if !caller.sees_secrets() {
            return Self::new(app, endpoint, None);
        }
        let secret = app.keys.open(|keys| keys.signing_secret_of(&endpoint)).await?;
        Self::new(app, endpoint, Some(&secret))
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
    query: QueryValues,
    body: RequestBody,
) -> Result<(StatusCode, Json<EndpointBody>), ApiError> {
    query.only(&[])?;
    let fields = body.fields()?;
    let url = url(&fields, &app.settings, host)?.ok_or_else(|| missing("url", "an absolute https URL"))?;
    let wanted = |names: &EventNames| {
        events(&fields, names)?.ok_or_else(|| missing("events", &fields::events_allowed(names)))
    };
    let events = app.by_delivered_names(&project, wanted).await?;
    let now = Timestamp::now();
    let limit = rate_limit_per_second(&fields)?.flatten();
    let status = fields.nullable("status", "active or disabled", status)?.unwrap_or(EndpointStatus::Active);
    let is_disabled = status == EndpointStatus::Disabled;
    let (description, headers) = (description(&fields)?.flatten(), headers(&fields)?.unwrap_or_default());
    masks::allowed_at_first(&headers)?;
    let (id, secret, keys) = (EndpointId::new(now), SigningSecret::generate(), app.keys.to_seal().await?);
    let place = Place { project_id: &project.id, endpoint_id: &id, field: Field::SigningSecret };
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
    endpoint.state.rate_limit = limit.map(|per_second| RateLimit { per_second, since: now });
    let cap = app.settings.max_endpoints_per_project;
    match app.registry.create_endpoint(&endpoint, cap).await? {
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
    let (headers, ed25519) = (headers(&fields)?, fields.optional("ed25519", "true or false", ed25519)?);
    let unsealed = EndpointPatch {
        url: url(&fields, &app.settings, host)?,
        events: app.by_delivered_names(&project, |names| events(&fields, names)).await?,
        status: fields.optional("status", "active or disabled", status)?,
        description: description(&fields)?,
        headers: None,
        rate_limit_per_second: rate_limit_per_second(&fields)?,
        ordered: ordered(&fields)?,
        filter: filter(&fields)?,
        ed25519: None,
    };
    if unsealed.is_empty() && headers.is_none() && ed25519.is_none() {
        return Err(ApiError::invalid(
            "At least one of url, events, status, description, headers, rate_limit_per_second, ordered, filter and ed25519 is required",
        ));
    }
    let end = Instant::now() + CHANGE_TIME;
    loop {
        masks::allowed_at(&endpoint, headers.as_ref(), unsealed.url.as_deref())?;
        // Nothing is changed unless the answer can be given.
        let secret = app.keys.open(|keys| keys.signing_secret_of(&endpoint)).await?;
        let mut patch = unsealed.clone();
        if let Some(headers) = &headers {
            patch.headers = Some(app.keys.seal(|keys| keys.seal_headers(&endpoint, headers)).await?);
        }
        if let Some(is_wanted) = ed25519 {
            patch.ed25519 = Some(app.keys.seal(|keys| keys.seal_ed25519(&endpoint, is_wanted)).await?);
        }
        match app.store.patch_endpoint(&endpoint, &patch, Timestamp::now()).await? {
            Patched::Done(endpoint) => return EndpointBody::new(&app, *endpoint, Some(&secret)).map(Json),
            // When several changes come at once, one is made each time, and the others try again.
            Patched::Overtaken(latest) => {
                if Instant::now() >= end || !patch.may_follow(&endpoint, &latest) {
                    return Err(ApiError::unavailable("an endpoint was changed by another call meanwhile"));
                }
                endpoint = *latest;
            }
            Patched::Gone => return Err(ApiError::endpoint_not_found()),
        }
    }
}

/// `DELETE …/webhooks/{webhookId}`
pub async fn delete(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<StatusCode, ApiError> {
    let endpoint = find(&app, &project, &ids.endpoint()?).await?;
    query.only(&[])?;
    if app.registry.delete_endpoint(&endpoint, app.settings.retention, Timestamp::now()).await? {
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
        match app.store.rotate_secret(&endpoint, &sealed.await?, Timestamp::now()).await? {
            Rotated::Done => return Ok(Json(SecretBody::of(&secret))),
            Rotated::Overtaken(latest) => endpoint = *latest,
            Rotated::Gone => return Err(ApiError::endpoint_not_found()),
        }
    }
    Err(ApiError::unavailable("the secret was rotated by another call meanwhile"))
}

fn missing(name: &str, allowed: &str) -> ApiError {
    ApiError::invalid(format!("{name} is required and must be {allowed}"))
}
