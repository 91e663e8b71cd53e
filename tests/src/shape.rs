//! The form of the contract's objects: every field is present and has its type, and no field is unknown.

use serde_json::Value;
use uuid::Uuid;

use crate::time::timestamp;

/// Checks that an object has exactly these fields.
///
/// # Panics
/// When the value has other fields, lacks one, or is no object.
#[track_caller]
pub fn fields(value: &Value, names: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("not an object: {value}"));
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut wanted = names.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{value}");
}

/// A string field.
///
/// # Panics
/// When the field is absent or no string.
#[must_use]
#[track_caller]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is not a string in {value}"))
}

/// Checks for a lower-case hyphenated UUID.
///
/// # Panics
/// When the value is anything else.
#[track_caller]
pub fn uuid(value: &Value) -> Uuid {
    let text = value.as_str().unwrap_or_else(|| panic!("not an id: {value}"));
    let id = Uuid::try_parse(text).unwrap_or_else(|_| panic!("not a UUID: {text}"));
    assert_eq!(id.hyphenated().to_string(), text, "not lower-case and hyphenated");
    id
}

/// Checks an id that the service made, and gives the millisecond inside it.
///
/// # Panics
/// When the value is no UUIDv7.
#[track_caller]
pub fn own_id(value: &Value) -> i64 {
    let id = uuid(value);
    assert_eq!(id.get_version_num(), 7, "not a UUIDv7: {id}");
    assert_eq!(id.get_variant(), uuid::Variant::RFC4122, "not a UUIDv7: {id}");
    i64::try_from(id.as_u128() >> 80).expect("48 bits")
}

/// Checks `id` and `created_at` of an object that the service made.
///
/// # Panics
/// When `created_at` is not the millisecond inside the id.
#[track_caller]
pub fn made(value: &Value) {
    assert_eq!(
        own_id(&value["id"]),
        timestamp(&value["created_at"]),
        "created_at is not the id's time: {value}"
    );
}

/// Checks for `prefix` and then a lower-case hex string of `digits`.
///
/// # Panics
/// When the value is anything else.
#[track_caller]
pub fn hex_after(text: &str, prefix: &str, digits: usize) {
    let rest = text.strip_prefix(prefix).unwrap_or_else(|| panic!("{text} does not start with {prefix}"));
    let lower_hex = rest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    assert!(rest.len() == digits && lower_hex, "{text} is not {prefix} and {digits} lower-case hex digits");
}

/// Checks the body that every refusal has.
///
/// # Panics
/// When the body does not have that form.
#[track_caller]
pub fn error(value: &Value, status: u16, what: &str) {
    fields(value, &["statusCode", "message", "error"]);
    assert_eq!(value["statusCode"], status, "{what}: {value}");
    assert!(!text(value, "message").is_empty(), "{what}: {value}");
    let title = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        // A 413 may have either of two titles.
        _ => text(value, "error"),
    };
    assert_eq!(text(value, "error"), title, "{what}");
}

/// Checks a webhook endpoint. The service's own fields may follow the reference's fields, so others are allowed.
///
/// # Panics
/// When a field is missing or has another type.
#[track_caller]
pub fn endpoint(value: &Value) {
    made(value);
    uuid(&value["project_id"]);
    let _ = text(value, "url");
    hex_after(text(value, "signing_secret"), "whsec_", 64);
    assert!(matches!(text(value, "status"), "active" | "disabled"), "{value}");
    let events = value["events"].as_array().unwrap_or_else(|| panic!("events is no array: {value}"));
    assert!(!events.is_empty() && events.iter().all(Value::is_string), "{value}");
    assert!(value["consecutive_failures"].is_u64(), "{value}");
    assert!(timestamp(&value["updated_at"]) >= timestamp(&value["created_at"]), "{value}");
}

const DELIVERY: [&str; 13] = [
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

/// Checks a delivery as lists show it.
///
/// # Panics
/// When a field is missing, added, of another type, or contradicts another.
#[track_caller]
pub fn delivery(value: &Value) {
    fields(value, &DELIVERY);
    check_delivery(value);
}

/// Checks a delivery with its attempts.
///
/// # Panics
/// When a field is missing, added, of another type, or contradicts another.
#[track_caller]
pub fn delivery_with_attempts(value: &Value) {
    fields(value, &[&DELIVERY[..], &["attempts"]].concat());
    check_delivery(value);
    let attempts = value["attempts"].as_array().unwrap_or_else(|| panic!("attempts is no array: {value}"));
    assert_eq!(value["attempt_count"], attempts.len(), "{value}");
    for (index, attempt) in attempts.iter().enumerate() {
        check_attempt(attempt, value, index + 1);
    }
}

#[track_caller]
fn check_delivery(value: &Value) {
    made(value);
    for id in ["webhook_endpoint_id", "project_id", "event_id"] {
        uuid(&value[id]);
    }
    let status = text(value, "status");
    assert!(matches!(status, "pending" | "retrying" | "success" | "failed"), "{value}");
    assert!(value["attempt_count"].is_u64(), "{value}");
    if status == "retrying" {
        let _ = timestamp(&value["next_retry_at"]);
    } else {
        assert!(value["next_retry_at"].is_null(), "{value}");
    }
    if status == "failed" {
        let reason = text(value, "failure_reason");
        let known = ["exhausted", "gone", "endpoint_disabled", "endpoint_deleted", "erased", "internal"];
        assert!(known.contains(&reason), "{value}");
    } else {
        assert!(value["failure_reason"].is_null(), "{value}");
    }
    let last = &value["last_attempt"];
    if value["attempt_count"] == 0 {
        assert!(last.is_null(), "{value}");
    } else {
        fields(last, &["http_status", "error_message", "created_at"]);
        assert!(timestamp(&last["created_at"]) >= timestamp(&value["created_at"]), "{value}");
    }
    assert!(timestamp(&value["updated_at"]) >= timestamp(&value["created_at"]), "{value}");
    let payload = &value["payload"];
    // It was erased.
    if payload.is_null() {
        return;
    }
    fields(payload, &["event_id", "event_name", "customer_id", "notification_id", "data"]);
    assert_eq!(payload["event_id"], value["event_id"], "{value}");
    assert_eq!(payload["event_name"], value["event_name"], "{value}");
    assert!(payload["data"].is_object(), "{value}");
}

#[track_caller]
fn check_attempt(attempt: &Value, delivery: &Value, number: usize) {
    let names = ["id", "delivery_id", "attempt_number", "triggered_by", "http_status", "response_body"];
    let more =
        ["duration_ms", "success", "error_message", "created_at", "url", "response_truncated", "location"];
    fields(attempt, &[&names[..], &more[..]].concat());
    made(attempt);
    assert_eq!(attempt["delivery_id"], delivery["id"], "{attempt}");
    assert_eq!(attempt["attempt_number"], number, "{attempt}");
    assert!(matches!(text(attempt, "triggered_by"), "auto" | "manual"), "{attempt}");
    assert!(attempt["http_status"].is_null() || attempt["http_status"].is_u64(), "{attempt}");
    let body = &attempt["response_body"];
    assert!(body.is_null() || body.as_str().is_some_and(|body| body.len() <= 1024), "{attempt}");
    assert!(attempt["duration_ms"].is_u64(), "{attempt}");
    assert!(attempt["success"].is_boolean(), "{attempt}");
    assert!(text(attempt, "url").starts_with("http"), "{attempt}");
    assert!(attempt["response_truncated"].is_boolean(), "{attempt}");
    let status = attempt["http_status"].as_u64().unwrap_or_default();
    assert!(attempt["location"].is_null() || (300..400).contains(&status), "{attempt}");
    assert!(attempt["error_message"].is_null() || attempt["error_message"].is_string(), "{attempt}");
    assert!(timestamp(&attempt["created_at"]) >= timestamp(&delivery["created_at"]), "{attempt}");
}
