use echo_shared::scope::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::lists::EventFields;
use super::operation::{delete, get, post};
use super::received::envelope;
use super::values::{EventData, GivenId, GivenTime, KnownEventName, PageCursor, PageLimit};
use crate::routes::events::AcceptedBody;
use crate::routes::events::batch::BatchBody;
use crate::routes::events::body::EventBody;
use crate::routes::events::page::EventPageBody;

const EVENTS: &str = "/v1/projects/{projectId}/events";
const BATCH: &str = "/v1/projects/{projectId}/events/batch";
const EVENT: &str = "/v1/projects/{projectId}/events/{eventId}";
const PAYLOAD: &str = "/v1/projects/{projectId}/events/{eventId}/payload";
const TEST: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/test";

/// An event to deliver.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewEvent {
    #[schema(value_type = KnownEventName)]
    pub event_name: String,
    /// Unique in the project. With an id of your own it is safe to send the event again. The service makes an id when this is absent.
    #[schema(value_type = Option<GivenId>)]
    pub event_id: Option<String>,
    /// The customer that it concerns, in your own terms.
    #[schema(min_length = 1, max_length = 128)]
    pub customer_id: Option<String>,
    /// The notification that it belongs to, in your own terms.
    #[schema(min_length = 1, max_length = 128)]
    pub notification_id: Option<String>,
    /// Receivers get these very bytes. Nested at most 128 deep; `{}` when absent.
    #[schema(value_type = Option<EventData>)]
    pub data: Option<serde_json::Value>,
}

/// Events to deliver. Another field is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventBatch {
    #[schema(min_items = 1, max_items = 100)]
    pub events: Vec<NewEvent>,
}

/// The sample to send.
#[derive(Debug, ToSchema)]
pub struct TestEvent {
    /// When absent, the first event that the endpoint is subscribed to, or the first that its wildcards cover.
    #[schema(value_type = Option<KnownEventName>)]
    pub event_name: Option<String>,
}

pub(super) fn resource() -> Resource {
    let about = "202 means durable: each delivery that it lists ends as `success` or `failed` with no one's help. Each active \
                 endpoint that is subscribed to the name gets one; without any, the list is empty.\n\n\
                 The same `event_id` with the same content gives the same answer again, with `duplicate` true, and starts \
                 nothing twice; with other content it is refused with 409. The content is the \
                 same only if `data` is equal byte for byte. The body may be 256 KiB.";
    let create = post(EVENTS, "createEvent", "Post an event")
        .needs(Scope::EventsWrite)
        .about(about)
        .takes::<NewEvent>(json!({
            "event_name": "call.ended",
            "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
            "customer_id": "cus_29",
            "data": { "call_id": "call_7f3k2", "duration_seconds": 312, "cost": 1.1 },
        }))
        .gives::<AcceptedBody>(202, "Accepted, and durable.", accepted())
        .refuses(&[409, 429]);
    let batch = post(BATCH, "createEvents", "Post many events")
        .needs(Scope::EventsWrite)
        .about(
            "Each event stands for itself: `results` has one result for each, in their order. `status` is 202 for an event that is durable, \
             with the fields that it would get by itself, and otherwise the status of its refusal, with the `message`. An event with a 429 \
             or a 503 can be sent again; without an `event_id`, send no event again that has a 202.\n\n\
             The same `event_id` twice is a duplicate if the content is equal, and otherwise a 409. A field that an event does not have \
             is a 400. An event may be 256 KiB, and the body 1 MiB. All events of a request together make at most 1,000 deliveries, \
             and the answer comes within ten seconds: the events beyond that have a 503.",
        )
        .takes::<EventBatch>(json!({ "events": [
            { "event_name": "call.ended", "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411", "data": { "call_id": "call_7f3k2" } },
            { "event_name": "call.endet", "event_id": "0197c2a4-5e3d-7ff2-8a6c-0be8f2a3c9d1" },
        ] }))
        .gives::<BatchBody>(200, "What became of each event.", results());
    let list = get(EVENTS, "listEvents", "List events")
        .needs(Scope::Read)
        .about(
            "Newest first, a page at a time: give `next_cursor` back, with the same filters, for the next. A page ends early \
             before its body would pass 3 MiB. An event whose `event_id` is not a UUIDv7 of about when it was posted may be listed \
             a moment late; by its id it is there at once.",
        )
        .query::<KnownEventName>("event_name", "Only those of this name.")
        .query::<GivenTime>("since", "Only those created at this moment or later.")
        .query::<GivenTime>("until", "Only those created before this moment.")
        .query::<PageLimit>("limit", "Most events on a page.")
        .query::<PageCursor>("cursor", "Where to go on: `next_cursor` of the page before.")
        .query::<EventFields>("fields", "Only these fields of each event. Without `payload`, a page is far smaller.")
        .gives::<EventPageBody>(200, "A page.", json!({ "data": [event()], "next_cursor": null }));
    let show = get(EVENT, "getEvent", "Show an event")
        .needs(Scope::Read)
        .about("With its deliveries, those to endpoints deleted since among them, and the endpoints that were skipped.")
        .gives::<EventBody>(200, "The event.", event())
        .refuses(&[404]);
    let erase = delete(PAYLOAD, "eraseEventPayload", "Erase an event's payload")
        .needs_outside_the_portal(Scope::EndpointsWrite)
        .about(
            "The payload with `customer_id` and `notification_id`, and the receivers' answers, are gone from the event and its deliveries, those \
             to endpoints deleted since among them. A delivery that waits ends `failed` (`erased`), and none can be retried. Ids, times and \
             statuses stay, and the `event_id` stays taken: the same id again is a 409. Once more is a 204 too.",
        )
        .answers_nothing(204, "The payload is erased.")
        .refuses(&[404]);
    let test = post(TEST, "sendTestEvent", "Send a test event")
        .needs(Scope::EndpointsWrite)
        .about(
            "One sample event to this endpoint alone, whether or not it is subscribed to the name. It is signed, retried and listed \
             like any other. A body is not needed.",
        )
        .may_take::<TestEvent>(json!({ "event_name": "call.ended" }))
        .gives::<AcceptedBody>(202, "Accepted, and durable.", accepted())
        .refuses(&[409, 429]);
    let about = "Events that your backend posted. Kept 30 days (the setting `RetentionDays`).";
    Resource { tag: "Events", about, routes: vec![create, batch, list, show, erase, test] }
}

fn accepted() -> Value {
    json!({
        "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
        "event_name": "call.ended",
        "duplicate": false,
        "deliveries": [{
            "id": "0197c2a4-5e3d-7e1d-a448-42ce35fb64f3",
            "webhook_endpoint_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
        }],
    })
}

fn results() -> Value {
    let mut first = accepted();
    first["status"] = json!(202);
    let message = "event_name must be one of: call.started, call.ended, call.summary";
    json!({ "results": [first, { "status": 400, "message": message }] })
}

fn event() -> Value {
    json!({
        "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
        "event_name": "call.ended",
        "project_id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
        "payload": envelope(),
        "created_at": "2025-06-30T21:00:41.405Z",
        "deliveries": [{
            "id": "0197c2a4-5e3d-7e1d-a448-42ce35fb64f3",
            "webhook_endpoint_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
            "status": "success",
            "attempt_count": 1,
            "next_retry_at": null,
            "created_at": "2025-06-30T21:00:41.405Z",
            "updated_at": "2025-06-30T21:00:41.610Z",
            "failure_reason": null,
            "last_attempt": { "http_status": 200, "error_message": null, "created_at": "2025-06-30T21:00:41.525Z" },
        }],
        "skipped": [{
            "webhook_endpoint_id": "0197c2a4-5c31-7d02-8e17-1f0b9c4a7d33",
            "reason": "not_subscribed",
        }],
    })
}
