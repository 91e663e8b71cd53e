use echo_shared::scope::Scope;
use serde_json::{Value, json};

use super::Resource;
use super::lists::DeliveryFields;
use super::operation::{Described, get, post};
use super::received::envelope;
use super::values::{GivenTime, KnownEventName, PageCursor, PageLimit};
use crate::routes::deliveries::body::{DeliveryBody, DeliveryState, DeliveryWithAttemptsBody};
use crate::routes::deliveries::page::PageBody;

const OF_PROJECT: &str = "/v1/projects/{projectId}/deliveries";
const ANYWHERE: &str = "/v1/projects/{projectId}/deliveries/{deliveryId}";
const DELIVERIES: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/deliveries";
const DELIVERY: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/deliveries/{deliveryId}";
const RETRY: &str = "/v1/projects/{projectId}/webhooks/{webhookId}/deliveries/{deliveryId}/retry";

fn list(path: &'static str, id: &str, summary: &str, about: &str) -> Described {
    get(path, id, summary)
        .needs(Scope::Read)
        .about(&format!(
            "Newest first, a page at a time: give `next_cursor` back, with the same filters, for the next. A page ends early \
             before its body would pass 3 MiB.{about}"
        ))
        .query::<DeliveryState>("status", "Only those in this status.")
        .query::<KnownEventName>("event_name", "Only those of this event.")
        .query::<GivenTime>("since", "Only those made at this moment or later.")
        .query::<GivenTime>("until", "Only those made before this moment.")
        .query::<PageLimit>("limit", "Most deliveries on a page.")
        .query::<PageCursor>("cursor", "Where to go on: `next_cursor` of the page before.")
        .query::<DeliveryFields>("fields", "Only these fields of each delivery. Without `payload`, a page is far smaller.")
        .gives::<PageBody>(200, "A page.", json!({ "data": [delivery()], "next_cursor": null }))
}

pub(super) fn resource() -> Resource {
    let of_project = list(
        OF_PROJECT,
        "listProjectDeliveries",
        "List a project's deliveries",
        " The deliveries of all endpoints that the project has; those of deleted endpoints stay listed on their events. A \
         delivery may be listed a moment late.",
    );
    let anywhere = get(ANYWHERE, "getProjectDelivery", "Find a delivery")
        .needs(Scope::Read)
        .about(
            "With its attempts, oldest first, of whichever endpoint of the project. A receiver has the id in the header \
             `x-echo-delivery`. Deliveries of deleted endpoints are not found.",
        )
        .gives::<DeliveryWithAttemptsBody>(200, "The delivery.", with_attempts())
        .refuses(&[404]);
    let list = list(DELIVERIES, "listDeliveries", "List deliveries", "");
    let show = get(DELIVERY, "getDelivery", "Show a delivery")
        .needs(Scope::Read)
        .about("With its attempts, oldest first.")
        .gives::<DeliveryWithAttemptsBody>(200, "The delivery.", with_attempts());
    let mut pending = delivery();
    pending["status"] = json!("pending");
    let retry = post(RETRY, "retryDelivery", "Retry a delivery")
        .needs(Scope::EndpointsWrite)
        .about(
            "One more attempt, not a new schedule. Only for a delivery that is `failed` or `success` and has had fewer than 50 \
             attempts, to an endpoint that is active. A body is not needed.",
        )
        .gives::<DeliveryBody>(202, "The attempt is under way.", pending)
        .refuses(&[409, 413, 415]);
    Resource {
        tag: "Deliveries",
        about: "One event to one endpoint, and every attempt at it. Kept 30 days (the setting `RetentionDays`).",
        routes: vec![of_project, anywhere, list, show, retry],
    }
}

fn delivery() -> Value {
    json!({
        "id": "0197c2a4-5e3d-7e1d-a448-42ce35fb64f3",
        "webhook_endpoint_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
        "project_id": "0197c2a4-1c11-790f-b01a-1a8a16a36aad",
        "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
        "event_name": "call.ended",
        "status": "success",
        "attempt_count": 1,
        "next_retry_at": null,
        "payload": envelope(),
        "created_at": "2025-06-30T21:00:41.405Z",
        "updated_at": "2025-06-30T21:00:41.610Z",
        "failure_reason": null,
        "last_attempt": { "http_status": 200, "error_message": null, "created_at": "2025-06-30T21:00:41.525Z" },
    })
}

fn with_attempts() -> Value {
    let mut delivery = delivery();
    delivery["attempts"] = json!([{
        "id": "0197c2a4-5eb5-7f86-bc61-1f429d238f60",
        "delivery_id": "0197c2a4-5e3d-7e1d-a448-42ce35fb64f3",
        "attempt_number": 1,
        "triggered_by": "auto",
        "http_status": 200,
        "response_body": "ok",
        "duration_ms": 84,
        "success": true,
        "error_message": null,
        "created_at": "2025-06-30T21:00:41.525Z",
        "url": "https://your-server.com/webhooks/echo",
        "response_truncated": false,
        "location": null,
    }]);
    delivery
}
