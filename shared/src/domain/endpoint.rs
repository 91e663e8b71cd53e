//! An endpoint, the contract's "webhook" (§3): the URL that gets a project's events, with its health (§7).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ed25519_keys::SealedKeyPair;
use crate::event_name::EventName;
use crate::filter::FilterText;
use crate::id::{EndpointId, EventId, ProjectId};
use crate::rate_limit::RateLimit;
use crate::receiver_auth::SealedAuth;
use crate::sealed::{Field, Sealed, SealedField, SealedHeaders};
use crate::shards::Shards;
use crate::slowness::Hanging;
use crate::stream::Order;
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// How long the previous secret still signs after a rotation (contract §3).
pub const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The age from which no write leaves a delivery pending outside the sparse index. The last such write is decided ten
/// seconds after the delivery was made (`PENDING_UNLISTED` in `delivery.rs`) and ends with its request, 8 s later at
/// most; the rest is for clocks that differ.
pub const SETTLES_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    Active,
    Disabled,
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Its owner disabled it through the API.
    Manual,
    /// Too many deliveries in a row failed for too long.
    ConsecutiveFailures,
    /// The receiver answered 410 Gone.
    Gone,
}

/// Why an event makes no delivery at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    EndpointDisabled,
    NotSubscribed,
    /// Its filter does not match.
    Filtered,
}

/// An endpoint. Its two parts are rows of their own: the settings, which its owner changes, and the state, which deliveries
/// change. So the count of a failure does not pay for headers of 8 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub project_id: ProjectId,
    pub id: EndpointId,
    /// Those of its project.
    pub shards: Shards,
    /// The URL as its owner wrote it. It is checked again at every attempt, because exemptions can change.
    pub url: String,
    /// When it got this URL. The state has the same time, so an attempt at an earlier receiver leaves no mark
    /// there.
    pub url_since: Timestamp,
    pub signing_secret: Sealed,
    /// Removed once the rotation overlaps no longer, by the next change of the settings or by the sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_until: Option<Timestamp>,
    /// Signs beside the secret, if its owner asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ed25519: Option<SealedKeyPair>,
    /// The private key before, which signs as long as the previous secret does and is removed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_ed25519: Option<Sealed>,
    pub status: EndpointStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<DisabledReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    pub events: Vec<Subscription>,
    /// The buckets of all names that it ever got deliveries of or was subscribed to. They tell which partitions can hold its
    /// deliveries. (Rejected: the names themselves. Names can be made and removed without end, and the row would grow.)
    #[serde(with = "serde_dynamo::number_set")]
    pub buckets_ever: BTreeSet<u8>,
    /// Its owner's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Headers that each request carries beside ours.
    #[serde(default, skip_serializing_if = "SealedHeaders::is_empty")]
    pub headers: SealedHeaders,
    /// By which its receiver knows the service beside the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<SealedAuth>,
    /// Whether its deliveries come one after another, all or those of each customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<Order>,
    /// Which of the events with these names it gets; `None` is all. Its hash stands in the routing row, in the same
    /// transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterText>,
    pub updated_at: Timestamp,
    /// The other row.
    #[serde(skip)]
    pub state: EndpointState,
}

/// What deliveries change about an endpoint, and the rate limit, by which they take slots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// The time up to which the limit's slots are taken, in microseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots_taken_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_slots_taken_until: Option<i64>,
    pub consecutive_failures: u32,
    /// When the first of those failures ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure_at: Option<Timestamp>,
    /// Until this time the slow lane serves it, because an attempt had no answer after two seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_until: Option<Timestamp>,
    /// The time of an answer while it was slow, recorded every few seconds. An attempt that began before this time and times
    /// out does not show that the endpoint hangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// Since when it has not answered at all, and when it was last tried. The row has both times or neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hanging_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hanging_tried_at: Option<Timestamp>,
    /// The ids of the operational events about the latest disabling by us and the latest recovery. A job may repeat the write
    /// that made the change, when it could not report the change. By this id it recognizes its own write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabling: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<EventId>,
    /// Likewise that about its failures in a row. It goes with the first success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<EventId>,
    /// All its deliveries made before this time have ended, are retried, or stand in the sparse index as pending
    /// ([`crate::store::Store::settle`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_to: Option<Timestamp>,
    /// We disabled it, and no delivery has succeeded since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_down: bool,
}

impl Endpoint {
    #[must_use]
    pub fn new(
        project_id: ProjectId,
        id: EndpointId,
        shards: Shards,
        url: String,
        events: Vec<Subscription>,
        signing_secret: Sealed,
        now: Timestamp,
    ) -> Self {
        Self {
            project_id,
            id,
            shards,
            url,
            url_since: now,
            signing_secret,
            previous_secret: None,
            previous_secret_until: None,
            ed25519: None,
            previous_ed25519: None,
            status: EndpointStatus::Active,
            disabled_reason: None,
            disabled_at: None,
            buckets_ever: events.iter().map(Subscription::bucket).collect(),
            events,
            description: None,
            headers: SealedHeaders::default(),
            auth: None,
            ordered: None,
            filter: None,
            updated_at: now,
            state: EndpointState::default(),
        }
    }

    /// The time of a change that is made now: later than the time on the row, although clocks differ. So no two
    /// versions of a row have one time, and the entries about an endpoint stand in the order of its changes.
    #[must_use]
    pub fn changed_at(&self, now: Timestamp) -> Timestamp {
        now.max(self.updated_at.plus(Duration::from_millis(1)))
    }

    /// The endpoint after we disabled it. `disabling` is the id of the operational event about that.
    #[must_use]
    pub fn disabled(&self, reason: DisabledReason, disabling: EventId, now: Timestamp) -> Self {
        let at = self.changed_at(now);
        Self {
            status: EndpointStatus::Disabled,
            disabled_reason: Some(reason),
            disabled_at: Some(at),
            updated_at: at,
            state: EndpointState { disabling: Some(disabling), is_down: true, ..self.state.clone() },
            ..self.clone()
        }
    }

    /// The secret before the current one, while a rotation overlaps.
    #[must_use]
    pub fn previous_secret_at(&self, now: Timestamp) -> Option<&Sealed> {
        self.previous_secret.as_ref().filter(|_| self.is_rotating(now))
    }

    /// The private key before the current one, while a rotation overlaps.
    #[must_use]
    pub fn previous_ed25519_at(&self, now: Timestamp) -> Option<&Sealed> {
        self.previous_ed25519.as_ref().filter(|_| self.is_rotating(now))
    }

    fn is_rotating(&self, now: Timestamp) -> bool {
        self.previous_secret_until.is_some_and(|until| now < until)
    }

    /// The place of one of its sealed values.
    #[must_use]
    pub const fn place<'a>(&'a self, field: Field<'a>) -> SealedField<'a> {
        SealedField { project_id: &self.project_id, endpoint_id: &self.id, field }
    }

    #[must_use]
    pub fn hanging(&self) -> Option<Hanging> {
        Some(Hanging { since: self.state.hanging_since?, tried_at: self.state.hanging_tried_at? })
    }

    /// Whether the slow lane serves it, because it was slow lately or because it hangs.
    #[must_use]
    pub fn is_slow(&self, now: Timestamp) -> bool {
        self.state.hanging_since.is_some() || self.state.slow_until.is_some_and(|until| now < until)
    }

    #[must_use]
    pub fn rate_limit_per_second(&self) -> Option<u16> {
        self.state.rate_limit.map(|limit| limit.per_second)
    }

    /// The time before which each pending delivery stands in the sparse index.
    #[must_use]
    pub fn settled_to(&self) -> Timestamp {
        self.state.settled_to.unwrap_or(Timestamp::from_millis(0))
    }

    /// Whether [`crate::store::Store::settle`] can find anything: the endpoint is older than the newest rows that it reads.
    #[must_use]
    pub fn can_settle(&self, now: Timestamp) -> bool {
        self.settled_to().max(self.id.created_at()) < now.minus(SETTLES_AFTER)
    }

    /// Whether its lists already look where [`Self::bucket_of`] puts a delivery of this name.
    #[must_use]
    pub fn has_bucket_of(&self, name: &EventName) -> bool {
        name.buckets().iter().any(|bucket| self.buckets_ever.contains(bucket))
    }

    /// The bucket of a delivery that is not made by a subscription, such as a test.
    #[must_use]
    pub fn bucket_of(&self, name: &EventName) -> u8 {
        let [own, of_wildcards] = name.buckets();
        let is_for_wildcards = !self.buckets_ever.contains(&own) && self.buckets_ever.contains(&of_wildcards);
        if is_for_wildcards { of_wildcards } else { own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    #[test]
    fn each_version_has_a_later_time_although_clocks_differ() {
        let (project, id, url) =
            (ProjectId::new(NOW), EndpointId::new(NOW), "https://example.com/".to_owned());
        let endpoint = Endpoint::new(project, id, Shards::ONE, url, Vec::new(), vec![1].into(), NOW);
        let disabling = EventId::parse("0197c2a4-5e3d-8a52-8c41-0d5fb1a2c3e4").expect("an id");
        let second = Duration::from_secs(1);
        let next = NOW.plus(Duration::from_millis(1));
        for (clock, at) in [(NOW.minus(second), next), (NOW, next), (NOW.plus(second), NOW.plus(second))] {
            let disabled = endpoint.disabled(DisabledReason::Gone, disabling, clock);
            assert_eq!((disabled.updated_at, disabled.disabled_at), (at, Some(at)));
        }
    }
}
