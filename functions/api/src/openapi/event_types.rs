use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Resource;
use super::operation::{delete, get, put};
use super::values::ExampleData;
use crate::routes::event_types::EventTypeBody;

/// An account's words on a name. An absent field is null.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
struct EventTypeToPut {
    #[schema(min_length = 1, max_length = 256)]
    description: Option<String>,
    #[schema(value_type = Option<ExampleData>)]
    example: Option<Value>,
    #[schema(default = false)]
    deprecated: Option<bool>,
}

const TYPES: &str = "/v1/event-types";
const TYPE: &str = "/v1/event-types/{name}";

pub(super) fn resource() -> Resource {
    let list = get(TYPES, "listEventTypes", "List event types")
        .for_any_key()
        .about(
            "Every name that events may have: those of this deployment, then those of the account, by name. A name that was put within the \
             last 10 seconds may still be refused elsewhere.",
        )
        .lists::<EventTypeBody>("The types.", event_type());
    let show = get(TYPE, "getEventType", "Get an event type")
        .for_any_key()
        .gives::<EventTypeBody>(200, "The type.", event_type())
        .refuses(&[404]);
    let put = put(TYPE, "putEventType", "Make or replace an event type")
        .secured_only("accessToken")
        .about(
            "It holds for all projects of the account, and within 10 seconds everywhere: for events however they come in, for the `events` of \
             endpoints, and for filters. Wildcards of endpoints cover it. A field that the body leaves out is emptied. A name of this deployment \
             gets a description and an example in the same way. An account has at most 500 types.",
        )
        .may_take::<EventTypeToPut>(json!({
            "description": "An order was paid in full",
            "example": { "order_id": "o-7", "total": 12.5 },
        }))
        .gives::<EventTypeBody>(200, "The type.", event_type())
        .refuses(&[403, 409]);
    let delete = delete(TYPE, "deleteEventType", "Remove an event type")
        .secured_only("accessToken")
        .about(
            "Within 10 seconds its events are refused everywhere, unless it is a name of this deployment: that loses its description and its \
             example. Deliveries under way go on, and endpoints stay subscribed to the name. A name of this deployment on which the account \
             has said nothing is a 409.",
        )
        .answers_nothing(204, "Removed.")
        .refuses(&[403, 404, 409]);
    Resource {
        tag: "Event types",
        about: "The names that an account's events may have, with descriptions and examples.",
        routes: vec![list, show, put, delete],
    }
}

fn event_type() -> Value {
    json!({
        "name": "order.paid",
        "configured": false,
        "description": "An order was paid in full",
        "example": { "order_id": "o-7", "total": 12.5 },
        "deprecated": false,
        "updated_at": "2025-06-30T21:00:24.465Z",
    })
}
