//! The request that a receiver gets (contract §5).

use echo_shared::origin::ORIGIN_HEADER;
use serde_json::{Value, json};
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::path::{PathItem, Paths, PathsBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};

use super::operation::post;
use super::schemas::Named;
use super::values::{EventData, EventName, Id, Time};

pub(super) const TAG: &str = "Requests to receivers";

pub(super) const ABOUT: &str = "\
Each attempt is one POST to the endpoint's URL. Check one of its two signatures over the raw body before parsing it, and \
deduplicate by `webhook-id`: delivery is at least once, and order is not promised.";

/// The body of each delivery: the same bytes on every attempt.
#[derive(Debug, ToSchema)]
pub struct Envelope {
    #[schema(value_type = Id)]
    pub event_id: String,
    #[schema(value_type = EventName)]
    pub event_name: String,
    /// The producer's own value.
    #[schema(required)]
    pub customer_id: Option<String>,
    /// The producer's own value.
    #[schema(required)]
    pub notification_id: Option<String>,
    /// The data that the producer sent, value for value and in its key order.
    #[schema(value_type = EventData)]
    pub data: Value,
}

/// A type for a header of a certain form.
macro_rules! headers {
    ($($name:ident: $form:expr;)+) => {$(
        struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let form: fn(ObjectBuilder) -> ObjectBuilder = $form;
                form(ObjectBuilder::new().schema_type(Type::String)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

headers! {
    SentEventId: |form| form.format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples([json!("0197c2a4-5e3d-71c8-9bfc-e69da170d411")]);
    EchoSignature: |form| form.pattern(Some("^[0-9a-f]{64}$"))
        .examples([json!("b8f2e2d6c0f5a6f4f2c6b1f3a7d9e8c4b5a6978877665544332211ffeeddccbb")]);
    StandardSignature: |form| form.pattern(Some("^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)?$"))
        .examples([json!("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")]);
    UnixSeconds: |form| form.pattern(Some("^[0-9]+$")).examples([json!("1751317241")]);
    SequenceNumber: |form| form.pattern(Some("^[1-9][0-9]*$")).examples([json!("7")]);
    AttemptNumber: |form| form.pattern(Some("^[1-9][0-9]?$")).examples([json!("1")]);
    OriginMark: |form| form.pattern(Some("^[0-9a-f]{32}$"))
        .examples([json!("5d41402abc4b2a76b9719d911017c592")]);
    UserAgent: |form| form.pattern(Some("^echo-webhooks/")).examples([json!("echo-webhooks/0.1.0")]);
}

pub(super) fn webhooks() -> (Paths, Vec<Named>) {
    let about = "**Any 2xx** within the timeout (15 seconds, for connecting, sending and the whole answer) is success. Anything \
                 else is a failed attempt, a redirect included. Four attempts are made by default: at once, then 1, 5 and 30 \
                 minutes after the failure before. Of the answer, 1 KiB is read and shown with the attempt.";
    let mut described = post("", "receiveEvent", "An event is delivered")
        .about(about)
        .open()
        .header::<EchoSignature>(
            "x-echo-signature",
            "Lower-case hex HMAC-SHA256 of the raw body, keyed by the whole `whsec_…` string.",
        )
        .header_sometimes::<EchoSignature>(
            "x-echo-signature-previous",
            "For 24 hours after the secret was rotated: the same by the previous secret.",
        )
        .header::<SentEventId>("webhook-id", "The event's id: the same on every attempt. Deduplicate by it.")
        .header::<UnixSeconds>("webhook-timestamp", "When this attempt was made, in Unix seconds.")
        .header::<StandardSignature>(
            "webhook-signature",
            "Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`. A second one, after a space, for 24 \
             hours after the secret was rotated.",
        )
        .header::<EventName>("x-echo-event", "The event's name.")
        .header::<Time>(
            "x-echo-event-time",
            "When the event was accepted: the same on every attempt. By it a receiver tells the older of two events.",
        )
        .header_sometimes::<SequenceNumber>(
            "x-echo-sequence",
            "Of an ordered endpoint: the delivery's number in its stream, from 1. A number that never arrives is a delivery that failed.",
        )
        .header::<Id>("x-echo-delivery", "The delivery's id.")
        .header::<AttemptNumber>("x-echo-attempt", "The number of the attempt, from 1.")
        .header::<OriginMark>(
            ORIGIN_HEADER,
            "The deployment that sent it: the same on all its requests. Pass it on if you forward the request, so that this API can \
             refuse a delivery that comes back to it (508).",
        )
        .header::<UserAgent>("user-agent", "Product and version.")
        .takes::<Envelope>(envelope());
    let schemas = std::mem::take(&mut described.schemas);
    let method = described.method.clone();
    let mut operation = described.into_operation(TAG);
    operation.responses = utoipa::openapi::Responses::new();
    for (status, about) in [
        ("2XX", "Delivered."),
        ("410", "The delivery fails at once, and the endpoint is disabled."),
        ("429", "Tried again on schedule; later if `retry-after` asks for that, up to an hour."),
        ("503", "Tried again on schedule; later if `retry-after` asks for that, up to an hour."),
        ("default", "Tried again on schedule."),
    ] {
        let response = ResponseBuilder::new().description(about).build();
        operation.responses.responses.insert(status.to_owned(), response.into());
    }
    (PathsBuilder::new().path("event", PathItem::new(method, operation)).build(), schemas)
}

pub(super) fn envelope() -> Value {
    json!({
        "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
        "event_name": "call.ended",
        "customer_id": "cus_29",
        "notification_id": null,
        "data": { "call_id": "call_7f3k2", "duration_seconds": 312, "cost": 1.1 },
    })
}
