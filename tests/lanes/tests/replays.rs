//! A replay that stops half-way leaves no delivery waiting for ever.

use std::time::Duration;

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::lane::LaneSettings;
use echo_lanes::run::{Ending, Run};
use echo_lanes::wait;
use echo_lanes::world::{ONE, World};
use futures_util::future::join_all;
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(90);
const SKIPPED: usize = 3;

/// A fault strikes a step that makes deliveries for skipped events, and before the step's next try the endpoint is disabled,
/// so that the replay stops.
async fn deliveries_end_in_spite_of(world: &World, what: &str, fault: Fault) {
    let run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), world);
    let set = async |status: &str| {
        let body = json!({ "status": status });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
    };
    set("disabled").await;
    for n in 0..SKIPPED {
        run.post_event(ONE, &json!({ "n": n }), Ending::Either).await.expect("accepted");
    }
    set("active").await;
    let key = CallKey { kind: Kind::Delivery, what: what.to_owned(), nth: 1 };
    run.lane.aws.faults.arm(Some((key, Injection { fault, span: Span::Once })));
    let body = json!({ "since": "2020-01-01T00:00:00Z", "include_skipped": true });
    run.insist("POST", &run.endpoint(0, "/replay"), &run.key(), Some(&body), &[202]).await;
    let has_struck = wait::until(REST, || run.lane.aws.faults.has_struck()).await;
    assert!(has_struck, "{fault:?} did not strike {what}");
    set("disabled").await;
    assert!(run.lane.settle(REST).await, "{fault:?} of {what}: jobs are left");

    let replays = run.lane.aws.dynamo.rows("replays");
    assert!(replays.iter().any(|row| row["status"] == "stopped"), "{fault:?} of {what}: {replays:?}");
    let rows = run.lane.aws.dynamo.rows("deliveries");
    let pending: Vec<&Value> = rows.iter().filter(|row| row["status"] == "pending").collect();
    assert!(pending.is_empty(), "{fault:?} of {what}: {pending:?}");
    let events = run.lane.aws.dynamo.rows("events");
    for listed in events.iter().flat_map(|event| event["deliveries"].as_array().into_iter().flatten()) {
        assert!(rows.iter().any(|row| row["id"] == listed["id"]), "{fault:?} of {what}: no row of {listed}");
    }
    assert_eq!(run.notes().violations, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_stops_leaves_no_delivery_pending() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let (send, list, write) = ("SendMessageBatch retries", "UpdateItem events", "PutItem deliveries");
    let cases = [
        (send, Fault::Refused),
        (send, Fault::Lost),
        (send, Fault::Partial),
        (send, Fault::KillBefore),
        (send, Fault::KillAfter),
        (list, Fault::KillAfter),
        (write, Fault::KillBefore),
        (write, Fault::KillAfter),
    ];
    join_all(cases.map(|(what, fault)| deliveries_end_in_spite_of(&world, what, fault))).await;
}
