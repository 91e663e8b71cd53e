//! Operational events: the operator gets each of them by a webhook and on a bus, as one event even if the function had
//! to tell it several times.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
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

/// Where the operator's endpoint is, at the lane's receiver.
const PATH: &str = "/operator";

/// Adds the operator's endpoint, subscribed to everything.
fn add_operator(run: &Run<'_>) {
    let dynamo = &run.lane.aws.dynamo;
    let names = ["delivery.failed", "endpoint.disabled", "endpoint.recovered"];
    for mut row in endpoint(run) {
        let original = row.clone();
        row["id"] = json!({ "S": ENDPOINT });
        if row["part"]["S"] == "settings" {
            row["signing_secret"] = sealed::secret_for(&original, &sealed::keys(&["k1"]), PROJECT, ENDPOINT);
            row["project_id"] = json!({ "S": PROJECT });
            row["url"] = json!({ "S": format!("http://{}{PATH}", run.lane.receiver.address()) });
            row["events"] = json!({ "L": names.map(|name| json!({ "S": name })) });
            row["event_names_ever"] = json!({ "SS": names });
        }
        dynamo.put("endpoints", &row);
    }
    let entries = json!({ ENDPOINT: { "M": { "n": { "SS": names } } } });
    let routes = json!({ "copy": { "S": format!("{PROJECT}#0") }, "shards": { "N": "1" },
        "endpoints": { "M": entries } });
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

/// Checks that the operator's endpoint got one event of each of `names`, and the bus one or more.
fn check(run: &Run<'_>, names: &[&str]) {
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

fn told() -> Vec<(&'static str, String)> {
    vec![("OPERATOR_PROJECT_ID", PROJECT.to_owned()), ("OPERATIONAL_EVENT_BUS_NAME", BUS.to_owned())]
}

/// The receiver answers 410: a delivery failed, and its endpoint is disabled.
#[derive(Debug)]
pub(super) struct GivenUpAndDisabled;

#[async_trait]
impl Path for GivenUpAndDisabled {
    fn name(&self) -> &'static str {
        "operational"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        told()
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Answer(410)
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("gone")).await;
        add_operator(run);
    }

    async fn check(&self, run: &Run<'_>) {
        check(run, &["delivery.failed", "endpoint.disabled"]);
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
        add_operator(run);
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
        add_operator(run);
        run.lane.aws.sqs.move_all(FIRST_ATTEMPTS, DEAD);
    }

    async fn check(&self, run: &Run<'_>) {
        check(run, &["delivery.failed"]);
    }
}
