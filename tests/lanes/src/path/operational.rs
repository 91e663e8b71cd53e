//! What the operator is told, by a webhook and on a bus: every event that is due, and each as one event however often it
//! had to be told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::run::Run;

/// The operator's project: here a row of an endpoint is all of it.
pub(super) const PROJECT: &str = "01a20259-3a57-7c63-9fb6-0c94e1b2e278";
const ENDPOINT: &str = "01a20259-3a57-7c63-9fb6-0c94e1b2e279";
pub(super) const BUS: &str = "default";

/// Where the operator's endpoint is, at the lane's receiver.
const PATH: &str = "/operator";

/// Adds the operator's endpoint, subscribed to everything.
pub(super) fn set_up(run: &Run<'_>) {
    let Some(mut row) = endpoint(run) else { return };
    let names = ["delivery.failed", "endpoint.disabled", "endpoint.recovered"];
    row["project_id"] = json!({ "S": PROJECT });
    row["id"] = json!({ "S": ENDPOINT });
    row["url"] = json!({ "S": format!("http://{}{PATH}", run.lane.receiver.address()) });
    row["events"] = json!({ "L": names.map(|name| json!({ "S": name })) });
    row["event_names_ever"] = json!({ "SS": names });
    run.lane.aws.dynamo.put("endpoints", &row);
}

/// As if we had disabled the endpoint and its owner had made it active again.
pub(super) fn set_down(run: &Run<'_>) {
    let Some(mut row) = endpoint(run) else { return };
    row["is_down"] = json!({ "BOOL": true });
    run.lane.aws.dynamo.put("endpoints", &row);
}

fn endpoint(run: &Run<'_>) -> Option<Value> {
    let rows = run.lane.aws.dynamo.items("endpoints");
    rows.into_iter().find(|row| row["id"]["S"] == run.world.endpoints[0].as_str())
}

/// Each of `names` was told once, in an event that its endpoint has and in one or more on the bus.
pub(super) fn check(run: &Run<'_>, names: &[&str]) {
    let wanted: BTreeMap<&str, usize> = names.iter().map(|name| (*name, 1)).collect();
    let mut received: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for hit in run.lane.receiver.hits().into_iter().filter(|hit| hit.path == PATH) {
        let name = hit.headers.get("x-echo-event").cloned().unwrap_or_default();
        received.entry(name).or_default().insert(hit.event_id);
    }
    let received: BTreeMap<&str, usize> =
        received.iter().map(|(name, ids)| (name.as_str(), ids.len())).collect();
    if received != wanted {
        run.violation(format!("lost or doubled: received were {received:?} instead of {wanted:?}"));
    }
    let on_the_bus = run.lane.aws.bus();
    let put: BTreeSet<&str> = on_the_bus.iter().filter_map(|entry| entry["DetailType"].as_str()).collect();
    if put != wanted.keys().copied().collect() {
        run.violation(format!("lost: on the bus are {put:?} instead of {names:?}"));
    }
    for row in run.lane.aws.dynamo.rows("deliveries") {
        let is_left = row["status"] != "success" && row["project_id"] == PROJECT;
        if is_left || row["uncounted"] == true {
            run.violation(format!("left over: {row}"));
        }
    }
}
