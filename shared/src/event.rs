//! One thing that happened, as a producer posted it, and the envelope its receivers get (contract §4, §5).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::endpoint::Endpoint;
use crate::event_name::EventName;
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};
use crate::payload::Payload;
use crate::time::Timestamp;

/// What a producer says of an event, already checked.
#[derive(Debug, Clone)]
pub struct EventContent<'a> {
    pub name: EventName,
    pub customer_id: Option<String>,
    pub notification_id: Option<String>,
    /// The producer's own bytes, so that key order and number spelling survive.
    pub data: &'a RawValue,
}

impl EventContent<'_> {
    /// The bytes that are signed and sent, the same on every attempt.
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

/// One accepted event: the idempotency record, the payload and who gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub project_id: ProjectId,
    pub event_id: EventId,
    pub event_name: EventName,
    /// SHA-256 of the envelope, in hex: two posts with one id are the same event if this is equal.
    pub content_hash: String,
    pub payload: Payload,
    pub deliveries: Vec<EventDelivery>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedEndpoint>,
    pub accepted_at: Timestamp,
    /// Unix seconds, for DynamoDB's TTL; past it the row counts as absent.
    pub expires_at: i64,
}

/// A delivery as its event lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDelivery {
    pub id: DeliveryId,
    pub endpoint_id: EndpointId,
}

/// An endpoint that existed when the event came and got no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedEndpoint {
    pub endpoint_id: EndpointId,
    pub reason: SkipReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    EndpointDisabled,
    NotSubscribed,
}

impl Event {
    /// The event that accepting `content` makes, with one delivery for each active, subscribed endpoint.
    #[must_use]
    pub fn accept(
        project_id: ProjectId,
        event_id: EventId,
        content: &EventContent<'_>,
        endpoints: &[Endpoint],
        now: Timestamp,
        retention: std::time::Duration,
    ) -> Self {
        let envelope = content.envelope(&event_id);
        let mut deliveries = Vec::new();
        let mut skipped = Vec::new();
        for endpoint in endpoints {
            match endpoint.skips(&content.name) {
                None => deliveries.push(EventDelivery {
                    id: DeliveryId::for_event(&content.name, now),
                    endpoint_id: endpoint.id,
                }),
                Some(reason) => skipped.push(SkippedEndpoint { endpoint_id: endpoint.id, reason }),
            }
        }
        Self {
            project_id,
            event_id,
            event_name: content.name.clone(),
            content_hash: hex::encode(Sha256::digest(&envelope)),
            payload: Payload::pack(&envelope),
            deliveries,
            skipped,
            accepted_at: now,
            expires_at: now.plus(retention).as_seconds(),
        }
    }

    #[must_use]
    pub const fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.as_seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
