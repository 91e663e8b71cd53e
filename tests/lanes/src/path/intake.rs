//! Events that come in through the intake queue.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Path, accepting, small};
use crate::lane::{Auth, DEAD, INTAKE, PARKED};
use crate::run::{CUSTOMER_ID, Ending, Run, Sent};
use crate::sqs::Outgoing;
use crate::world::{ONE, PASSWORD};

/// An event of a name that the function refuses.
fn refused(run: &Run<'_>) -> String {
    json!({ "project_id": run.world.project_id, "event_name": "call.x" }).to_string()
}

/// A type of the world's account.
const OWN: &str = "order.paid";

/// An event with the fields of a job.
fn given_up(run: &Run<'_>) -> String {
    let id = "00000000-0000-4000-8000-0000000000aa";
    json!({ "project_id": run.world.project_id, "event_id": id, "event_name": ONE,
        "v": 1, "endpoint_id": run.world.endpoints[0], "delivery_id": id })
    .to_string()
}

fn event(run: &Run<'_>, event_id: &str) -> String {
    named(run, event_id, ONE)
}

fn named(run: &Run<'_>, event_id: &str, name: &str) -> String {
    json!({ "project_id": run.world.project_id, "event_id": event_id, "event_name": name,
        "customer_id": CUSTOMER_ID, "data": small() })
    .to_string()
}

fn send(run: &Run<'_>, body: String) {
    let outgoing = Outgoing { body, group: None, delay: Duration::ZERO };
    assert!(run.lane.aws.sqs.send(INTAKE, outgoing).is_ok(), "the queue is there");
}

/// Checks that the parked queue holds each of `wanted`, perhaps more than once, and nothing else.
fn check_parked(run: &Run<'_>, wanted: &[String]) {
    let parked = run.lane.aws.sqs.bodies(PARKED);
    if parked.iter().any(|body| !wanted.contains(body)) || wanted.iter().any(|body| !parked.contains(body)) {
        run.violation(format!("parked are {parked:?} instead of {wanted:?}"));
    }
}

/// One batch: an event of a name of the deployment, one that the function refuses, and one of a type of the account.
#[derive(Debug)]
pub(super) struct Intake;

#[async_trait]
impl Path for Intake {
    fn name(&self) -> &'static str {
        "intake"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        let access = run.log_in(PASSWORD).await.access;
        let target = format!("/v1/event-types/{OWN}");
        run.insist("PUT", &target, &Auth::Bearer(&access), Some(&json!({})), &[200]).await;
        let events = json!({ "events": [ONE, OWN] });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&events), &[200]).await;
        run.lane.stop_mappings();
        for name in [ONE, OWN] {
            let event_id = uuid::Uuid::new_v4().to_string();
            send(run, named(run, &event_id, name));
            run.notes().sent.push(Sent { event_id, listed: Vec::new(), ending: Ending::Success });
            if run.notes().sent.len() == 1 {
                send(run, refused(run));
            }
        }
    }

    /// Every event was accepted. The run then answers for the deliveries that the event's row lists.
    async fn check(&self, run: &Run<'_>) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = run.lane.aws.dynamo.rows("events");
        let mut missing = Vec::new();
        for sent in &mut run.notes().sent {
            let row = rows.iter().find(|row| row["event_id"] == sent.event_id.as_str());
            let listed = row.and_then(|row| row["deliveries"].as_array()).cloned().unwrap_or_default();
            if listed.len() != 1 {
                missing.push(sent.event_id.clone());
            }
            sent.listed = listed.iter().map(|one| (text(&one["id"]), text(&one["endpoint_id"]))).collect();
        }
        for event_id in missing {
            run.violation(format!("lost: {event_id} was not accepted"));
        }
        check_parked(run, &[refused(run)]);
    }
}

/// An event that came by HTTPS comes again before its first attempt.
#[derive(Debug)]
pub(super) struct Again;

#[async_trait]
impl Path for Again {
    fn name(&self) -> &'static str {
        "intake-again"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.stop_mappings();
        if let Some(sent) = run.post_event(ONE, &small(), Ending::Success).await {
            send(run, event(run, &sent.event_id));
        }
    }

    async fn check(&self, run: &Run<'_>) {
        check_parked(run, &[]);
    }
}

/// The queue gave an event up, because faults of ours kept it out for too long.
#[derive(Debug)]
pub(super) struct GivenUp;

#[async_trait]
impl Path for GivenUp {
    fn name(&self) -> &'static str {
        "intake-given-up"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.stop_mappings();
        send(run, given_up(run));
        run.lane.aws.sqs.move_all(INTAKE, DEAD);
    }

    async fn check(&self, run: &Run<'_>) {
        check_parked(run, &[given_up(run)]);
    }
}

/// With a budget so small that the function gives no part of it away without a lease.
#[derive(Debug)]
pub(super) struct Leased;

#[async_trait]
impl Path for Leased {
    fn name(&self) -> &'static str {
        "intake-leased"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        accepting::small_budget()
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        Intake.set_up(run).await;
    }

    async fn check(&self, run: &Run<'_>) {
        Intake.check(run).await;
    }
}
