//! A delivery whose row was written, and whose event's row was not, because the event's partition throttled.

use std::sync::Arc;
use std::time::Duration;

use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(60);

/// Posts an event while other writers fill the partition of the project's events.
async fn post_in_vain(lane: &Lane, world: &World, body: &Value) {
    let (aws, partition) = (Arc::clone(&lane.aws), format!("{}#0", world.project_id));
    aws.partitions.written_by_others("events", &partition, 1_000.0);
    let others = tokio::spawn(async move {
        loop {
            aws.partitions.written_by_others("events", &partition, 1_000.0);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let target = format!("/v1/projects/{}/events", world.project_id);
    let answer = lane.call("POST", &target, &Auth::Key(&world.api_key), Some(body)).await;
    others.abort();
    assert_eq!(answer.status, 503, "{}", answer.json());
}

/// Checks that each call that shows the delivery shows it without a payload, and returns the delivery.
async fn shown(lane: &Lane, world: &World, id: &str) -> Value {
    let project = format!("/v1/projects/{}", world.project_id);
    let of_endpoint = format!("{project}/webhooks/{}/deliveries", world.endpoints[0]);
    let of_project = format!("{project}/deliveries");
    for list in [&of_endpoint, &of_project] {
        for target in [list.clone(), format!("{list}/{id}")] {
            let answer = lane.call("GET", &target, &Auth::Key(&world.api_key), None).await;
            assert_eq!(answer.status, 200, "{target}: {}", answer.json());
            let body = answer.json();
            let row = body["data"].get(0).unwrap_or(&body);
            assert_eq!((&row["id"], &row["payload"]), (&json!(id), &Value::Null), "{target}");
        }
    }
    lane.call("GET", &format!("{of_project}/{id}"), &Auth::Key(&world.api_key), None).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_event_was_never_accepted_is_shown_without_a_payload() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut lane = world.lane(LaneSettings::default()).await.expect("a lane");
    lane.stop_mappings();
    // Hardly compressible, so that only the event's row can hold it.
    let noise: String = (0..40).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    post_in_vain(&lane, &world, &json!({ "event_name": ONE, "data": { "noise": noise } })).await;
    assert!(lane.aws.dynamo.rows("events").is_empty());
    let rows = lane.aws.dynamo.rows("deliveries");
    let id = rows[0]["id"].as_str().expect("an id");
    assert!(rows[0]["payload"].is_null(), "the payload is too large for the delivery's row");

    let waiting = shown(&lane, &world, id).await;
    assert_eq!(waiting["status"], "pending");
    lane.start_mappings();
    assert!(lane.settle(REST).await);
    let ended = shown(&lane, &world, id).await;
    assert_eq!((&ended["status"], &ended["failure_reason"]), (&json!("failed"), &json!("internal")));
    assert_eq!(lane.receiver.hits().len(), 0);
}
