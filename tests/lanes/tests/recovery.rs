//! Rehearsals of the troubles that an operator meets, from a table that fails for a while to messages that are no
//! jobs.

use std::time::Duration;

use echo_lanes::fault::Fault;
use echo_lanes::function::Kind;
use echo_lanes::invariants::judge;
use echo_lanes::lane::{DEAD, FIRST_ATTEMPTS, INTAKE, LaneSettings, PARKED, RETRIES};
use echo_lanes::receiver::Behaviour;
use echo_lanes::run::{Ending, Run, Sent};
use echo_lanes::sqs::Outgoing;
use echo_lanes::suite;
use echo_lanes::wait;
use echo_lanes::world::{ONE, TEN, World};
use serde_json::json;

const AUTOMATIC: usize = 4;
const REST: Duration = Duration::from_secs(90);

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

async fn run<'a>(world: &'a World, settings: LaneSettings) -> Run<'a> {
    Run::new(world.lane(settings).await.expect("a lane"), world)
}

/// Posts `count` events, and returns the ids of those that the API did not accept.
async fn post(run: &Run<'_>, count: u32) -> Vec<String> {
    let mut unanswered = Vec::new();
    for _ in 0..count {
        let event_id = uuid::Uuid::new_v4().to_string();
        if !post_as(run, &event_id).await {
            unanswered.push(event_id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unanswered
}

async fn post_as(run: &Run<'_>, event_id: &str) -> bool {
    let body = json!({ "event_id": event_id, "event_name": ONE });
    let answer = run.lane.call("POST", &run.project("/events"), &run.key(), Some(&body)).await;
    assert!(answer.status == 202 || answer.status >= 500, "{}", answer.status);
    if answer.status != 202 {
        return false;
    }
    let id = answer.json()["deliveries"][0]["id"].as_str().unwrap_or_default().to_owned();
    let listed = vec![(id, run.world.endpoints[0].clone())];
    run.notes().sent.push(Sent { event_id: event_id.to_owned(), listed, ending: Ending::Success });
    true
}

/// Posts each event that was not accepted again with the same id, as the contract asks.
async fn post_again(run: &Run<'_>, unanswered: &[String]) {
    for event_id in unanswered {
        let mut tries = 0;
        while !post_as(run, event_id).await {
            tries += 1;
            assert!(tries < 20, "{event_id} is still refused");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

async fn holds(run: &Run<'_>, extra_sends_allowed: bool) {
    let has_settled = run.lane.settle(REST).await;
    let verdict = judge(run, has_settled, AUTOMATIC).await;
    assert_eq!(verdict.losses, [""; 0]);
    let unexpected: Vec<_> = verdict
        .violations
        .into_iter()
        .filter(|one| !(extra_sends_allowed && one.contains("without cause")))
        .collect();
    assert_eq!(unexpected, [""; 0]);
}

/// Every call whose name contains `what` fails for a while in the middle of a load.
async fn outage(what: &'static str, fault: Fault, lasts: Duration) {
    let world = world().await;
    let run = run(&world, LaneSettings::default()).await;
    let mut unanswered = post(&run, 10).await;
    run.lane.aws.faults.outage(Some((what, fault)));
    let end = tokio::time::Instant::now() + lasts;
    while tokio::time::Instant::now() < end {
        unanswered.extend(post(&run, 2).await);
    }
    run.lane.aws.faults.outage(None);
    unanswered.extend(post(&run, 10).await);
    post_again(&run, &unanswered).await;
    // An outage of the deliveries' table loses records of attempts too, and those attempts are made again.
    holds(&run, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliveries_table_that_is_away_for_a_while_loses_nothing() {
    outage("deliveries", Fault::ServerError, Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoints_table_that_throttles_for_a_while_loses_nothing() {
    outage("endpoints", Fault::Throttled, Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_take_nothing_for_a_while_lose_nothing() {
    outage("Message", Fault::ServerError, Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aws_that_cannot_be_reached_loses_nothing() {
    outage("", Fault::Refused, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_killed_again_and_again_lose_nothing() {
    let world = world().await;
    let run = run(&world, LaneSettings::default()).await;
    let mut unanswered = Vec::new();
    for _ in 0..8 {
        unanswered.extend(post(&run, 5).await);
        for sandbox in [run.lane.api.sandboxes(), run.lane.delivery.sandboxes()].concat() {
            sandbox.kill().await;
        }
    }
    post_again(&run, &unanswered).await;
    holds(&run, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_jobs_delay_no_one_and_end_parked_as_they_came() {
    let world = world().await;
    // Jobs that fail with the messages beside them come again after a minute.
    let settings = LaneSettings { max_receives: 2, ..LaneSettings::default() }.patient();
    let mut run = run(&world, settings).await;
    run.lane.stop_mappings();
    let long = format!("{{\"v\":1,\"x\":\"{}\"}}", "y".repeat(200_000));
    let nothing = "{\"v\":1,\"project_id\":\"019d8257-8a4b-7000-8000-000000000001\"}";
    let poison = ["no JSON", "{}", "[]", "null", "{\"v\":99,\"from\":\"a later release\"}", nothing, &long];
    for queue in [FIRST_ATTEMPTS, RETRIES] {
        for body in poison {
            let outgoing = Outgoing { body: body.to_owned(), group: None, delay: Duration::ZERO };
            run.lane.aws.sqs.send(queue, outgoing).expect("a queue");
        }
    }
    assert_eq!(post(&run, 20).await, [""; 0]);
    run.lane.start_mappings();
    let in_time = wait::until(Duration::from_secs(20), || run.lane.receiver.hits().len() >= 20).await;
    assert!(in_time, "the messages hold up the jobs beside them");
    holds(&run, false).await;
    let mut parked = run.lane.aws.sqs.bodies(PARKED);
    let mut expected: Vec<String> = poison.iter().chain(&poison).map(|body| (*body).to_owned()).collect();
    parked.sort();
    expected.sort();
    assert_eq!(parked, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_nothing_that_exists_is_dropped() {
    let world = world().await;
    let run = run(&world, LaneSettings::default()).await;
    let body = json!({ "v": 1, "project_id": "019d8257-8a4b-7000-8000-000000000001",
        "endpoint_id": "019d8257-8a4b-7000-8000-000000000002",
        "delivery_id": "019d8257-8a4b-7000-8000-000000000003",
        "event_id": "019d8257-8a4b-7000-8000-000000000004" });
    for queue in [FIRST_ATTEMPTS, RETRIES, DEAD] {
        let outgoing = Outgoing { body: body.to_string(), group: None, delay: Duration::ZERO };
        run.lane.aws.sqs.send(queue, outgoing).expect("a queue");
    }
    holds(&run, false).await;
    assert_eq!(run.lane.aws.sqs.bodies(PARKED), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_the_dead_letter_queue_ended_can_be_retried() {
    let world = world().await;
    let settings = LaneSettings { max_receives: 1, ..LaneSettings::default() };
    let run = run(&world, settings).await;
    run.lane.aws.faults.outage(Some(("BatchGetItem", Fault::ServerError)));
    let sent = run.post_event(ONE, &json!({}), Ending::Success).await.expect("accepted");
    let delivery_id = sent.listed[0].0.clone();
    assert!(wait::until(REST, || run.lane.aws.sqs.depth(DEAD).total() > 0).await, "the job is not given up");
    run.lane.aws.faults.outage(None);
    assert!(run.lane.settle(REST).await);
    let shown = run.endpoint(0, &format!("/deliveries/{delivery_id}"));
    let row = run.lane.call("GET", &shown, &run.key(), None).await.json();
    assert_eq!((&row["status"], &row["failure_reason"]), (&json!("failed"), &json!("internal")));
    run.notes().retried.push(delivery_id.clone());
    run.insist("POST", &format!("{shown}/retry"), &run.key(), None, &[202]).await;
    holds(&run, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_job_that_is_moved_back_is_delivered() {
    let world = world().await;
    let mut run = run(&world, LaneSettings::default()).await;
    run.lane.stop_mappings();
    assert_eq!(post(&run, 5).await, [""; 0]);
    assert_eq!(run.lane.aws.sqs.move_all(FIRST_ATTEMPTS, PARKED), 5);
    run.lane.start_mappings();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(run.lane.receiver.hits().len(), 0, "nothing reads the parked queue");
    run.lane.aws.sqs.move_all(PARKED, RETRIES);
    holds(&run, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_away_gets_everything_once_it_is_back() {
    let world = world().await;
    let env = vec![("RETRY_DELAYS_SECONDS", "3,6,9".to_owned())];
    let run = run(&world, LaneSettings { env, ..LaneSettings::default() }).await;
    run.lane.receiver.set("/0", Behaviour::Answer(503));
    assert_eq!(post(&run, 20).await, [""; 0]);
    // Each event has had an attempt, and its retry is due in three seconds.
    assert!(
        wait::until(REST, || run.lane.receiver.hits().len() >= 20).await,
        "the first attempts were not made"
    );
    run.lane.receiver.set("/0", Behaviour::Answer(200));
    holds(&run, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_the_operator_cannot_be_told_of_are_counted_once_and_told_later() {
    let world = world().await;
    let env =
        vec![("RETRY_DELAYS_SECONDS", "1".to_owned()), ("OPERATIONAL_EVENT_BUS_NAME", "default".to_owned())];
    let run = run(&world, LaneSettings { env, ..LaneSettings::default() }).await;
    run.lane.receiver.set("/0", Behaviour::Answer(500));
    run.lane.aws.faults.outage(Some(("PutEvents", Fault::Refused)));
    assert!(post(&run, 2).await.is_empty());
    // The function reports each failure by two requests, and reports it again after five seconds.
    let tried = || {
        let totals = run.lane.aws.faults.totals();
        totals
            .iter()
            .filter(|((_, what), _)| what.starts_with("PutEvents"))
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    assert!(wait::until(Duration::from_secs(60), || tried() >= 8).await, "tried {} times", tried());
    let failures = || {
        let rows = run.lane.aws.dynamo.rows("endpoints");
        let is_state =
            |row: &&serde_json::Value| row["id"] == world.endpoints[0].as_str() && row["part"] == "state";
        rows.iter().find(is_state)?["consecutive_failures"].as_u64()
    };
    assert_eq!(failures(), Some(2));

    run.lane.aws.faults.outage(None);
    assert!(run.lane.settle(REST).await);
    assert_eq!(failures(), Some(2));
    let told: Vec<_> = run.lane.aws.bus().iter().map(|entry| entry["DetailType"].clone()).collect();
    assert_eq!(told, ["delivery.failed", "delivery.failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_without_an_endpoint_is_missed_in_the_log_and_holds_nothing_up() {
    let world = world().await;
    let env = vec![
        ("RETRY_DELAYS_SECONDS", "1".to_owned()),
        ("OPERATOR_PROJECT_ID", "01a20259-3a57-7c63-9fb6-0c94e1b2e278".to_owned()),
    ];
    let logs = suite::logs().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir_all(&logs).expect("a folder");
    let run = run(&world, LaneSettings { env, logs: Some(logs.clone()), ..LaneSettings::default() }).await;
    run.lane.receiver.set("/0", Behaviour::Answer(410));
    assert!(post(&run, 1).await.is_empty());
    assert!(run.lane.settle(REST).await);
    let log = run.lane.delivery.settings.log.as_ref().expect("a log");
    let log = std::fs::read_to_string(log).expect("the log");
    for event in ["endpoint.disabled", "delivery.failed"] {
        let said =
            log.lines().any(|line| line.contains("no webhook tells the operator") && line.contains(event));
        assert!(said, "{event}: {log}");
    }
    std::fs::remove_dir_all(logs).expect("the folder can go");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_batch_leaves_out_can_be_seen_before_anything_is_delivered() {
    let world = world().await;
    let mut run = run(&world, LaneSettings::default()).await;
    run.lane.stop_mappings();
    run.lane.aws.faults.outage(Some(("BatchExecuteStatement", Fault::Partial)));
    let sent = run.post_event(TEN, &json!({}), Ending::Success).await.expect("accepted");
    let mut pending = 0;
    for (delivery, endpoint) in &sent.listed {
        let target = run.project(&format!("/webhooks/{endpoint}/deliveries/{delivery}"));
        let row = run.lane.call("GET", &target, &run.key(), None).await.json();
        assert_eq!(row["status"], "pending", "{row}");
        pending += 1;
    }
    assert_eq!(pending, 10);
    run.lane.aws.faults.outage(None);
    run.lane.start_mappings();
    holds(&run, false).await;
}

/// Ten receivers answer 503 at once, and the request that records the ten attempts suffers a fault.
async fn first_attempts_are_recorded_in_spite_of(fault: Fault) {
    let world = world().await;
    let env = vec![("RETRY_DELAYS_SECONDS", "3600".to_owned())];
    let mut run = run(&world, LaneSettings { env, ..LaneSettings::default() }.patient()).await;
    (0..10).for_each(|n| run.lane.receiver.set(&format!("/{n}"), Behaviour::Answer(503)));
    run.lane.stop_mappings();
    let sent = run.post_event(TEN, &json!({}), Ending::Either).await.expect("accepted");
    run.lane.aws.faults.outage(Some(("BatchExecuteStatement", fault)));
    // While the first attempt is recorded, the answers to the other attempts arrive.
    run.lane.aws.watch.set_distance(Duration::from_millis(50));
    run.lane.start_mappings();
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    for (delivery, endpoint) in &sent.listed {
        let deliveries = run.project(&format!("/webhooks/{endpoint}/deliveries"));
        let show = format!("{deliveries}/{delivery}");
        let row = loop {
            let row = run.lane.call("GET", &show, &run.key(), None).await.json();
            if row["status"] != "pending" {
                break row;
            }
            assert!(tokio::time::Instant::now() < end, "{row}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!((&row["status"], &row["attempt_count"]), (&json!("retrying"), &json!(1)), "{row}");
        assert_eq!(row["attempts"][0]["http_status"], 503, "{row}");
        assert!(row["next_retry_at"].is_string(), "{row}");
        let retrying = format!("{deliveries}?status=retrying");
        let page = run.lane.call("GET", &retrying, &run.key(), None).await.json();
        assert_eq!(page["data"][0]["id"], delivery.as_str(), "{page}");
    }
    assert!(calls(&run, "BatchExecuteStatement deliveries") > 0);
    assert_eq!(run.lane.receiver.hits().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn first_attempts_of_which_one_is_left_out_are_recorded() {
    first_attempts_are_recorded_in_spite_of(Fault::Partial).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_attempts_that_are_refused_together_are_recorded() {
    first_attempts_are_recorded_in_spite_of(Fault::ServerError).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_attempts_whose_common_answer_is_lost_are_recorded_once() {
    first_attempts_are_recorded_in_spite_of(Fault::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_attempts_that_nothing_answers_together_are_recorded_once() {
    first_attempts_are_recorded_in_spite_of(Fault::Slow).await;
}

/// Posts an event whose ten deliveries will fail twice. The mappings are stopped, so that the ten jobs form one
/// batch.
async fn ten_will_fail_twice(run: &mut Run<'_>) {
    let fails_twice = || Behaviour::Script(vec![503, 503, 200]);
    (0..10).for_each(|n| run.lane.receiver.set(&format!("/{n}"), fails_twice()));
    run.lane.stop_mappings();
    run.post_event(TEN, &json!({}), Ending::Success).await.expect("accepted");
}

/// Ten deliveries fail together twice, and the request that sends or hides the jobs of their retries suffers a fault.
async fn retries_are_made_in_spite_of(world: &World, shared: &str, fault: Fault) {
    let env = vec![("RETRY_DELAYS_SECONDS", "2,2,2".to_owned())];
    // A job that is left in its queue and not hidden for its retry comes back too late for the test to pass.
    let queue_visibility = Duration::from_secs(600);
    let patient = LaneSettings { env, ..LaneSettings::default() }.patient();
    let mut run = run(world, LaneSettings { queue_visibility, ..patient }).await;
    ten_will_fail_twice(&mut run).await;
    run.lane.aws.faults.outage(Some((shared, fault)));
    run.lane.start_mappings();
    holds(&run, false).await;
    assert!(calls(&run, shared) > 0, "{fault:?}");
}

async fn retries_are_made_whatever_becomes_of(shared: &str) {
    let world = world().await;
    let in_spite_of = |fault| retries_are_made_in_spite_of(&world, shared, fault);
    tokio::join!(
        in_spite_of(Fault::Partial),
        in_spite_of(Fault::ServerError),
        in_spite_of(Fault::Lost),
        in_spite_of(Fault::Slow),
        in_spite_of(Fault::Late),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_of_a_batch_share_requests() {
    let world = world().await;
    let mut run = run(&world, LaneSettings::default()).await;
    ten_will_fail_twice(&mut run).await;
    run.lane.start_mappings();
    holds(&run, false).await;
    assert_eq!(calls(&run, "SendMessage retries"), 0);
    let (sent_on, hidden) = ("SendMessageBatch retries", "ChangeMessageVisibilityBatch retries");
    assert!((1..10).contains(&calls(&run, sent_on)), "{}", calls(&run, sent_on));
    assert!((1..10).contains(&calls(&run, hidden)), "{}", calls(&run, hidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_made_whatever_becomes_of_the_request_that_sends_them_on() {
    retries_are_made_whatever_becomes_of("SendMessageBatch retries").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_made_whatever_becomes_of_the_request_that_hides_them() {
    retries_are_made_whatever_becomes_of("ChangeMessageVisibilityBatch retries").await;
}

/// Puts an event for the first endpoint into the intake queue.
fn send_in(run: &Run<'_>, event_id: &str, n: u32) {
    let project_id = &run.world.project_id;
    let event =
        json!({ "project_id": project_id, "event_id": event_id, "event_name": ONE, "data": { "n": n } });
    let outgoing = Outgoing { body: event.to_string(), group: None, delay: Duration::ZERO };
    run.lane.aws.sqs.send(INTAKE, outgoing).expect("a queue");
}

fn new_ids(count: usize) -> Vec<String> {
    (0..count).map(|_| uuid::Uuid::new_v4().to_string()).collect()
}

/// Checks that each of these events was accepted for the first endpoint, and arrives there once.
async fn came_in(run: &Run<'_>, ids: &[String]) {
    assert!(run.lane.settle(REST).await);
    for event_id in ids {
        let target = run.project(&format!("/events/{event_id}"));
        let event = run.lane.call("GET", &target, &run.key(), None).await.json();
        let id = event["deliveries"][0]["id"].as_str().unwrap_or_default().to_owned();
        let listed = vec![(id, run.world.endpoints[0].clone())];
        let event_id = event_id.clone();
        run.notes().sent.push(Sent { event_id, listed, ending: Ending::Success });
    }
    holds(run, false).await;
    assert_eq!(run.lane.receiver.hits().len(), ids.len());
}

/// How often the delivery function made calls of this name.
fn calls(run: &Run<'_>, what: &str) -> u64 {
    run.lane.aws.faults.totals().get(&(Kind::Delivery, what.to_owned())).copied().unwrap_or_default()
}

/// Ten events come in as one batch, and the request that writes their rows suffers a fault.
async fn events_come_in_in_spite_of(fault: Fault) {
    let world = world().await;
    let mut run = run(&world, LaneSettings::default().patient()).await;
    run.lane.stop_mappings();
    let ids = new_ids(10);
    ids.iter().for_each(|event_id| send_in(&run, event_id, 1));
    run.lane.aws.faults.outage(Some(("BatchExecuteStatement", fault)));
    run.lane.start_mappings();
    came_in(&run, &ids).await;
    assert!(calls(&run, "BatchExecuteStatement events") > 0);
}

/// Eight events come in as one batch, one of them twice, and one beside another event of its id. Returns how many requests
/// several events share, and how many are for one event.
async fn requests_of_eight_events(world: &World) -> (u64, u64) {
    let mut run = run(world, LaneSettings::default().patient()).await;
    run.lane.stop_mappings();
    let ids = new_ids(8);
    ids.iter().chain(&ids[..1]).for_each(|event_id| send_in(&run, event_id, 1));
    send_in(&run, &ids[1], 2);
    run.lane.start_mappings();
    came_in(&run, &ids).await;
    let parked = run.lane.aws.sqs.bodies(PARKED);
    assert!(matches!(parked.as_slice(), [one] if one.contains(&ids[1])), "{parked:?}");
    (calls(&run, "BatchExecuteStatement events"), calls(&run, "PutItem events"))
}

/// Only the repeated event and the conflicting event have requests of their own.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_twice_in_a_batch_costs_the_others_nothing() {
    let world = world().await;
    let mut rounds = Vec::new();
    // On a busy machine the shared request may be given up, and then each event has a request of its own.
    while rounds.len() < 3 && !rounds.contains(&(1, 2)) {
        rounds.push(requests_of_eight_events(&world).await);
    }
    assert!(rounds.contains(&(1, 2)), "{rounds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_event_of_the_same_id_is_refused_even_where_nobody_gets_either() {
    let world = world().await;
    let mut run = run(&world, LaneSettings::default()).await;
    run.lane.stop_mappings();
    let endpoint = run.project(&format!("/webhooks/{}", run.world.endpoints[0]));
    let disabled =
        run.lane.call("PATCH", &endpoint, &run.key(), Some(&json!({ "status": "disabled" }))).await;
    assert_eq!(disabled.status, 200);
    let ids = new_ids(5);
    for event_id in &ids {
        send_in(&run, event_id, 1);
        send_in(&run, event_id, 2);
    }
    run.lane.start_mappings();
    came_in(&run, &[]).await;
    assert_eq!(run.lane.aws.sqs.bodies(PARKED).len(), ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_which_one_is_left_out_come_in() {
    events_come_in_in_spite_of(Fault::Partial).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_refused_together_come_in() {
    events_come_in_in_spite_of(Fault::ServerError).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_whose_common_answer_is_lost_come_in_once() {
    events_come_in_in_spite_of(Fault::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_nothing_answers_together_come_in_once() {
    events_come_in_in_spite_of(Fault::Slow).await;
}
