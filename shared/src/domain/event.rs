//! Events as producers post them, and the envelope that receivers get (contract §4, §5).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::endpoint::Endpoint;
use crate::event_name::EventName;
use crate::filter::Document;
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};
use crate::job::DeliveryJob;
use crate::partition::Partition;
use crate::payload::Payload;
use crate::route::Routes;
use crate::shards::Shard;
use crate::skipped::{Skipped, SkippedEndpoint};
use crate::stream::{Entry, StreamKey, StreamTag};
use crate::time::Timestamp;

/// An event is listed by its id when the time in the id is at most this far from the event's acceptance.
pub const LISTED_AS_IT_IS: Duration = Duration::from_secs(5 * 60);

/// The content of an event as its producer gave it, already checked.
#[derive(Debug, Clone)]
pub struct EventContent<'a> {
    pub name: EventName,
    pub customer_id: Option<String>,
    pub notification_id: Option<String>,
    /// The producer's own bytes, so that key order and number spelling survive.
    pub data: &'a RawValue,
}

impl EventContent<'_> {
    /// The bytes that are signed and sent. They are the same on every attempt.
    #[must_use]
    pub fn envelope(&self, id: &EventId) -> Vec<u8> {
        let json = |text: &Option<String>| match text {
            Some(text) => serde_json::Value::from(text.as_str()).to_string(),
            None => "null".to_owned(),
        };
        format!(
            r#"{{"event_id":"{id}","event_name":{name},"customer_id":{customer},"notification_id":{notification},"data":{data}}}"#,
            name = serde_json::Value::from(self.name.as_str()),
            customer = json(&self.customer_id),
            notification = json(&self.notification_id),
            data = self.data.get(),
        )
        .into_bytes()
    }
}

/// One accepted event: the idempotency record, the payload and the list of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `{project_id}#{shard}`: see [`partition`].
    pub partition: String,
    pub project_id: ProjectId,
    pub event_id: EventId,
    pub event_name: EventName,
    /// The SHA-256 of the envelope, in hex. Two posts with one id are the same event if their hashes are equal. Empty once the
    /// payload is erased, because a short content can be guessed from its hash.
    pub content_hash: String,
    /// `None` once it is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    pub deliveries: Vec<EventDelivery>,
    #[serde(default, skip_serializing_if = "Skipped::is_empty")]
    pub skipped: Skipped,
    /// The key in the project's list, for an event whose own id cannot be the key: a UUIDv7 of the time of acceptance. It is
    /// also the key of a sparse index, which holds only such events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<EventId>,
    pub accepted_at: Timestamp,
    /// Unix seconds, for DynamoDB's TTL; past it the row counts as absent.
    pub expires_at: i64,
    /// A person tries an endpoint with this event. Its first job says so, and its row does not.
    #[serde(skip)]
    pub by_hand: bool,
}

/// The partition that holds an event of this shard.
#[must_use]
pub fn partition(project_id: &ProjectId, shard: Shard) -> String {
    format!("{project_id}#{shard}")
}

/// A delivery as its event lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDelivery {
    pub id: DeliveryId,
    pub endpoint_id: EndpointId,
    /// The stream in which the delivery stands. It stays there, even if the endpoint's order changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamTag>,
}

impl EventDelivery {
    /// A new delivery, whose row does not exist yet.
    #[must_use]
    pub fn new(partition: Partition, endpoint_id: EndpointId, now: Timestamp) -> Self {
        Self { id: partition.new_id(now), endpoint_id, stream: None }
    }

    /// The stream of an ordered delivery.
    #[must_use]
    pub fn in_stream(&self) -> Option<StreamKey> {
        Some(StreamKey { endpoint_id: self.endpoint_id, tag: self.stream? })
    }
}

impl Event {
    /// The event that the acceptance of `content` makes, with one delivery for each active, subscribed endpoint.
    #[must_use]
    pub fn accept(
        project_id: ProjectId,
        event_id: EventId,
        content: &EventContent<'_>,
        routes: &Routes,
        now: Timestamp,
        retention: Duration,
    ) -> Self {
        let shard = routes.shards.of(&event_id);
        let mut deliveries = Vec::new();
        let mut skipped = Vec::new();
        let envelope = content.envelope(&event_id);
        let seen = Document::new(&envelope);
        for (&endpoint_id, route) in &routes.endpoints {
            match route.bucket_for(&content.name, &seen) {
                Ok(bucket) => deliveries.push(EventDelivery {
                    stream: route.order.map(|order| order.stream_of(content.customer_id.as_deref())),
                    ..EventDelivery::new(Partition { bucket, shard }, endpoint_id, now)
                }),
                Err(reason) => skipped.push(SkippedEndpoint { endpoint_id, reason }),
            }
        }
        let event = Self::without_deliveries(project_id, shard, event_id, content, &envelope, now, retention);
        Self { deliveries, skipped: Skipped(skipped), ..event }
    }

    /// An event for one endpoint alone, even if the endpoint is not subscribed to the name or its filter does not match. It
    /// stands in no stream, because a person waits for it.
    #[must_use]
    pub fn for_one(
        event_id: EventId,
        content: &EventContent<'_>,
        endpoint: &Endpoint,
        now: Timestamp,
        retention: Duration,
    ) -> Self {
        let shard = endpoint.shards.of(&event_id);
        let (project_id, envelope) = (endpoint.project_id, content.envelope(&event_id));
        let event = Self::without_deliveries(project_id, shard, event_id, content, &envelope, now, retention);
        let partition = Partition { bucket: endpoint.bucket_of(&content.name), shard };
        let deliveries = vec![EventDelivery::new(partition, endpoint.id, now)];
        Self { deliveries, by_hand: true, ..event }
    }

    fn without_deliveries(
        project_id: ProjectId,
        shard: Shard,
        event_id: EventId,
        content: &EventContent<'_>,
        envelope: &[u8],
        now: Timestamp,
        retention: Duration,
    ) -> Self {
        Self {
            partition: partition(&project_id, shard),
            project_id,
            event_id,
            event_name: content.name.clone(),
            content_hash: hex::encode(Sha256::digest(envelope)),
            payload: Some(Payload::pack(envelope)),
            deliveries: Vec::new(),
            skipped: Skipped::default(),
            listed: (!event_id.is_of_about(now, LISTED_AS_IT_IS)).then(|| EventId::new(now)),
            accepted_at: now,
            expires_at: now.plus(retention).as_seconds(),
            by_hand: false,
        }
    }

    /// The first job of one of its deliveries.
    #[must_use]
    pub const fn first_job(&self, listed: &EventDelivery) -> DeliveryJob {
        DeliveryJob {
            project_id: self.project_id,
            endpoint_id: listed.endpoint_id,
            delivery_id: listed.id,
            event_id: self.event_id,
            chain: None,
            manual_at: None,
            by_hand: self.by_hand,
            waits_since: None,
            stream: listed.stream,
        }
    }

    /// One of its deliveries as its stream holds it.
    #[must_use]
    pub const fn entry(&self, listed: &EventDelivery) -> Entry {
        Entry { delivery_id: listed.id, event_id: self.event_id }
    }

    /// The entry of a job's delivery.
    #[must_use]
    pub fn listed(&self, job: &DeliveryJob) -> Option<&EventDelivery> {
        let is_it =
            |listed: &&EventDelivery| listed.id == job.delivery_id && listed.endpoint_id == job.endpoint_id;
        self.deliveries.iter().find(is_it)
    }

    #[must_use]
    pub const fn is_erased(&self) -> bool {
        self.payload.is_none()
    }

    /// Whether the delivery belongs to this event.
    #[must_use]
    pub fn lists(&self, id: &DeliveryId) -> bool {
        self.deliveries.iter().any(|listed| listed.id == *id)
    }

    /// The key that its project's list of events sorts by.
    #[must_use]
    pub fn list_key(&self) -> EventId {
        self.listed.unwrap_or(self.event_id)
    }

    /// When the event came: the time in its own id if that is the list's key, else the time of its acceptance.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.list_key().created_at()
    }

    #[must_use]
    pub const fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.as_seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::Shards;

    #[test]
    fn only_an_id_that_tells_when_the_event_came_is_its_list_key() {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let content = EventContent {
            name: EventName::from_stored("call.ended"),
            customer_id: None,
            notification_id: None,
            data: serde_json::from_str("{}").expect("JSON"),
        };
        let routes = Routes::none(Shards::ONE);
        let accept = |id| {
            let month = Duration::from_secs(30 * 24 * 60 * 60);
            Event::accept(ProjectId::new(now), id, &content, &routes, now, month)
        };
        let minutes = |n: u64| Duration::from_secs(n * 60);
        for at in [now, now.minus(minutes(5)), now.plus(minutes(5))] {
            let event = accept(EventId::new(at));
            assert_eq!((event.listed, event.list_key(), event.created_at()), (None, event.event_id, at));
        }
        let v4 = EventId::parse("cc66d0a2-7cfd-481f-9826-596e2bb9d58f").expect("an id");
        for id in [EventId::new(now.minus(minutes(6))), EventId::new(now.plus(minutes(6))), v4] {
            let event = accept(id);
            assert_eq!((event.created_at(), event.list_key() == id), (now, false));
        }
    }

    #[test]
    fn the_envelope_keeps_the_producers_bytes() {
        let data = r#"{ "z": 1.10, "a": 123456789012345678901234567890, "s": "\u00e9\"", "z": null }"#;
        let content = EventContent {
            name: EventName::from_stored("call.ended"),
            customer_id: Some("a \"quoted\" one".to_owned()),
            notification_id: None,
            data: serde_json::from_str(data).expect("JSON"),
        };
        let id = EventId::parse("cc66d0a2-7cfd-481f-9826-596e2bb9d58f").expect("an id");
        let expected = format!(
            r#"{{"event_id":"cc66d0a2-7cfd-481f-9826-596e2bb9d58f","event_name":"call.ended","customer_id":"a \"quoted\" one","notification_id":null,"data":{data}}}"#
        );
        assert_eq!(String::from_utf8(content.envelope(&id)), Ok(expected));
    }
}
