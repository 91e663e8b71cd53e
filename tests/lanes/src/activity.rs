//! The activity list beside the rows that it tells of: no change without its entry, no entry without its change, and no
//! change with two. A world that came to rest has all rows of each project, or none.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::dynamo::Dynamo;

/// The actions that a thing has at most one entry of.
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

const REPLAY: &str = "endpoint.replay_started";

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

struct Entry {
    action: String,
    /// The time in its id, a UUIDv7, in milliseconds.
    at: u64,
}

impl Entry {
    fn of(row: &Value) -> Self {
        let id = text(row, "id").replace('-', "");
        let at = id.get(..12).and_then(|time| u64::from_str_radix(time, 16).ok());
        Self { action: text(row, "action").to_owned(), at: at.unwrap_or_default() }
    }
}

/// The entries of each thing, oldest first.
struct Told(HashMap<String, Vec<Entry>>);

impl Told {
    fn of(dynamo: &Dynamo) -> Self {
        let mut entries = dynamo.rows("audit");
        entries.sort_by_key(|entry| text(entry, "id").to_owned());
        let mut told: HashMap<String, Vec<Entry>> = HashMap::new();
        for entry in &entries {
            told.entry(text(entry, "resource_id").to_owned()).or_default().push(Entry::of(entry));
        }
        Self(told)
    }

    fn of_thing(&self, id: &str) -> &[Entry] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }

    fn times(&self, id: &str, action: &str) -> usize {
        self.of_thing(id).iter().filter(|entry| entry.action == action).count()
    }

    fn has(&self, id: &str, action: &str) -> bool {
        self.times(id, action) > 0
    }

    /// Whether the latest entry about an endpoint's status agrees with its row.
    fn agrees(&self, endpoint: &Value) -> bool {
        let status = ["endpoint.enabled", "endpoint.disabled"];
        let of = self.of_thing(text(endpoint, "id")).iter();
        let latest = of.rev().find(|entry| status.contains(&entry.action.as_str()));
        match (latest, endpoint["status"] == "disabled") {
            // It is as it was made, and the service makes none disabled.
            (None, is_disabled) => !is_disabled || endpoint["disabled_reason"] == "manual",
            (Some(latest), true) => latest.action == status[1] && endpoint["disabled_at"] == latest.at,
            (Some(latest), false) => latest.action == status[0],
        }
    }
}

/// The rows of the things that entries tell of, by their ids.
struct Rows {
    projects: HashMap<String, Value>,
    /// Their settings.
    endpoints: HashMap<String, Value>,
    deleted_endpoints: HashMap<String, Value>,
    api_keys: HashMap<String, Value>,
    portal_links: HashMap<String, Value>,
    erased_events: HashMap<String, Value>,
    /// How many each endpoint has.
    replays: HashMap<String, usize>,
}

impl Rows {
    fn of(dynamo: &Dynamo) -> Self {
        let by = |table: &str, id: &str, is_wanted: fn(&Value) -> bool| -> HashMap<String, Value> {
            let rows = dynamo.rows(table).into_iter().filter(is_wanted);
            rows.map(|row| (text(&row, id).to_owned(), row)).collect()
        };
        let mut replays = HashMap::new();
        for row in dynamo.rows("replays").iter().filter(|row| is_replay(row)) {
            *replays.entry(text(row, "endpoint_id").to_owned()).or_default() += 1;
        }
        Self {
            // Another row counts the projects of an account.
            projects: by("projects", "id", |row| !text(row, "account_id").starts_with("count|")),
            endpoints: by("endpoints", "id", |row| row["part"] == "settings"),
            deleted_endpoints: by("replays", "id", |row| text(row, "endpoint_id").starts_with("former#")),
            api_keys: by("api_keys", "id", |_| true),
            portal_links: by("sessions", "id", |row| text(row, "account_id").starts_with("portal#")),
            erased_events: by("events", "event_id", |row| row["payload"].is_null()),
            replays,
        }
    }

    /// The keys that were made with their projects.
    fn first_keys(&self) -> HashSet<&str> {
        let mut first: HashMap<&str, &str> = HashMap::new();
        for row in self.api_keys.values() {
            let (project, id) = (text(row, "project_id"), text(row, "id"));
            first.entry(project).and_modify(|first| *first = id.min(first)).or_insert(id);
        }
        first.into_values().collect()
    }

    /// The changes that rows show and no entry tells of.
    fn untold(&self, told: &Told) -> Vec<String> {
        let mut found = Vec::new();
        let mut wants = |action: &str, rows: &HashMap<String, Value>, shows: &dyn Fn(&Value) -> bool| {
            let untold = rows.iter().filter(|(id, row)| shows(row) && !told.has(id, action));
            found.extend(untold.map(|(_, row)| format!("no entry says {action} of {row}")));
        };
        let first_keys = self.first_keys();
        wants("project.created", &self.projects, &|_| true);
        wants("endpoint.created", &self.endpoints, &|_| true);
        wants("endpoint.secret_rotated", &self.endpoints, &|row| !row["previous_secret"].is_null());
        wants("endpoint.deleted", &self.deleted_endpoints, &|_| true);
        wants("api_key.created", &self.api_keys, &|row| !first_keys.contains(text(row, "id")));
        wants("api_key.revoked", &self.api_keys, &|row| row["status"] == "revoked");
        wants("portal_link.created", &self.portal_links, &|_| true);
        wants("portal_link.redeemed", &self.portal_links, &|row| !row["redeemed_at"].is_null());
        wants("event.payload_erased", &self.erased_events, &|_| true);
        wants("what its status is", &self.endpoints, &|row| !told.agrees(row));
        for (id, count) in &self.replays {
            let times = told.times(id, REPLAY);
            if times < *count {
                found.push(format!("{times} entries tell of {count} replays of {id}"));
            }
        }
        found
    }

    /// Whether the rows agree with an entry, or show a later end of the thing.
    fn show(&self, id: &str, entry: &Entry, told: &Told) -> bool {
        let is_so = |rows: &HashMap<String, Value>, is: &dyn Fn(&Value) -> bool| rows.get(id).is_some_and(is);
        let is_since = |row: &Value| row["updated_at"].as_u64().is_some_and(|updated| updated >= entry.at);
        let is_deleted = told.has(id, "endpoint.deleted");
        let is_ended = told.has(id, "portal_link.ended");
        match entry.action.as_str() {
            "project.created" => self.projects.contains_key(id),
            "endpoint.created" | "endpoint.changed" | "endpoint.enabled" | "endpoint.disabled" => {
                is_deleted || is_so(&self.endpoints, &is_since)
            }
            "endpoint.secret_rotated" => {
                let is_rotated = |row: &Value| !row["previous_secret"].is_null() && is_since(row);
                is_deleted || is_so(&self.endpoints, &is_rotated)
            }
            REPLAY => told.times(id, REPLAY) <= self.replays.get(id).copied().unwrap_or_default(),
            "endpoint.deleted" => !self.endpoints.contains_key(id) && self.deleted_endpoints.contains_key(id),
            "api_key.created" => self.api_keys.contains_key(id),
            "api_key.revoked" => is_so(&self.api_keys, &|row| row["status"] == "revoked"),
            "portal_link.created" => is_ended || self.portal_links.contains_key(id),
            "portal_link.redeemed" => {
                is_ended || is_so(&self.portal_links, &|row| !row["redeemed_at"].is_null())
            }
            "portal_link.ended" => !self.portal_links.contains_key(id),
            "event.payload_erased" => self.erased_events.contains_key(id),
            _ => false,
        }
    }
}

/// Whether a row of the table of replays is a replay: others name the latest one, an endpoint that is deleted, or a stream.
fn is_replay(row: &Value) -> bool {
    // Other rows stand under `former#<project>` and `streams#<endpoint>`.
    row["id"] != "latest" && !text(row, "endpoint_id").contains('#')
}

/// The contradictions between the entries and the rows.
#[must_use]
pub fn contradictions(dynamo: &Dynamo) -> Vec<String> {
    let (told, rows) = (Told::of(dynamo), Rows::of(dynamo));
    let mut found = rows.untold(&told);
    for (id, entries) in &told.0 {
        for once in ONCE {
            let times = told.times(id, once);
            if times > 1 {
                found.push(format!("{times} entries say {once} of {id}"));
            }
        }
        let unmade = entries.iter().filter(|entry| !rows.show(id, entry, &told));
        found.extend(unmade.map(|entry| format!("an entry says {} of {id}, and no row does", entry.action)));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// A moment in milliseconds, as a UUIDv7 has it in front.
    const AT: u64 = 0x019d_0000_0000;

    /// An entry that was written so many milliseconds after that moment.
    fn entry(after: u64, action: &str, of: &str) -> (&'static str, Value) {
        let id = format!("{:08x}-{:04x}-7000-8000-000000000000", (AT + after) >> 16, (AT + after) & 0xffff);
        ("audit", json!({ "project_id": "p", "id": id, "action": action, "resource_id": of }))
    }

    fn endpoint(id: &str, more: &Value) -> (&'static str, Value) {
        let mut row = json!({ "id": id, "part": "settings", "status": "active", "updated_at": AT + 9 });
        row.as_object_mut()
            .into_iter()
            .for_each(|row| row.extend(more.as_object().cloned().unwrap_or_default()));
        ("endpoints", row)
    }

    /// A project with something of everything, whose entries are whole.
    fn rows() -> Vec<(&'static str, Value)> {
        vec![
            ("projects", json!({ "account_id": "a", "id": "p" })),
            ("projects", json!({ "account_id": "count|a", "id": "added", "added": 0 })),
            entry(0, "project.created", "p"),
            endpoint("rotated", &json!({ "previous_secret": "sealed" })),
            entry(1, "endpoint.created", "rotated"),
            entry(2, "endpoint.changed", "rotated"),
            entry(3, "endpoint.secret_rotated", "rotated"),
            endpoint("disabled", &json!({ "status": "disabled", "disabled_at": AT + 6 })),
            entry(4, "endpoint.created", "disabled"),
            entry(6, "endpoint.disabled", "disabled"),
            endpoint("enabled", &json!({})),
            entry(7, "endpoint.created", "enabled"),
            entry(8, "endpoint.disabled", "enabled"),
            entry(9, "endpoint.enabled", "enabled"),
            ("replays", json!({ "endpoint_id": "enabled", "id": "latest" })),
            ("replays", json!({ "endpoint_id": "enabled", "id": "replay" })),
            entry(10, REPLAY, "enabled"),
            ("replays", json!({ "endpoint_id": "former#p", "id": "deleted" })),
            entry(11, "endpoint.created", "deleted"),
            entry(12, "endpoint.deleted", "deleted"),
            ("api_keys", json!({ "project_id": "p", "id": "key-1", "status": "active" })),
            ("api_keys", json!({ "project_id": "p", "id": "key-2", "status": "revoked" })),
            entry(13, "api_key.created", "key-2"),
            entry(14, "api_key.revoked", "key-2"),
            ("sessions", json!({ "account_id": "portal#p", "id": "link", "redeemed_at": AT })),
            entry(15, "portal_link.created", "link"),
            entry(16, "portal_link.redeemed", "link"),
            entry(17, "portal_link.created", "ended"),
            entry(18, "portal_link.ended", "ended"),
            ("events", json!({ "partition": "p", "event_id": "event" })),
            entry(19, "event.payload_erased", "event"),
        ]
    }

    fn typed(row: &Value) -> Value {
        let typed = |value: &Value| match value {
            Value::Number(number) => json!({ "N": number.to_string() }),
            text => json!({ "S": text }),
        };
        let fields = row.as_object().into_iter().flatten();
        Value::Object(fields.map(|(name, value)| (name.clone(), typed(value))).collect::<Map<_, _>>())
    }

    fn found<'a>(rows: impl IntoIterator<Item = &'a (&'static str, Value)>) -> Vec<String> {
        let dynamo = Dynamo::new(false);
        rows.into_iter().for_each(|(table, row)| dynamo.put(table, &typed(row)));
        contradictions(&dynamo)
    }

    #[test]
    fn entries_that_are_whole_contradict_nothing() {
        assert_eq!(found(&rows()), Vec::<String>::new());
    }

    #[test]
    fn each_entry_and_each_row_that_is_missing_is_found() {
        let rows = rows();
        // A row does not show a change that a later change covers.
        let covered = [
            ("endpoint.changed", "rotated"),
            ("endpoint.disabled", "enabled"),
            ("endpoint.created", "deleted"),
            ("portal_link.created", "ended"),
        ];
        let is_unseen = |row: &Value| {
            covered.contains(&(text(row, "action"), text(row, "resource_id")))
                || ["latest", "added", "key-1"].contains(&text(row, "id"))
        };
        for (n, (table, row)) in rows.iter().enumerate() {
            let others = rows.iter().enumerate().filter(|(other, _)| *other != n).map(|(_, row)| row);
            assert_eq!(found(others).is_empty(), is_unseen(row), "without the row in {table}: {row}");
        }
    }

    #[test]
    fn an_entry_of_a_change_that_was_not_made_is_found() {
        for (action, of) in [
            ("project.created", "q"),
            ("endpoint.created", "none"),
            ("endpoint.changed", "enabled"),
            ("endpoint.secret_rotated", "enabled"),
            ("endpoint.disabled", "enabled"),
            ("endpoint.deleted", "enabled"),
            (REPLAY, "rotated"),
            ("api_key.created", "none"),
            ("api_key.revoked", "key-1"),
            ("portal_link.created", "none"),
            ("portal_link.redeemed", "none"),
            ("portal_link.ended", "link"),
            ("event.payload_erased", "none"),
            ("something.else", "p"),
        ] {
            let rows = rows().into_iter().chain([entry(99, action, of)]).collect::<Vec<_>>();
            assert_ne!(found(&rows), Vec::<String>::new(), "{action} of {of}");
        }
    }
}
