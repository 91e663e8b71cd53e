//! Events that come in through the queue.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lane::{DEAD, INTAKE, PARKED};
use crate::run::{Ending, Run, Sent};
use crate::sqs::Outgoing;
use crate::world::ONE;

/// Refused for its name.
const REFUSED: &str = r#"{"project_id":"019d8257-8a4b-7000-8000-000000000001","event_name":"call.x"}"#;

/// An event that could also be taken for a job.
fn given_up(run: &Run<'_>) -> String {
    let id = "00000000-0000-4000-8000-0000000000aa";
    json!({ "project_id": run.world.project_id, "event_id": id, "event_name": ONE,
        "v": 1, "endpoint_id": run.world.endpoints[0], "delivery_id": id })
    .to_string()
}

fn event(run: &Run<'_>, event_id: &str) -> String {
    let data = json!({ "n": 1 });
    json!({ "project_id": run.world.project_id, "event_id": event_id, "event_name": ONE, "data": data })
        .to_string()
}

fn send(run: &Run<'_>, body: String) {
    let outgoing = Outgoing { body, group: None, delay: Duration::ZERO };
    assert!(run.lane.aws.sqs.send(INTAKE, outgoing).is_ok(), "the queue is there");
}

/// One batch: two events, and one that is refused between them.
pub(super) fn set_up(run: &mut Run<'_>) {
    run.lane.stop_mappings();
    for _ in 0..2 {
        let event_id = uuid::Uuid::new_v4().to_string();
        send(run, event(run, &event_id));
        run.notes().sent.push(Sent { event_id, listed: Vec::new(), ending: Ending::Success });
        if run.notes().sent.len() == 1 {
            send(run, REFUSED.to_owned());
        }
    }
}

/// An event that came by HTTPS comes again before its first attempt.
pub(super) async fn set_up_again(run: &mut Run<'_>) {
    run.lane.stop_mappings();
    if let Some(sent) = run.post_event(ONE, &json!({ "n": 1 }), Ending::Success).await {
        send(run, event(run, &sent.event_id));
    }
}

/// An event that faults of ours kept out for so long that its queue gave it up.
pub(super) fn set_up_given_up(run: &mut Run<'_>) {
    run.lane.stop_mappings();
    send(run, given_up(run));
    run.lane.aws.sqs.move_all(INTAKE, DEAD);
}

/// Every event was accepted and is what it answers for.
pub(super) fn check(run: &Run<'_>) {
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
    check_parked(run, &[REFUSED.to_owned()]);
}

/// Nothing is in the parked queue but `wanted`, each perhaps more than once.
pub(super) fn check_parked(run: &Run<'_>, wanted: &[String]) {
    let parked = run.lane.aws.sqs.bodies(PARKED);
    if parked.iter().any(|body| !wanted.contains(body)) || wanted.iter().any(|body| !parked.contains(body)) {
        run.violation(format!("parked are {parked:?} instead of {wanted:?}"));
    }
}

pub(super) fn check_given_up(run: &Run<'_>) {
    check_parked(run, &[given_up(run)]);
}
