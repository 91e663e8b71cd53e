//! Operational events: the operator gets each of them by a webhook and on a bus, and another endpoint of the project
//! gets it too, as one event even if the function had to tell it several times.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use echo_shared::event_name::EventName;
use serde_json::{Value, json};

use super::{Path, hold_back};
use crate::lane::{DEAD, FIRST_ATTEMPTS};
use crate::receiver::Behaviour;
use crate::run::{Ending, Run};
use crate::sealed;

/// The operator's project. It has no rows but its routing row and its endpoint's.
const PROJECT: &str = "01a20259-3a57-7c63-9fb6-0c94e1b2e278";
const ENDPOINT: &str = "01a20259-3a57-7c63-9fb6-0c94e1b2e279";
const BUS: &str = "default";

/// Another endpoint of the project whose delivery ends.
const SIBLING: &str = "01a20259-3a57-7c63-9fb6-0c94e1b2e27a";

/// Where these endpoints are, at the lane's receiver.
const PATHS: [&str; 2] = ["/operator", "/sibling"];

const NAMES: [&str; 4] = ["delivery.failed", "endpoint.failing", "endpoint.disabled", "endpoint.recovered"];

/// Adds the operator's endpoint and the sibling, both subscribed to everything, with the entries of their making.
fn add_listeners(run: &Run<'_>) {
    let routes = json!({ "copy": { "S": format!("{PROJECT}#0") }, "shards": { "N": "1" },
        "endpoints": { "M": {} } });
    run.lane.aws.dynamo.put("routes", &routes);
    add_listener(run, PROJECT, ENDPOINT, PATHS[0]);
    add_listener(run, &run.world.project_id, SIBLING, PATHS[1]);
}

fn add_listener(run: &Run<'_>, project: &str, id: &str, path: &str) {
    let dynamo = &run.lane.aws.dynamo;
    for mut row in endpoint(run) {
        let original = row.clone();
        row["id"] = json!({ "S": id });
        if row["part"]["S"] == "settings" {
            row["signing_secret"] = sealed::secret_for(&original, &sealed::keys(&["k1"]), project, id);
            row["project_id"] = json!({ "S": project });
            row["url"] = json!({ "S": format!("http://{}{path}", run.lane.receiver.address()) });
            row["events"] = json!({ "L": NAMES.map(|name| json!({ "S": name })) });
            row["buckets_ever"] =
                json!({ "NS": NAMES.map(|name| EventName::from_stored(name).bucket().to_string()) });
        }
        dynamo.put("endpoints", &row);
    }
    let entry = json!({ "project_id": { "S": project }, "id": { "S": id }, "resource_id": { "S": id },
        "action": { "S": "endpoint.created" } });
    dynamo.put("audit", &entry);
    let key = json!({ "copy": { "S": format!("{project}#0") } });
    let mut routes = dynamo.item("routes", &key).unwrap_or_default();
    routes["endpoints"]["M"][id] = json!({ "M": { "n": { "SS": NAMES } } });
    dynamo.put("routes", &routes);
}

/// Gives the endpoint the mark that it has after the service disabled it and its owner activated it again.
fn mark_down(run: &Run<'_>) {
    for mut row in endpoint(run).into_iter().filter(|row| row["part"]["S"] == "state") {
        row["is_down"] = json!({ "BOOL": true });
        run.lane.aws.dynamo.put("endpoints", &row);
    }
}

/// Both rows of the first endpoint.
fn endpoint(run: &Run<'_>) -> Vec<Value> {
    let mut rows = run.lane.aws.dynamo.items("endpoints");
    rows.retain(|row| row["id"]["S"] == run.world.endpoints[0].as_str());
    rows
}

/// Checks that both listeners got one event of each of `names`, and the bus one or more.
fn check(run: &Run<'_>, names: &[&str]) {
    let wanted: BTreeMap<&str, usize> = names.iter().map(|name| (*name, 1)).collect();
    for path in PATHS {
        check_received(run, path, &wanted);
    }
    let on_the_bus = run.lane.aws.bus();
    let put: BTreeSet<&str> = on_the_bus.iter().filter_map(|entry| entry["DetailType"].as_str()).collect();
    if put != wanted.keys().copied().collect() {
        run.violation(format!("lost: on the bus are {put:?} instead of {names:?}"));
    }
    for row in run.lane.aws.dynamo.rows("deliveries") {
        let is_left = row["status"] != "success" && NAMES.iter().any(|name| row["event_name"] == *name);
        if is_left || row["uncounted"] == true || !row["untold"].is_null() {
            run.violation(format!("left over: {row}"));
        }
    }
}

fn check_received(run: &Run<'_>, path: &str, wanted: &BTreeMap<&str, usize>) {
    let mut received: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for hit in run.lane.receiver.hits().into_iter().filter(|hit| hit.path == path) {
        let name = hit.headers.get("x-echo-event").cloned().unwrap_or_default();
        received.entry(name).or_default().insert(hit.event_id);
    }
    let received: BTreeMap<&str, usize> =
        received.iter().map(|(name, ids)| (name.as_str(), ids.len())).collect();
    if received != *wanted {
        run.violation(format!("lost or doubled: {path} got {received:?} instead of {wanted:?}"));
    }
}

fn told() -> Vec<(&'static str, String)> {
    vec![("OPERATOR_PROJECT_ID", PROJECT.to_owned()), ("OPERATIONAL_EVENT_BUS_NAME", BUS.to_owned())]
}

/// The receiver answers 410: a delivery failed, half of the failures that disable an endpoint have happened, and it is
/// disabled.
#[derive(Debug)]
pub(super) struct GivenUpAndDisabled;

#[async_trait]
impl Path for GivenUpAndDisabled {
    fn name(&self) -> &'static str {
        "operational"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        [told(), vec![("DISABLE_AFTER_FAILURES", "2".to_owned())]].concat()
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Answer(410)
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("gone")).await;
        add_listeners(run);
    }

    async fn check(&self, run: &Run<'_>) {
        check(run, &["delivery.failed", "endpoint.failing", "endpoint.disabled"]);
    }
}

/// A success after the endpoint was disabled and activated again.
#[derive(Debug)]
pub(super) struct Recovered;

#[async_trait]
impl Path for Recovered {
    fn name(&self) -> &'static str {
        "operational-recovery"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        told()
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
        add_listeners(run);
        mark_down(run);
    }

    async fn check(&self, run: &Run<'_>) {
        check(run, &["endpoint.recovered"]);
    }
}

/// A delivery failed by a fault of ours: its job is in the dead-letter queue.
#[derive(Debug)]
pub(super) struct GaveUpInternally;

#[async_trait]
impl Path for GaveUpInternally {
    fn name(&self) -> &'static str {
        "operational-internal"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        told()
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("internal")).await;
        add_listeners(run);
        run.lane.aws.sqs.move_all(FIRST_ATTEMPTS, DEAD);
    }

    async fn check(&self, run: &Run<'_>) {
        check(run, &["delivery.failed"]);
    }
}
