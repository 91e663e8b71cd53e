//! Deliveries and attempts as the API shows them (contract §6).

use echo_shared::attempt::{Attempt, Trigger};
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::event_name::EventName;
use echo_shared::id::{AttemptId, DeliveryId, EndpointId, EventId, ProjectId};
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openapi::received::Envelope;
use crate::openapi::values;
use crate::routes::envelope::shown_as_it_is;

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

/// Why it failed: no attempts are left, the endpoint answered 410, was disabled or was deleted, the event's payload was erased,
/// or the fault is ours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FailureReason)]
pub enum FailureReasonShown {
    Exhausted,
    Gone,
    EndpointDisabled,
    EndpointDeleted,
    Erased,
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
    /// Null once it was erased; also if the event was never accepted.
    #[schema(value_type = Option<Envelope>, required)]
    payload: Option<Box<RawValue>>,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Null unless the status is `failed`.
    #[schema(required)]
    failure_reason: Option<FailureReasonShown>,
    /// Null before the first attempt.
    #[schema(required)]
    last_attempt: Option<LastAttemptBody>,
}

/// How the latest attempt of a delivery ended.
#[derive(Serialize, ToSchema)]
#[schema(as = LastAttempt)]
pub struct LastAttemptBody {
    /// The status received; null without one.
    #[schema(required, minimum = 100, maximum = 999)]
    http_status: Option<u16>,
    /// For people: the fault that ended the attempt or broke the answer's body off; null when the whole answer came.
    #[schema(required)]
    error_message: Option<String>,
    /// When the attempt began.
    #[schema(value_type = values::Time)]
    created_at: String,
}

/// The fields of a delivery in a list.
pub const FIELDS: &[&str] = &[
    "id",
    "webhook_endpoint_id",
    "project_id",
    "event_id",
    "event_name",
    "status",
    "attempt_count",
    "next_retry_at",
    "payload",
    "created_at",
    "updated_at",
    "failure_reason",
    "last_attempt",
];

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

/// One request to the endpoint and its result.
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
    /// The status received, even if the answer's body broke off; null without one.
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
    /// For people: the fault that ended the attempt or broke the answer's body off; null when the whole answer came.
    #[schema(required)]
    error_message: Option<String>,
    /// When the attempt began.
    #[schema(value_type = values::Time)]
    created_at: String,
    /// Where the request went: the endpoint's URL at that moment.
    #[schema(value_type = values::EndpointUrl)]
    url: String,
    /// Whether the answer was longer than `response_body`.
    response_truncated: bool,
    /// Where a redirect leads. The service does not follow it. Null for any other answer.
    #[schema(required, max_length = 2048)]
    location: Option<String>,
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
            FailureReason::Erased => Self::Erased,
            FailureReason::Internal => Self::Internal,
        }
    }
}

impl DeliveryWithAttemptsBody {
    pub(super) fn new(body: DeliveryBody, delivery: &Delivery) -> Self {
        let shown = |(index, attempt)| AttemptBody::new(delivery.id, index, attempt);
        Self { delivery: body, attempts: delivery.attempts.iter().enumerate().map(shown).collect() }
    }
}

impl DeliveryBody {
    /// # Errors
    /// When the stored envelope cannot be read.
    pub fn new(delivery: &Delivery, envelope: Option<Vec<u8>>) -> Result<Self, ApiError> {
        Ok(Self {
            id: delivery.id,
            webhook_endpoint_id: delivery.endpoint_id,
            project_id: delivery.project_id,
            event_id: delivery.event_id,
            event_name: delivery.event_name.clone(),
            status: delivery.status.into(),
            attempt_count: delivery.attempt_count,
            next_retry_at: delivery.next_retry_at.map(|at| at.to_string()),
            payload: envelope.map(shown_as_it_is).transpose()?,
            created_at: delivery.id.created_at().to_string(),
            updated_at: delivery.updated_at.to_string(),
            failure_reason: delivery.failure_reason.map(FailureReasonShown::from),
            last_attempt: LastAttemptBody::of(delivery),
        })
    }
}

impl DeliveryBody {
    /// The same, just after a person asked for another attempt at `at`.
    pub(super) fn retried(self, at: Timestamp) -> Self {
        let status = DeliveryState::Pending;
        Self { status, updated_at: at.to_string(), failure_reason: None, ..self }
    }
}

impl LastAttemptBody {
    pub fn of(delivery: &Delivery) -> Option<Self> {
        let attempt = delivery.attempts.last()?;
        Some(Self {
            http_status: attempt.http_status,
            error_message: attempt.error_message.clone(),
            created_at: attempt.id.created_at().to_string(),
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
            url: attempt.url.clone(),
            response_truncated: attempt.response_truncated,
            location: attempt.location.clone(),
        }
    }
}
