//! Batches of events (contract §4): the calls that they share, and their limits of deliveries and of time.

use std::time::{Duration, Instant};

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::lane::LaneSettings;
use echo_lanes::run::{Ending, Run};
use echo_lanes::world::{ONE, TEN, World};
use serde_json::{Value, json};

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

fn batch(events: usize, name: &str) -> Value {
    let events: Vec<Value> = (0..events).map(|n| json!({ "event_name": name, "data": { "n": n } })).collect();
    json!({ "events": events })
}

async fn post(run: &Run<'_>, body: &Value) -> Vec<Value> {
    let answer = run.lane.call("POST", &run.project("/events/batch"), &run.key(), Some(body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["results"].as_array().cloned().expect("results")
}

fn count(results: &[Value], status: u16) -> usize {
    results.iter().filter(|result| result["status"] == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_batch_share_their_calls() {
    let world = world().await;
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    run.lane.stop_mappings();
    // The first request of a process looks its key up. The 19 events need no lease of the budget.
    run.post_event(ONE, &json!({}), Ending::Either).await;
    let calls = async |body: &Value| -> Vec<String> {
        run.lane.aws.faults.arm(None);
        assert_eq!(count(&post(&run, body).await, 202), 9);
        let calls = run.lane.aws.faults.calls().into_iter().filter(|call| call.key.kind == Kind::Api);
        let mut calls: Vec<String> = calls.map(|call| call.key.what).collect();
        calls.sort_unstable();
        calls
    };
    // One request has the rows of both tables, and is named by its first.
    let new = ["BatchExecuteStatement events", "GetItem routes", "SendMessageBatch first-attempts"];
    assert_eq!(calls(&batch(9, ONE)).await, new);
    let mut with_ids = batch(9, ONE);
    for event in with_ids["events"].as_array_mut().expect("an array") {
        event["event_id"] = uuid::Uuid::new_v4().to_string().into();
    }
    let with_own_ids = [
        "BatchExecuteStatement deliveries",
        "BatchExecuteStatement events",
        "GetItem routes",
        "SendMessageBatch first-attempts",
    ];
    assert_eq!(calls(&with_ids).await, with_own_ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_makes_at_most_a_thousand_deliveries() {
    let world = world().await;
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    run.lane.stop_mappings();
    for n in 0..5 {
        let url = format!("http://{}/more-{n}", run.lane.receiver.address());
        let body = json!({ "url": url, "events": [TEN] });
        run.insist("POST", &run.project("/webhooks"), &run.key(), Some(&body), &[201]).await;
    }
    // 15 deliveries each.
    let mut body = batch(100, TEN);
    for event in body["events"].as_array_mut().expect("an array") {
        event["event_id"] = uuid::Uuid::new_v4().to_string().into();
    }
    body["events"][99]["event_name"] = "call.x".into();
    let results = post(&run, &body).await;
    let is_beyond = |result: &Value| {
        let message = result["message"].as_str().unwrap_or_default();
        result["status"] == 503 && message.contains("send this event again in another request")
    };
    assert!(!results[..66].iter().any(is_beyond), "{results:?}");
    assert!(results[66..99].iter().all(is_beyond), "{results:?}");
    // A busy machine may not have the time for all 66.
    let (mut left, mut answers) = (body["events"].as_array().expect("an array").clone(), results.clone());
    left.truncate(66);
    for _ in 0..20 {
        let again = left.into_iter().zip(answers).filter(|(_, answer)| answer["status"] != 202);
        left = again.map(|(event, _)| event).collect();
        if left.is_empty() {
            break;
        }
        answers = post(&run, &json!({ "events": left })).await;
    }
    assert!(left.is_empty(), "{} were not accepted", left.len());
    assert_eq!(results[99]["status"], 400, "a refused event is refused all the same: {}", results[99]);
    assert_eq!(run.lane.aws.dynamo.rows("deliveries").len(), 66 * 15);
    assert_eq!(run.lane.aws.dynamo.rows("events").len(), 66);
}

/// DynamoDB throttles single rows of a request: the first event's own row and the second event's delivery. A stream passes
/// a delivery over that has no row.
#[tokio::test(flavor = "multi_thread")]
async fn events_whose_rows_are_throttled_one_by_one_are_delivered() {
    let world = world().await;
    let run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let ordered = json!({ "ordered": "endpoint" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&ordered), &[200]).await;
    let what = "BatchExecuteStatement events".to_owned();
    let partial = Injection { fault: Fault::Partial, span: Span::Once };
    run.lane.aws.faults.arm(Some((CallKey { kind: Kind::Api, what, nth: 1 }, partial)));
    assert_eq!(count(&post(&run, &batch(2, ONE)).await, 202), 2);
    assert!(run.lane.aws.faults.has_struck());
    assert!(run.lane.settle(Duration::from_secs(60)).await, "the events do not come to rest");
    assert_eq!(run.lane.aws.dynamo.rows("events").len(), 2);
    let deliveries = run.lane.aws.dynamo.rows("deliveries");
    assert_eq!(deliveries.len(), 2);
    assert!(deliveries.iter().all(|row| row["status"] == "success"), "{deliveries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_gets_a_503_of_its_own_in_ten_seconds() {
    let world = world().await;
    let run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    // This request looks the key up.
    run.insist("GET", &run.endpoint(0, ""), &run.key(), None, &[200]).await;
    // AWS takes the jobs and never answers. Before a job's second send has failed too, the answer is due. Five groups of events
    // take the time of four sends, 20 s, where nothing ends them.
    run.lane.aws.faults.outage(Some(("SendMessageBatch", Fault::Slow)));
    let mut body = batch(42, TEN);
    body["events"][1] = json!({ "event_name": "call.ended", "data": 7 });
    let began = Instant::now();
    let results = post(&run, &body).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(12), "the answer took {took:?}");
    assert_eq!((count(&results, 503), &results[1]["status"]), (41, &json!(400)), "{results:?}");
    let message = results[0]["message"].as_str().expect("a text");
    assert!(message.ends_with("send this event again"), "{message}");
}
