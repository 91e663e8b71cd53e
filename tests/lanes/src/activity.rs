//! The activity list beside the rows that it tells of: no change without its entry, and no change with two.

use std::collections::HashMap;

use serde_json::Value;

use crate::dynamo::Dynamo;

/// What can happen to a thing once.
const ONCE: [&str; 9] = [
    "project.created",
    "endpoint.created",
    "endpoint.deleted",
    "api_key.created",
    "api_key.revoked",
    "portal_link.created",
    "portal_link.redeemed",
    "portal_link.ended",
    "event.payload_erased",
];

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// What the activity lists say of each thing, oldest first.
struct Told(HashMap<String, Vec<String>>);

impl Told {
    fn of(dynamo: &Dynamo) -> Self {
        let mut entries = dynamo.rows("audit");
        entries.sort_by_key(|entry| text(entry, "id").to_owned());
        let mut told: HashMap<String, Vec<String>> = HashMap::new();
        for entry in &entries {
            let of = told.entry(text(entry, "resource_id").to_owned()).or_default();
            of.push(text(entry, "action").to_owned());
        }
        Self(told)
    }

    fn of_thing(&self, id: &str) -> &[String] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }

    fn has(&self, id: &str, action: &str) -> bool {
        self.of_thing(id).iter().any(|told| told == action)
    }

    /// Whether the latest entry about an endpoint's status says what its row says.
    fn agrees(&self, endpoint: &Value) -> bool {
        let status = ["endpoint.enabled", "endpoint.disabled"];
        let mut of = self.of_thing(text(endpoint, "id")).iter().map(String::as_str);
        match of.rfind(|action| status.contains(action)) {
            Some(latest) => (latest == "endpoint.disabled") == (endpoint["status"] == "disabled"),
            // It is as it was made, and the service makes none disabled.
            None => endpoint["status"] == "active" || endpoint["disabled_reason"] == "manual",
        }
    }
}

/// What the entries and the rows have against each other.
#[must_use]
pub fn contradictions(dynamo: &Dynamo) -> Vec<String> {
    let told = Told::of(dynamo);
    let mut found = Vec::new();
    for (id, actions) in &told.0 {
        for once in ONCE {
            let times = actions.iter().filter(|action| *action == once).count();
            if times > 1 {
                found.push(format!("{times} entries say {once} of {id}"));
            }
        }
    }
    let mut wants = |row: &Value, id: &str, action: &str| {
        if !told.has(id, action) {
            found.push(format!("no entry says {action} of {row}"));
        }
    };
    for row in dynamo.rows("api_keys").iter().filter(|row| row["status"] == "revoked") {
        wants(row, text(row, "id"), "api_key.revoked");
    }
    for row in dynamo.rows("events").iter().filter(|row| row["payload"].is_null()) {
        wants(row, text(row, "event_id"), "event.payload_erased");
    }
    for row in dynamo.rows("sessions").iter().filter(|row| text(row, "account_id").starts_with("portal#")) {
        wants(row, text(row, "id"), "portal_link.created");
        if !row["redeemed_at"].is_null() {
            wants(row, text(row, "id"), "portal_link.redeemed");
        }
    }
    for row in dynamo.rows("replays").iter().filter(|row| text(row, "endpoint_id").starts_with("former#")) {
        wants(row, text(row, "id"), "endpoint.deleted");
    }
    for row in dynamo.rows("endpoints").iter().filter(|row| row["part"] == "settings") {
        wants(row, text(row, "id"), "endpoint.created");
        if !told.agrees(row) {
            wants(row, text(row, "id"), "the status");
        }
    }
    found
}
