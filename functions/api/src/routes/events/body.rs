//! Events as the API shows them (contract §4).

use std::collections::HashMap;

use echo_shared::delivery::{Delivery, DeliveryStatus};
use echo_shared::endpoint::SkipReason;
use echo_shared::event::{Event, EventDelivery};
use echo_shared::event_name::EventName;
use echo_shared::id::{DeliveryId, EndpointId, EventId, ProjectId};
use echo_shared::skipped::SkippedEndpoint;
use echo_shared::store::StoreError;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::received::Envelope;
use crate::openapi::values;
use crate::routes::deliveries::body::{DeliveryState, FailureReasonShown, LastAttemptBody};
use crate::routes::envelope::shown_as_it_is;

/// An event with its deliveries as they are now.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    #[schema(value_type = values::Id)]
    event_id: EventId,
    #[schema(value_type = values::EventName)]
    event_name: EventName,
    #[schema(value_type = values::Id)]
    project_id: ProjectId,
    /// Null once it was erased.
    #[schema(value_type = Option<Envelope>, required)]
    payload: Option<Box<RawValue>>,
    /// When it was accepted, or, of an id that tells a time not over five minutes from that, the time it tells.
    #[schema(value_type = values::Time)]
    created_at: String,
    deliveries: Vec<EventDeliveryBody>,
    skipped: Vec<SkippedBody>,
}

/// The fields of an event in a list.
pub const FIELDS: &[&str] =
    &["event_id", "event_name", "project_id", "payload", "created_at", "deliveries", "skipped"];

/// One of an event's deliveries, without its attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = EventDelivery)]
pub struct EventDeliveryBody {
    #[schema(value_type = values::Id)]
    id: DeliveryId,
    #[schema(value_type = values::Id)]
    webhook_endpoint_id: EndpointId,
    status: DeliveryState,
    #[schema(maximum = 50)]
    attempt_count: u32,
    /// When the next attempt is due; null unless the status is `retrying`.
    #[schema(value_type = Option<values::Time>, required)]
    next_retry_at: Option<String>,
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

/// An endpoint that the event made no delivery for.
#[derive(Serialize, ToSchema)]
#[schema(as = SkippedEndpoint)]
pub struct SkippedBody {
    #[schema(value_type = values::Id)]
    webhook_endpoint_id: EndpointId,
    reason: SkipReasonShown,
}

/// Why, as it was when the event came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SkipReason)]
pub enum SkipReasonShown {
    EndpointDisabled,
    NotSubscribed,
    Filtered,
}

impl EventBody {
    /// # Errors
    /// When the stored envelope cannot be read.
    pub fn new(
        event: &Event,
        envelope: Option<Vec<u8>>,
        deliveries: &HashMap<DeliveryId, Delivery>,
    ) -> Result<Self, ApiError> {
        let shown = |listed: &EventDelivery| EventDeliveryBody::new(listed, deliveries.get(&listed.id));
        let skipped = |skipped: &SkippedEndpoint| SkippedBody {
            webhook_endpoint_id: skipped.endpoint_id,
            reason: match skipped.reason {
                SkipReason::EndpointDisabled => SkipReasonShown::EndpointDisabled,
                SkipReason::NotSubscribed => SkipReasonShown::NotSubscribed,
                SkipReason::Filtered => SkipReasonShown::Filtered,
            },
        };
        Ok(Self {
            event_id: event.event_id,
            event_name: event.event_name.clone(),
            project_id: event.project_id,
            payload: envelope.map(shown_as_it_is).transpose()?,
            created_at: event.created_at().to_string(),
            deliveries: event.deliveries.iter().map(shown).collect(),
            skipped: event.skipped.0.iter().map(skipped).collect(),
        })
    }
}

impl EventDeliveryBody {
    /// A delivery that has no row yet is about to get one.
    fn new(listed: &EventDelivery, row: Option<&Delivery>) -> Self {
        let created_at = listed.id.created_at();
        Self {
            id: listed.id,
            webhook_endpoint_id: listed.endpoint_id,
            status: row.map_or(DeliveryStatus::Pending, |row| row.status).into(),
            attempt_count: row.map_or(0, |row| row.attempt_count),
            next_retry_at: row.and_then(|row| row.next_retry_at).map(|at| at.to_string()),
            created_at: created_at.to_string(),
            updated_at: row.map_or(created_at, |row| row.updated_at).to_string(),
            failure_reason: row.and_then(|row| row.failure_reason).map(FailureReasonShown::from),
            last_attempt: row.and_then(LastAttemptBody::of),
        }
    }
}

/// The rows of the deliveries that events list.
///
/// # Errors
/// When the store did not answer.
pub async fn deliveries_of(
    app: &App,
    events: impl Iterator<Item = &Event>,
) -> Result<HashMap<DeliveryId, Delivery>, StoreError> {
    let listed: Vec<_> =
        events.flat_map(|event| &event.deliveries).map(|listed| (listed.endpoint_id, listed.id)).collect();
    app.store.deliveries_by_id(&listed).await
}
