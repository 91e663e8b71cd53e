//! A replay tries the deliveries of an endpoint again that match a filter, page by page (contract §6).
//!
//! A replay's row holds its whole state: its position, and the page that the next step starts. Each step starts that page,
//! looks up the next page, and writes its progress and the next page into the row with one conditional write. So a step that
//! is repeated, or stops half-way, neither loses nor doubles a delivery.
//!
//! Jobs of a replay go through the retries' lane, or the slow one, under the project's group, and a step waits up to a
//! minute for the last delivery of the page before. So about one page of a replay is under way at a time, and other
//! projects' jobs pass it. Failures are found in the sparse index, and events whose id tells no time in another. Both
//! are eventually consistent, so a replay may miss the last second.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryStatus;
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::event_name::EventName;
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId, ReplayId};
use crate::partition::Partition;
use crate::shards::Shard;
use crate::time::Timestamp;

/// The most deliveries that one step starts.
pub const PAGE: usize = 100;

/// How long a step's job waits for the replay's row. The api function writes the row just after it sends the job, so this is
/// longer than the api function can run.
const ROW_GRACE: Duration = Duration::from_secs(60);
const ROW_POLL: Duration = Duration::from_secs(2);

/// How long the last delivery of a page may delay the next page.
const PACE: Duration = Duration::from_secs(60);

/// How long a delivery whose failure is not counted yet may delay its page.
const COUNTING: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStatus {
    Running,
    Finished,
    /// The replay does not go on. The deliveries that it has started go on.
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    EndpointDisabled,
    EndpointDeleted,
    Internal,
}

/// The deliveries that a replay tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFilter {
    /// Deliveries made at this moment or later.
    pub since: Timestamp,
    /// Deliveries made before this moment.
    pub until: Timestamp,
    pub status: DeliveryStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<EventName>,
    /// Whether to make deliveries for events that skipped the endpoint, too.
    pub include_skipped: bool,
}

impl ReplayFilter {
    #[must_use]
    pub fn has_name(&self, name: &EventName) -> bool {
        self.event_name.as_ref().is_none_or(|wanted| wanted == name)
    }
}

/// How far a replay has looked. It looks through the endpoint's partitions one after another, or for failures through the
/// shards of the sparse index, then through the project's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    Deliveries { partition: Partition, after: Option<DeliveryId> },
    Failures { shard: Shard, after: Option<DeliveryId> },
    Events { after: Option<EventId> },
    End,
}

impl Position {
    /// The position of a new replay.
    #[must_use]
    pub fn first(filter: &ReplayFilter, endpoint: &Endpoint) -> Self {
        if filter.status.wants_attention() {
            return endpoint.shards.all().next().map_or(Self::after_deliveries(filter), Self::failures);
        }
        let first = partitions(filter, endpoint).first().copied();
        first.map_or(Self::after_deliveries(filter), Self::deliveries)
    }

    /// The position after a partition.
    #[must_use]
    pub fn after_partition(partition: Partition, filter: &ReplayFilter, endpoint: &Endpoint) -> Self {
        let next = partitions(filter, endpoint).into_iter().find(|next| *next > partition);
        next.map_or(Self::after_deliveries(filter), Self::deliveries)
    }

    /// The position after a shard's failures.
    #[must_use]
    pub fn after_shard(shard: Shard, filter: &ReplayFilter, endpoint: &Endpoint) -> Self {
        let next = endpoint.shards.all().find(|next| *next > shard);
        next.map_or(Self::after_deliveries(filter), Self::failures)
    }

    const fn deliveries(partition: Partition) -> Self {
        Self::Deliveries { partition, after: None }
    }

    const fn failures(shard: Shard) -> Self {
        Self::Failures { shard, after: None }
    }

    const fn after_deliveries(filter: &ReplayFilter) -> Self {
        if filter.include_skipped { Self::Events { after: None } } else { Self::End }
    }
}

/// The partitions that can hold deliveries of the filter, in order.
fn partitions(filter: &ReplayFilter, endpoint: &Endpoint) -> Vec<Partition> {
    let wanted = filter.event_name.as_ref().map(EventName::buckets);
    let buckets = endpoint.buckets_ever.iter().copied();
    let named = buckets.filter(|bucket| wanted.is_none_or(|wanted| wanted.contains(bucket)));
    Partition::all(named, endpoint.shards)
}

/// One delivery to try again, or one to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    Delivery(DeliveryId),
    /// An event that skipped the endpoint.
    Skipped(EventId),
}

/// One row of the replays table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub endpoint_id: EndpointId,
    pub id: ReplayId,
    pub project_id: ProjectId,
    pub filter: ReplayFilter,
    pub status: ReplayStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// The number of steps that are done. Only the next step changes the row.
    pub step: u32,
    /// The start of the next look-up.
    #[serde(rename = "place")]
    pub position: Position,
    /// The matches that are found and not yet started.
    pub page: Vec<Match>,
    /// The last delivery of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_started: Option<DeliveryId>,
    pub matched: u64,
    pub replayed: u64,
    pub updated_at: Timestamp,
    /// Unix seconds, for DynamoDB's TTL; past it the row counts as absent.
    pub expires_at: i64,
}

/// The result of one step.
#[derive(Debug, Clone)]
pub struct Progress {
    pub replayed: u64,
    pub last_started: Option<DeliveryId>,
    pub position: Position,
    pub page: Vec<Match>,
}

impl Replay {
    #[must_use]
    pub fn new(endpoint: &Endpoint, filter: ReplayFilter, now: Timestamp, retention: Duration) -> Self {
        Self {
            endpoint_id: endpoint.id,
            id: ReplayId::new(now),
            project_id: endpoint.project_id,
            position: Position::first(&filter, endpoint),
            filter,
            status: ReplayStatus::Running,
            stop_reason: None,
            step: 0,
            page: Vec::new(),
            last_started: None,
            matched: 0,
            replayed: 0,
            updated_at: now,
            expires_at: now.plus(retention).as_seconds(),
        }
    }

    /// The row after a step.
    #[must_use]
    pub fn advanced(&self, progress: Progress, now: Timestamp) -> Self {
        let is_over = progress.page.is_empty() && progress.position == Position::End;
        Self {
            status: if is_over { ReplayStatus::Finished } else { ReplayStatus::Running },
            step: self.step + 1,
            matched: self.matched + progress.page.len() as u64,
            replayed: self.replayed + progress.replayed,
            last_started: progress.last_started,
            position: progress.position,
            page: progress.page,
            updated_at: now,
            ..self.clone()
        }
    }

    #[must_use]
    pub fn stopped(&self, reason: StopReason, now: Timestamp) -> Self {
        Self {
            status: ReplayStatus::Stopped,
            stop_reason: Some(reason),
            step: self.step + 1,
            updated_at: now,
            ..self.clone()
        }
    }

    #[must_use]
    pub const fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.as_seconds()
    }

    /// Whether the previous page may still delay the next one.
    #[must_use]
    pub fn is_paced(&self, now: Timestamp) -> bool {
        now < self.updated_at.plus(PACE)
    }

    /// Whether a delivery whose failure is not counted yet may still delay its page.
    #[must_use]
    pub fn waits_for_counts(&self, now: Timestamp) -> bool {
        now < self.updated_at.plus(COUNTING)
    }
}

/// The action of a step's job that has just woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepAction {
    /// No work is left, so the message is deleted.
    Finished,
    /// The row is not written yet, so the message hides for this time.
    NotYet {
        wait: Duration,
    },
    Stop {
        reason: StopReason,
    },
    /// The job makes the step that the row has reached.
    Step,
}

/// Chooses the act of a woken job. A job one step behind acts too, because its successor may never have been sent. If the
/// successor was sent, only one of the two changes the row. A job that is further behind does nothing, because a successor
/// of it was received.
#[must_use]
pub fn on_wake(
    replay: Option<&Replay>,
    endpoint: Option<&Endpoint>,
    id: &ReplayId,
    step: u32,
    now: Timestamp,
) -> StepAction {
    let Some(replay) = replay else {
        let is_awaited = now < id.created_at().plus(ROW_GRACE);
        return if is_awaited { StepAction::NotYet { wait: ROW_POLL } } else { StepAction::Finished };
    };
    if replay.status != ReplayStatus::Running || replay.is_expired(now) || replay.step > step + 1 {
        return StepAction::Finished;
    }
    match endpoint {
        None => StepAction::Stop { reason: StopReason::EndpointDeleted },
        Some(endpoint) if endpoint.status == EndpointStatus::Disabled => {
            StepAction::Stop { reason: StopReason::EndpointDisabled }
        }
        Some(_) => StepAction::Step,
    }
}

#[cfg(test)]
mod tests;
