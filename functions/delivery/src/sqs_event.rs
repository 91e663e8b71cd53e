//! The part of Lambda's SQS event that the function reads, and the answer that names the messages that stay in the queue.
//!
//! Bodies stay text here: if serde parsed them, one bad body would fail the whole batch before any other code runs.

use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Deserialize)]
pub struct SqsEvent {
    #[serde(rename = "Records", default)]
    pub records: Vec<Record>,
}

/// One queue message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub message_id: String,
    #[serde(default)]
    pub receipt_handle: String,
    /// Empty when it is absent or null, so that such a record fails by itself.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub body: String,
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default, rename = "eventSourceARN")]
    pub event_source_arn: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attributes {
    #[serde(default)]
    pub approximate_receive_count: String,
    /// Set on a message that SQS has moved to a dead-letter queue.
    #[serde(default)]
    pub dead_letter_queue_source_arn: String,
}

impl Record {
    /// How often SQS has delivered this message, this time included.
    #[must_use]
    pub fn receives(&self) -> u32 {
        self.attributes.approximate_receive_count.parse().unwrap_or(1)
    }

    /// The name of the queue that it comes from.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        name(&self.event_source_arn)
    }

    /// The name of the queue that gave it up, if this is a dead letter.
    #[must_use]
    pub fn given_up_by(&self) -> &str {
        name(&self.attributes.dead_letter_queue_source_arn)
    }
}

fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

/// The messages that Lambda must not delete.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    pub batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    pub item_identifier: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_body_is_read() {
        let event: SqsEvent = serde_json::from_str(
            r#"{"Records": [
                {"messageId": "m1", "receiptHandle": "r1", "body": "{\"v\":1", "md5OfBody": "x",
                 "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1"}, "messageAttributes": {},
                 "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:Retries-1"},
                {"messageId": "m2"},
                {"messageId": "m3", "body": null}
            ]}"#,
        )
        .expect("an event");
        let [first, second, third] = &event.records[..] else { panic!("three records") };
        assert_eq!((first.queue_name(), first.receives(), first.body.as_str()), ("Retries-1", 3, "{\"v\":1"));
        assert_eq!((second.queue_name(), second.receives(), second.body.as_str()), ("", 1, ""));
        assert_eq!((third.message_id.as_str(), third.body.as_str()), ("m3", ""));
    }

    #[test]
    fn the_recorded_events_are_read() {
        for event in [
            include_str!("../../../events/delivery-first-attempt.json"),
            include_str!("../../../events/delivery-retry.json"),
            include_str!("../../../events/delivery-unknown-version.json"),
            include_str!("../../../events/delivery-bad-record.json"),
            include_str!("../../../events/delivery-intake-direct.json"),
            include_str!("../../../events/delivery-intake-eventbridge.json"),
        ] {
            let event: SqsEvent = serde_json::from_str(event).expect("an event");
            assert!(!event.records.is_empty());
            assert!(
                event.records.iter().all(|record| !record.message_id.is_empty() && !record.body.is_empty())
            );
        }
    }

    #[test]
    fn the_answer_is_spelled_as_lambda_wants_it() {
        let kept = vec![ItemFailure { item_identifier: "m1".to_owned() }];
        let answer = serde_json::to_string(&BatchResponse { batch_item_failures: kept }).expect("JSON");
        assert_eq!(answer, r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#);
    }
}
