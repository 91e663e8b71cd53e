use echo_shared::scope::Scope;
use serde_json::{Value, json};

use super::Resource;
use super::operation::get;
use super::values::{GivenTime, PageCursor, PageLimit};
use crate::routes::audit::AuditPageBody;

pub(super) fn resource() -> Resource {
    let list = get("/v1/projects/{projectId}/audit", "listActivity", "List the activity")
        .needs(Scope::KeysWrite)
        .about(
            "The changes of endpoints, keys, secrets and portal links, each with its maker, address and time, newest first, a page at a time: \
             give `next_cursor` back, with the same filters, for the next. An entry tells the names of the fields that were changed, and no value. A call that was refused, or that \
             set each field to the value that it had, leaves no entry.",
        )
        .query::<GivenTime>("since", "Only changes at this moment or later.")
        .query::<GivenTime>("until", "Only changes before this moment.")
        .query::<PageLimit>("limit", "Most entries on a page.")
        .query::<PageCursor>("cursor", "Where to go on: `next_cursor` of the page before.")
        .gives::<AuditPageBody>(200, "A page.", json!({ "data": [entry()], "next_cursor": null }));
    Resource {
        tag: "Activity",
        about: "The changes of a project, each with its maker, address and time. Kept 30 days (the setting `RetentionDays`).",
        routes: vec![list],
    }
}

fn entry() -> Value {
    json!({
        "id": "0197c2a4-5e3d-7a52-8c41-0d5fb1a2c3e4",
        "action": "endpoint.changed",
        "actor": { "type": "api_key", "id": "0197c2a4-1c12-7a0e-b5f1-2e9a1c4d6b70" },
        "resource_id": "0197c2a4-5c30-7aaa-9bbc-79638b7b01e0",
        "fields": ["url", "headers"],
        "from": "203.0.113.9",
        "created_at": "2025-06-30T21:00:41.405Z",
    })
}
