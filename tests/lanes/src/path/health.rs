//! Deliveries to an endpoint that is marked as slow or hanging, or that their failure disables.

use async_trait::async_trait;
use serde_json::json;

use super::{Path, hold_back, shown_endpoint};
use crate::clock::now_millis;
use crate::receiver::Behaviour;
use crate::run::{Ending, Run};

/// Marks the first endpoint as slow for two minutes, on its own row and on the routing row.
pub(super) fn mark_slow(run: &Run<'_>) {
    let until = now_millis() + 120_000;
    mark(run, "slow_until = :at", until);
    let request = json!({ "TableName": "routes",
        "Key": { "copy": { "S": format!("{}#0", run.world.project_id) } },
        "UpdateExpression": "SET endpoints.#id.slow = :at",
        "ExpressionAttributeNames": { "#id": run.world.endpoints[0] },
        "ExpressionAttributeValues": { ":at": { "N": until.to_string() } } });
    let marked = run.lane.aws.dynamo.call("UpdateItem", &request.to_string());
    assert_eq!(marked.status, 200, "{}", marked.body);
}

fn mark(run: &Run<'_>, set: &str, at: u64) {
    let key = json!({ "id": { "S": run.world.endpoints[0] }, "part": { "S": "state" } });
    let request = json!({ "TableName": "endpoints", "Key": key,
        "UpdateExpression": format!("SET {set}"),
        "ExpressionAttributeValues": { ":at": { "N": at.to_string() } } });
    run.lane.aws.dynamo.call("UpdateItem", &request.to_string());
}

async fn check_disabled(run: &Run<'_>) {
    let shown = shown_endpoint(run).await;
    let failures = shown["consecutive_failures"].as_u64().unwrap_or(0);
    if shown["status"] != "disabled" || failures == 0 {
        run.violation(format!("the endpoint should be disabled: {shown}"));
    }
}

/// The endpoint becomes slow while a job waits in the lane of first attempts.
#[derive(Debug)]
pub(super) struct MovesToSlowLane;

#[async_trait]
impl Path for MovesToSlowLane {
    fn name(&self) -> &'static str {
        "to-slow-lane"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
        mark_slow(run);
    }
}

/// The endpoint hung until two seconds ago, and the delivery finds out whether it still does.
#[derive(Debug)]
pub(super) struct Probe;

#[async_trait]
impl Path for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
        mark(run, "hanging_since = :at, hanging_tried_at = :at", now_millis() - 2_000);
    }
}

/// One failed delivery is enough to disable the endpoint.
#[derive(Debug)]
pub(super) struct AutoDisable;

#[async_trait]
impl Path for AutoDisable {
    fn name(&self) -> &'static str {
        "auto-disable"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DISABLE_AFTER_FAILURES", "1".to_owned()),
            ("DISABLE_AFTER_SECONDS", "0".to_owned()),
            ("RETRY_DELAYS_SECONDS", "1".to_owned()),
        ]
    }

    fn most_attempts(&self) -> usize {
        2
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Answer(500)
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("exhausted")).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check_disabled(run).await;
    }
}

/// The receiver answers 410, which disables its endpoint.
#[derive(Debug)]
pub(super) struct Gone;

#[async_trait]
impl Path for Gone {
    fn name(&self) -> &'static str {
        "gone"
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Answer(410)
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("gone")).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check_disabled(run).await;
    }
}
