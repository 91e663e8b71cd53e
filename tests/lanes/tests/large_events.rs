//! Events in the intake queue that are as large as SQS accepts, which is larger than an event may be.

use std::time::Duration;

use echo_lanes::lane::{INTAKE, LaneSettings, PARKED};
use echo_lanes::sqs::Outgoing;
use echo_lanes::world::{ONE, World};
use serde_json::json;

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
    let lane = world.lane(LaneSettings::default()).await.expect("a lane");
    let sizes = [256 * 1_024 + 1, MAX_MESSAGE_BYTES - 100, MAX_MESSAGE_BYTES - 1, MAX_MESSAGE_BYTES];
    let mut sent: Vec<String> = sizes.map(|bytes| event(&world.project_id, bytes)).to_vec();
    for body in &sent {
        let outgoing = Outgoing { body: body.clone(), group: None, delay: Duration::ZERO };
        lane.aws.sqs.send(INTAKE, outgoing).expect("a queue");
    }
    assert!(lane.settle(Duration::from_secs(30)).await, "messages are left in the queues");
    let mut parked = lane.aws.sqs.bodies(PARKED);
    parked.sort();
    sent.sort();
    // The bodies are long, so a failure shows only their lengths.
    let lengths: Vec<usize> = parked.iter().map(String::len).collect();
    assert!(parked == sent, "the parked bodies have {lengths:?} bytes");
}
