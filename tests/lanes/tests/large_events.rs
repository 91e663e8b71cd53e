//! Events in the intake queue that are as large as SQS accepts, which is larger than an event may be; a list of large events.

use std::time::Duration;

use echo_lanes::lane::{Auth, INTAKE, LaneSettings, PARKED};
use echo_lanes::sqs::Outgoing;
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

/// The most bytes that SQS accepts for a message's body and its attributes together.
const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// An event whose message body has this many bytes.
fn event(project_id: &str, bytes: usize) -> String {
    let with = |text: &str| {
        json!({ "project_id": project_id, "event_name": ONE, "data": { "text": text } }).to_string()
    };
    with(&"x".repeat(bytes - with("").len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_is_parked_whole_however_little_room_it_leaves_for_the_reason() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(LaneSettings::default().patient()).await.expect("a lane");
    let sizes = [256 * 1_024 + 1, MAX_MESSAGE_BYTES - 100, MAX_MESSAGE_BYTES - 1, MAX_MESSAGE_BYTES];
    let mut sent: Vec<String> = sizes.map(|bytes| event(&world.project_id, bytes)).to_vec();
    for body in &sent {
        let outgoing = Outgoing { body: body.clone(), group: None, delay: Duration::ZERO };
        lane.aws.sqs.send(INTAKE, outgoing).expect("a queue");
    }
    assert!(lane.settle(Duration::from_secs(90)).await, "messages are left in the queues");
    let mut parked = lane.aws.sqs.bodies(PARKED);
    parked.sort();
    sent.sort();
    // The bodies are long, so a failure shows only their lengths.
    let lengths: Vec<usize> = parked.iter().map(String::len).collect();
    assert!(parked == sent, "the parked bodies have {lengths:?} bytes");
}

/// Together they have 5 MB, and a page holds 3 MiB.
#[tokio::test]
async fn a_list_without_payloads_has_all_events_however_large_their_payloads_are() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(LaneSettings::default()).await.expect("a lane");
    let key = Auth::Key(&world.api_key);
    let events = format!("/v1/projects/{}/events", world.project_id);
    let large = json!({ "event_name": ONE, "data": { "text": "x".repeat(250_000) } });
    assert_eq!(lane.call("POST", &events, &key, Some(&large)).await.status, 202);
    let row = lane.aws.dynamo.items("events").remove(0);
    let id = row["event_id"]["S"].as_str().expect("an id");
    let ids = (0..20).map(|n| format!("{:08x}{}", 0x0190_0000 + n, &id[8..]));
    lane.aws.dynamo.copies("events", &row, ids.map(|id| vec![("event_id", id)]));
    let page = lane.call("GET", &format!("{events}?limit=100&fields=event_id"), &key, None).await.json();
    assert_eq!(page["data"].as_array().map(Vec::len), Some(21));
    assert_eq!(page["next_cursor"], Value::Null);
}
