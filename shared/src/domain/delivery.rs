//! One event on its way to one endpoint, with every attempt made (contract §6).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, Trigger};
use crate::event::{Event, EventDelivery};
use crate::event_name::EventName;
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId, ReplayId};
use crate::job::{Chain, DeliveryJob};
use crate::notice::Notice;
use crate::partition::Partition;
use crate::payload::Payload;
use crate::rate_limit::Slot;
use crate::shards::Shard;
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// The first attempt, or a manual one, is not yet made.
    Pending,
    /// The last attempt failed and another is due.
    Retrying,
    Success,
    Failed,
}

impl DeliveryStatus {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Retrying, Self::Success, Self::Failed];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }

    /// Whether all rows of this status stand in the sparse index. A delivery that goes well never does, so it never pays
    /// for the index.
    #[must_use]
    pub const fn wants_attention(self) -> bool {
        matches!(self, Self::Retrying | Self::Failed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    Exhausted,
    Gone,
    EndpointDisabled,
    EndpointDeleted,
    /// The event's payload was erased before the delivery had ended.
    Erased,
    Internal,
}

/// The age from which a pending delivery stands in the sparse index. A write that leaves a delivery pending enters it there
/// if the delivery is this old, or will wait until it is. Nearly all deliveries have had their first attempt before and
/// never pay for the index.
pub const PENDING_UNLISTED: Duration = Duration::from_secs(10);

/// One row of the deliveries table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `{endpoint_id}#{bucket}#{shard}`: see [`Partition`].
    pub partition: String,
    pub id: DeliveryId,
    /// `{endpoint_id}#{shard}#{status}` while the delivery stands in the sparse index: the index's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    pub project_id: ProjectId,
    pub endpoint_id: EndpointId,
    pub event_id: EventId,
    pub event_name: EventName,
    pub status: DeliveryStatus,
    /// Whether the schedule or a person asked for the attempt that is due.
    pub triggered_by: Trigger,
    pub attempt_count: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<FailureReason>,
    /// The job that may make the next attempt; absent for the first job, which was sent when the event was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// The slot of the endpoint's rate limit that the due attempt waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The delivery's number in its stream, from its first attempt on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The latest replay that tried the delivery again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_id: Option<ReplayId>,
    /// The delivery ended in a way that its endpoint must hear of (contract §7), and that is still to be done. It would
    /// never be done if the delivery were tried by hand before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// Operational events about ends of the delivery that are counted, of which somebody is still to be told. They stay when
    /// the delivery is tried by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<Notice>,
    /// The payload and the receivers' answers were erased. No further attempt is made or recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// The envelope, if it is small. A large one is on the event's row alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    pub updated_at: Timestamp,
    /// In Unix seconds, for DynamoDB's TTL. From then on the row counts as absent.
    pub expires_at: i64,
}

/// The sparse index's key for an endpoint's rows of one shard and status.
#[must_use]
pub fn attention(endpoint_id: &EndpointId, shard: Shard, status: DeliveryStatus) -> String {
    format!("{endpoint_id}#{shard}#{}", status.as_str())
}

impl Delivery {
    /// A delivery whose first attempt is not yet made, as its event lists it.
    #[must_use]
    pub fn pending(event: &Event, listed: &EventDelivery) -> Self {
        Self {
            partition: Partition::of(&listed.id).key(&listed.endpoint_id),
            id: listed.id,
            attention: None,
            project_id: event.project_id,
            endpoint_id: listed.endpoint_id,
            event_id: event.event_id,
            event_name: event.event_name.clone(),
            status: DeliveryStatus::Pending,
            triggered_by: Trigger::Auto,
            attempt_count: 0,
            attempts: Vec::new(),
            next_retry_at: None,
            failure_reason: None,
            chain: None,
            slot: None,
            sequence: None,
            replay_id: None,
            uncounted: false,
            untold: Vec::new(),
            erased: false,
            payload: event.payload.as_ref().filter(|payload| payload.fits_inline()).cloned(),
            updated_at: listed.id.created_at(),
            expires_at: event.expires_at,
        }
    }

    /// The job of a new attempt after the delivery has ended, which waits for the row to change.
    #[must_use]
    pub const fn job_again(&self, chain: Chain, manual_at: Timestamp) -> DeliveryJob {
        DeliveryJob {
            project_id: self.project_id,
            endpoint_id: self.endpoint_id,
            delivery_id: self.id,
            event_id: self.event_id,
            chain: Some(chain),
            manual_at: Some(manual_at),
            by_hand: false,
            waits_since: None,
            stream: None,
        }
    }

    /// The sparse index's key, if a write at `now` leaves the delivery in the index.
    #[must_use]
    pub fn attention_at(&self, now: Timestamp) -> Option<String> {
        let stands = match self.status {
            DeliveryStatus::Pending => self.due_at().max(now).since(self.id.created_at()) >= PENDING_UNLISTED,
            status => status.wants_attention(),
        };
        stands.then(|| attention(&self.endpoint_id, Partition::of(&self.id).shard, self.status))
    }

    /// Takes off the payload and the receivers' answers.
    pub fn erase(&mut self) {
        self.erased = true;
        self.payload = None;
        for attempt in &mut self.attempts {
            attempt.response_body = None;
            attempt.response_truncated = false;
            attempt.location = None;
        }
    }

    /// Whether an attempt has been made.
    #[must_use]
    pub const fn was_attempted(&self) -> bool {
        self.attempt_count > 0
    }

    /// Whether the first attempt is still to come.
    #[must_use]
    pub const fn is_untried(&self) -> bool {
        matches!(self.status, DeliveryStatus::Pending) && !self.was_attempted()
    }

    /// When the next attempt may be made.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        let due = match (self.next_retry_at, self.triggered_by) {
            (Some(at), _) => at,
            (None, Trigger::Manual) => self.updated_at,
            (None, Trigger::Auto) => self.id.created_at(),
        };
        self.slot.map_or(due, |slot| due.max(slot.at))
    }

    /// Whether its endpoint, or somebody else, is still to hear of an end of it.
    #[must_use]
    pub const fn is_to_be_told(&self) -> bool {
        self.uncounted || !self.untold.is_empty()
    }

    #[must_use]
    pub const fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.as_seconds()
    }
}
