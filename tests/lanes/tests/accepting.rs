//! How many calls to AWS an accepted event needs, and which of them wait for one another.

use std::time::Duration;

use echo_lanes::lane::{Auth, FIRST_ATTEMPTS, LaneSettings};
use echo_lanes::watch::Seen;
use echo_lanes::world::{ONE, TEN, World};
use serde_json::{Value, json};

/// So long that calls side by side overlap on a slow machine too.
const AWS_DISTANCE: Duration = Duration::from_secs(1);

/// The calls that one post makes once the function knows the key.
async fn calls(name: &str, event_id: Option<String>) -> Vec<Seen> {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut lane = world.lane(LaneSettings::default()).await.expect("a lane");
    lane.stop_mappings();
    let target = format!("/v1/projects/{}/events", world.project_id);
    let key = Auth::Key(&world.api_key);
    let post = async |event_id: &Option<String>| {
        let mut body = json!({ "event_name": name, "data": { "n": 1 } });
        if let Some(id) = event_id {
            body["event_id"] = Value::from(id.as_str());
        }
        let answer = lane.call("POST", &target, &key, Some(&body)).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
    };
    post(&None).await;
    lane.aws.watch.set_distance(AWS_DISTANCE);
    lane.aws.watch.start();
    post(&event_id).await;
    lane.aws.watch.stop()
}

/// How many calls wait for one another.
fn in_a_row(calls: &[Seen]) -> usize {
    let mut calls: Vec<&Seen> = calls.iter().collect();
    calls.sort_by_key(|call| call.ended);
    let mut count = 0;
    let mut last = None;
    for call in calls {
        if last.is_none_or(|last| call.started >= last) {
            count += 1;
            last = Some(call.ended);
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_id_is_made_for_it_needs_three_calls_of_which_two_wait_for_one_another() {
    for name in [ONE, TEN] {
        let calls = calls(name, None).await;
        let mut operations: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
        operations.sort_unstable();
        assert_eq!(operations.len(), 3, "{name}: {operations:?}");
        assert!(operations.contains(&"BatchExecuteStatement"), "{operations:?}");
        assert!(operations.contains(&"SendMessageBatch"), "{operations:?}");
        let sends = calls.iter().filter(|call| call.what.contains(FIRST_ATTEMPTS)).count();
        assert_eq!(sends, 1, "{name}");
        assert_eq!(in_a_row(&calls), 2, "{name}: {operations:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_its_producers_id_is_written_before_its_jobs_are_sent() {
    let calls = calls(ONE, Some("cc66d0a2-7cfd-481f-9826-596e2bb9d58f".to_owned())).await;
    assert_eq!(in_a_row(&calls), 3);
    let at = |what: &str| calls.iter().find(|call| call.what.contains(what)).expect(what);
    assert!(at("PutItem events").ended <= at(FIRST_ATTEMPTS).started);
}
