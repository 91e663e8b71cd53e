//! The metric `HeldBack` counts messages that an internal fault keeps in a queue, and no message that waits for its
//! time.

use std::time::Duration;

use echo_lanes::fault::Fault;
use echo_lanes::lane::{FIRST_ATTEMPTS, INTAKE, Lane, LaneSettings};
use echo_lanes::receiver::Behaviour;
use echo_lanes::run::{Ending, Run};
use echo_lanes::sqs::Outgoing;
use echo_lanes::suite;
use echo_lanes::wait;
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(90);

/// A lane that writes its log to a folder of its own.
async fn run(world: &World) -> Run<'_> {
    run_with(world, LaneSettings::default()).await
}

async fn run_with(world: &World, settings: LaneSettings) -> Run<'_> {
    let logs = suite::logs().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir_all(&logs).expect("a folder");
    let mut settings = LaneSettings { logs: Some(logs), ..settings };
    settings.env.push(("RETRY_DELAYS_SECONDS", "1,2".to_owned()));
    Run::new(world.lane(settings).await.expect("a lane"), world)
}

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

/// A metric's sum so far, from the log lines from which CloudWatch would make the metric.
fn sum(lane: &Lane, metric: &str) -> u64 {
    let log = lane.delivery.settings.log.as_ref().expect("a log");
    let log = std::fs::read_to_string(log).expect("the log");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["_aws"].is_object()).filter_map(|line| line[metric].as_u64()).sum()
}

/// Waits until `HeldBack` counts at least this many messages.
async fn held_back(lane: &Lane, at_least: u64, why: &str) {
    let are_held_back = || sum(lane, "HeldBack") >= at_least;
    let in_time = wait::until(Duration::from_secs(30), are_held_back).await;
    assert!(in_time, "{why}: {} of {at_least} held back", sum(lane, "HeldBack"));
}

/// Ends the outage, and checks that no job is left.
async fn over(run: &Run<'_>, why: &str) {
    run.lane.aws.faults.outage(None);
    assert!(run.lane.settle(REST).await, "{why}: jobs are left");
    let logs = run.lane.settings.logs.clone().expect("a folder");
    std::fs::remove_dir_all(logs).expect("the folder can go");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_that_wait_for_their_time_and_attempts_that_wait_for_a_slot_are_not_held_back() {
    let world = world().await;
    let run = run_with(&world, LaneSettings::default().patient()).await;
    run.lane.receiver.set("/0", Behaviour::Script(vec![503, 503, 200]));
    let limit = json!({ "rate_limit_per_second": 2 });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&limit), &[200]).await;
    for _ in 0..6 {
        run.post_event(ONE, &json!({}), Ending::Success).await.expect("accepted");
    }
    assert!(run.lane.settle(REST).await);
    assert_eq!((sum(&run.lane, "Retried"), sum(&run.lane, "Delivered")), (12, 6));
    assert_eq!(sum(&run.lane, "HeldBack"), 0);
    over(&run, "a quiet hour").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_dynamodb_or_sqs_keep_waiting_are_held_back() {
    for (what, fault) in [
        ("deliveries", Fault::ServerError),
        ("endpoints", Fault::Throttled),
        ("SendMessage", Fault::Refused),
        ("ChangeMessageVisibility", Fault::ServerError),
    ] {
        let world = world().await;
        let mut run = run(&world).await;
        // A failed attempt makes the function send or hide a job for the retry.
        run.lane.receiver.set("/0", Behaviour::Answer(503));
        run.lane.stop_mappings();
        for _ in 0..3 {
            run.post_event(ONE, &json!({}), Ending::Either).await.expect("accepted");
        }
        run.lane.aws.faults.outage(Some((what, fault)));
        run.lane.start_mappings();
        held_back(&run.lane, 3, what).await;
        over(&run, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_accepted_yet_are_held_back() {
    let world = world().await;
    let run = run(&world).await;
    run.lane.aws.faults.outage(Some(("events", Fault::ServerError)));
    let event = json!({ "project_id": world.project_id, "event_name": ONE });
    let outgoing = Outgoing { body: event.to_string(), group: None, delay: Duration::ZERO };
    run.lane.aws.sqs.send(INTAKE, outgoing).expect("a queue");
    held_back(&run.lane, 1, "an event").await;
    over(&run, "an event").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_whose_jobs_sqs_does_not_take_is_held_back() {
    let world = world().await;
    let run = run(&world).await;
    run.lane.receiver.set("/0", Behaviour::Answer(410));
    let sent = run.post_event(ONE, &json!({}), Ending::Either).await.expect("accepted");
    assert!(run.lane.settle(REST).await);
    assert_eq!((sum(&run.lane, "Failed"), sum(&run.lane, "HeldBack")), (1, 0));
    let shown = run.endpoint(0, &format!("/deliveries/{}", sent.listed[0].0));
    let delivery = run.lane.call("GET", &shown, &run.key(), None).await.json();
    let active = json!({ "status": "active" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&active), &[200]).await;
    run.lane.receiver.set("/0", Behaviour::Answer(200));
    run.lane.aws.faults.outage(Some(("SendMessageBatch", Fault::Refused)));
    let filter = json!({ "status": "failed", "since": delivery["created_at"] });
    run.insist("POST", &run.endpoint(0, "/replay"), &run.key(), Some(&filter), &[202]).await;
    held_back(&run.lane, 2, "a replay").await;
    over(&run, "a replay").await;
    assert_eq!(run.lane.aws.sqs.depth(FIRST_ATTEMPTS).total(), 0);
}
