use serde_json::json;
use utoipa::ToSchema;

use super::Resource;
use super::operation::post;
use super::values::{GivenId, KnownEventName};
use crate::routes::events::AcceptedBody;

/// An event to deliver.
#[derive(Debug, ToSchema)]
pub struct NewEvent {
    #[schema(value_type = KnownEventName)]
    pub event_name: String,
    /// Unique in the project, and what makes sending again safe. Made by the service when absent.
    #[schema(value_type = GivenId, required = false)]
    pub event_id: String,
    /// Whom it is about, in your own terms.
    #[schema(min_length = 1, max_length = 128)]
    pub customer_id: Option<String>,
    /// Which notification it is, in your own terms.
    #[schema(min_length = 1, max_length = 128)]
    pub notification_id: Option<String>,
    /// What receivers get, with your bytes of it kept as they are. Nested at most 128 deep; `{}` when absent.
    #[schema(value_type = Object, required = false)]
    pub data: serde_json::Value,
}

pub(super) fn resource() -> Resource {
    let about = "202 means durable: each delivery that it lists ends as `success` or `failed` with no one's help. Each active \
                 endpoint that is subscribed to the name gets one; without any, the list is empty.\n\n\
                 The same `event_id` with the same content gives the same answer again, with `duplicate` true, and starts \
                 nothing twice; with other content it is refused with 409. The body may be 256 KiB.";
    let create = post("/v1/projects/{projectId}/events", "createEvent", "Post an event")
        .about(about)
        .takes::<NewEvent>(json!({
            "event_name": "call.ended",
            "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
            "customer_id": "cus_29",
            "data": { "call_id": "call_7f3k2", "duration_seconds": 312, "cost": 1.1 },
        }))
        .gives::<AcceptedBody>(
            202,
            "Accepted, and durable.",
            json!({
                "event_id": "0197c2a4-5e3d-71c8-9bfc-e69da170d411",
                "event_name": "call.ended",
                "duplicate": false,
                "deliveries": [{
                    "id": "0197c2a4-5e3d-7e1d-a448-42ce35fb64f3",
                    "webhook_endpoint_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
                }],
            }),
        )
        .refuses(&[409]);
    Resource { tag: "Events", about: "What happened, posted by your backend.", routes: vec![create] }
}
