//! `…/webhooks/{webhookId}/deliveries`: what was sent, and sending it again (contract §6).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use echo_shared::attempt::{Attempt, MAX_ATTEMPTS, Trigger};
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::endpoint::{Endpoint, EndpointStatus};
use echo_shared::event_name::EventName;
use echo_shared::id::{AttemptId, DeliveryId, EndpointId, EventId, ProjectId};
use echo_shared::job::{Chain, DeliveryJob};
use echo_shared::store::{Advanced, Transition};
use echo_shared::time::Timestamp;
use futures_util::future::try_join;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use utoipa::ToSchema;

use super::endpoints;
use crate::app::{App, AppState};
use crate::auth::InProject;
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::openapi::received::Envelope;
use crate::openapi::values;
use crate::page::{Page, PageBody};
use crate::request::{PathIds, QueryValues};

/// The row changes just after the job is sent; waking a little later, the job finds it changed.
const MANUAL_DELAY: Duration = Duration::from_secs(1);

/// `pending`: its first attempt, or a manual one, is still to come. `retrying`: it failed, and another attempt is due.
/// `success`, `failed`: it has ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryStatus)]
pub enum DeliveryState {
    Pending,
    Retrying,
    Success,
    Failed,
}

/// Why it failed: no attempts are left, the endpoint answered 410, was disabled or was deleted, or the fault is ours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FailureReason)]
pub enum FailureReasonShown {
    Exhausted,
    Gone,
    EndpointDisabled,
    EndpointDeleted,
    Internal,
}

/// Whether the schedule asked for it or a person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptTrigger {
    Auto,
    Manual,
}

/// One event to one endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    #[schema(value_type = values::Id)]
    id: DeliveryId,
    #[schema(value_type = values::Id)]
    webhook_endpoint_id: EndpointId,
    #[schema(value_type = values::Id)]
    project_id: ProjectId,
    #[schema(value_type = values::Id)]
    event_id: EventId,
    #[schema(value_type = values::EventName)]
    event_name: EventName,
    status: DeliveryState,
    #[schema(maximum = 50)]
    attempt_count: u32,
    /// When the next attempt is due; null unless the status is `retrying`.
    #[schema(value_type = Option<values::Time>, required)]
    next_retry_at: Option<String>,
    #[schema(value_type = Envelope)]
    payload: Box<RawValue>,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Null unless the status is `failed`.
    #[schema(required)]
    failure_reason: Option<FailureReasonShown>,
}

/// A delivery and every attempt at it.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryWithAttempts)]
pub struct DeliveryWithAttemptsBody {
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// Oldest first.
    #[schema(max_items = 50)]
    attempts: Vec<AttemptBody>,
}

/// One request to the endpoint and what came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptBody {
    #[schema(value_type = values::Id)]
    id: AttemptId,
    #[schema(value_type = values::Id)]
    delivery_id: DeliveryId,
    #[schema(minimum = 1, maximum = 50)]
    attempt_number: usize,
    triggered_by: AttemptTrigger,
    /// The status received, even if the answer was then too slow; null without one.
    #[schema(required, minimum = 100, maximum = 999)]
    http_status: Option<u16>,
    /// The start of the answer, at most 1 KiB; null without one.
    #[schema(required, max_length = 1024)]
    response_body: Option<String>,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    duration_ms: u64,
    /// Whether a 2xx came in time.
    success: bool,
    /// What went wrong, for people; null when a whole answer came.
    #[schema(required)]
    error_message: Option<String>,
    /// When the attempt began.
    #[schema(value_type = values::Time)]
    created_at: String,
}

impl From<DeliveryStatus> for DeliveryState {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Pending => Self::Pending,
            DeliveryStatus::Retrying => Self::Retrying,
            DeliveryStatus::Success => Self::Success,
            DeliveryStatus::Failed => Self::Failed,
        }
    }
}

impl From<FailureReason> for FailureReasonShown {
    fn from(reason: FailureReason) -> Self {
        match reason {
            FailureReason::Exhausted => Self::Exhausted,
            FailureReason::Gone => Self::Gone,
            FailureReason::EndpointDisabled => Self::EndpointDisabled,
            FailureReason::EndpointDeleted => Self::EndpointDeleted,
            FailureReason::Internal => Self::Internal,
        }
    }
}

impl DeliveryBody {
    /// # Errors
    /// When the stored envelope is not what was stored.
    pub fn new(delivery: &Delivery, envelope: Vec<u8>) -> Result<Self, ApiError> {
        let envelope = String::from_utf8(envelope).map_err(ApiError::internal)?;
        Ok(Self {
            id: delivery.id,
            webhook_endpoint_id: delivery.endpoint_id,
            project_id: delivery.project_id,
            event_id: delivery.event_id,
            event_name: delivery.event_name.clone(),
            status: delivery.status.into(),
            attempt_count: delivery.attempt_count,
            next_retry_at: delivery.next_retry_at.map(|at| at.to_string()),
            payload: RawValue::from_string(envelope).map_err(ApiError::internal)?,
            created_at: delivery.id.created_at().to_string(),
            updated_at: delivery.updated_at.to_string(),
            failure_reason: delivery.failure_reason.map(FailureReasonShown::from),
        })
    }
}

impl AttemptBody {
    fn new(delivery_id: DeliveryId, index: usize, attempt: &Attempt) -> Self {
        Self {
            id: attempt.id,
            delivery_id,
            attempt_number: index + 1,
            triggered_by: match attempt.triggered_by {
                Trigger::Auto => AttemptTrigger::Auto,
                Trigger::Manual => AttemptTrigger::Manual,
            },
            http_status: attempt.http_status,
            response_body: attempt.response_body.clone(),
            duration_ms: attempt.duration_ms,
            success: attempt.success(),
            error_message: attempt.error_message.clone(),
            created_at: attempt.id.created_at().to_string(),
        }
    }
}

/// The endpoint and its delivery, read side by side, or the 404 of the first that is not there.
///
/// # Errors
/// When one is not there, or the store did not answer.
pub async fn find(
    app: &App,
    project: &InProject,
    endpoint_id: &EndpointId,
    id: &DeliveryId,
) -> Result<(Endpoint, Delivery), ApiError> {
    let delivery = app.store.delivery(&project.id, endpoint_id, id, Timestamp::now());
    let (endpoint, delivery) = try_join(app.store.endpoint(&project.id, endpoint_id), delivery).await?;
    let endpoint = endpoint.ok_or_else(ApiError::endpoint_not_found)?;
    Ok((endpoint, delivery.ok_or_else(ApiError::delivery_not_found)?))
}

/// As [`find`], by the ids in the path: an endpoint that is not there comes before a malformed delivery id.
async fn find_by_path(
    app: &App,
    project: &InProject,
    ids: &PathIds,
) -> Result<(Endpoint, Delivery), ApiError> {
    let endpoint_id = ids.endpoint()?;
    match ids.delivery() {
        Ok(id) => find(app, project, &endpoint_id, &id).await,
        Err(malformed) => Err(endpoints::find(app, project, &endpoint_id).await.err().unwrap_or(malformed)),
    }
}

async fn body_of(app: &App, delivery: &Delivery) -> Result<DeliveryBody, ApiError> {
    let envelopes = app.store.envelopes(std::slice::from_ref(delivery)).await?;
    DeliveryBody::new(delivery, envelopes.concat())
}

/// `GET …/deliveries`
pub async fn list(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    query: QueryValues,
) -> Result<Json<PageBody>, ApiError> {
    let endpoint = endpoints::find(&app, &project, &ids.endpoint()?).await?;
    let page = Page::read(&query, &endpoint.id, app.settings.names_in(&project.id))?;
    Ok(Json(page.load(&app, &endpoint, Timestamp::now()).await?))
}

/// `GET …/deliveries/{deliveryId}`
pub async fn show(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
) -> Result<Json<DeliveryWithAttemptsBody>, ApiError> {
    let (_, delivery) = find_by_path(&app, &project, &ids).await?;
    let attempts = delivery.attempts.iter().enumerate();
    let attempts = attempts.map(|(index, attempt)| AttemptBody::new(delivery.id, index, attempt)).collect();
    Ok(Json(DeliveryWithAttemptsBody { delivery: body_of(&app, &delivery).await?, attempts }))
}

/// `POST …/deliveries/{deliveryId}/retry`
pub async fn retry(
    State(app): State<AppState>,
    project: InProject,
    ids: PathIds,
    body: RequestBody,
) -> Result<(StatusCode, Json<DeliveryBody>), ApiError> {
    let (endpoint, delivery) = find_by_path(&app, &project, &ids).await?;
    body.check_size()?;
    if endpoint.status == EndpointStatus::Disabled {
        return Err(ApiError::endpoint_disabled());
    }
    if !delivery.status.is_final() {
        return Err(not_finished());
    }
    if delivery.attempt_count >= MAX_ATTEMPTS {
        return Err(ApiError::conflict(format!(
            "The delivery has had {MAX_ATTEMPTS} attempts, the most allowed"
        )));
    }
    if delivery.is_to_be_counted() {
        return Err(ApiError::unavailable("a failure is still to be counted"));
    }
    let mut shown = body_of(&app, &delivery).await?;
    let now = Timestamp::now();
    let retried = start_manual_attempt(&app, &endpoint, &delivery, now).await?;
    shown.status = retried.status.into();
    shown.updated_at = retried.at.to_string();
    shown.failure_reason = None;
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

fn not_finished() -> ApiError {
    ApiError::conflict("Only a delivery whose status is failed or success can be retried")
}

/// Sends the job first: a job without its row's change does nothing, a change without its job would wait for ever.
async fn start_manual_attempt(
    app: &App,
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Transition, ApiError> {
    let chain = Chain::new();
    let job = DeliveryJob {
        project_id: delivery.project_id,
        endpoint_id: delivery.endpoint_id,
        delivery_id: delivery.id,
        event_id: delivery.event_id,
        chain: Some(chain),
        manual_at: Some(now),
        by_hand: true,
        waits_since: None,
    };
    let lane = if endpoint.is_slow(now) { &app.slow_endpoints } else { &app.first_attempts };
    lane.send(&job, MANUAL_DELAY).await?;
    let transition = Transition::by_hand(chain, now);
    match app.store.advance(delivery, &transition).await? {
        Advanced::Done => Ok(transition),
        Advanced::Overtaken => Err(not_finished()),
    }
}
