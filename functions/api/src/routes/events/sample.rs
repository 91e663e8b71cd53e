//! The data of a test event: a made-up call, as a producer might report it.

use std::time::Duration;

use echo_shared::event_name::{EventName, OPERATIONAL};
use echo_shared::time::Timestamp;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

const RANG_FOR: Duration = Duration::from_secs(4);
const CALL_LASTED: Duration = Duration::from_secs(227);

/// Data for one event of this name. A name that is not among the default ones gets data that fits any name.
///
/// # Errors
/// Never: it is JSON.
pub(super) fn data(name: &EventName, now: Timestamp) -> serde_json::Result<Box<RawValue>> {
    let ended = now.minus(Duration::from_secs(1));
    let answered = ended.minus(CALL_LASTED);
    let started = answered.minus(RANG_FOR);
    let call = |started: Timestamp| {
        json!({
            "call_id": "call_sample_1",
            "direction": "inbound",
            "from": "+15550100",
            "to": "+15550199",
            "started_at": started.to_string(),
        })
    };
    let mut data = match name.as_str() {
        "call.started" => call(ended),
        "call.ended" => {
            let mut call = call(started);
            call["answered_at"] = json!(answered.to_string());
            call["ended_at"] = json!(ended.to_string());
            call["duration_seconds"] = json!(CALL_LASTED.as_secs());
            call["ended_by"] = json!("customer");
            call
        }
        "call.summary" => json!({
            "call_id": "call_sample_1",
            "duration_seconds": CALL_LASTED.as_secs(),
            "summary": "The customer asked about an invoice and was told when it is due.",
            "sentiment": "positive",
            "topics": ["billing", "invoice"],
            "action_items": [{ "text": "Send the invoice again by e-mail", "assignee": "support" }],
        }),
        name if OPERATIONAL.contains(&name) => json!({
            "project_id": "01a20259-3a57-7c63-9fb6-0c94e1b2e278",
            "endpoint_id": "01a2025b-1b04-729d-8c26-661679688eb9",
            "host": "hooks.example.com",
            "reason": match name {
                "endpoint.disabled" => Some("consecutive_failures"),
                "delivery.failed" => Some("exhausted"),
                _ => None,
            },
            "consecutive_failures": 10,
            "disabled_at": (name == "endpoint.disabled").then(|| ended.to_string()),
            "delivery_id": "01a2025b-2384-75d8-a190-26d82c63488e",
            "event_id": "01a2025b-2384-7219-87f6-4631558004f4",
            "event_name": "call.ended",
            "attempt_count": 4,
            "last_attempt": { "created_at": ended.to_string(), "http_status": 503, "error_message": null },
        }),
        _ => json!({
            "id": "sample_1",
            "occurred_at": ended.to_string(),
            "message": "A sample of this event, as sent to try an endpoint",
        }),
    };
    data["sample"] = json!(true);
    to_raw_value(&data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_data_that_says_it_is_a_sample() {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let mut seen = Vec::new();
        for name in ["call.started", "call.ended", "call.summary", "order.paid"] {
            let data = data(&EventName::from_stored(name), now).expect("JSON").get().to_owned();
            let value: serde_json::Value = serde_json::from_str(&data).expect("JSON");
            assert_eq!(value["sample"], true, "{name}");
            assert!(!seen.contains(&data), "{name} is told like another");
            seen.push(data);
        }
    }
}
