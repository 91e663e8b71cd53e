//! A project's budgets of events and of test events (contract §5). They stop a loop whose requests carry no sign of a
//! loop. Other projects are not affected, and queued events wait for the next minute.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use echo_lanes::clock::now_millis;
use echo_lanes::fault::Fault;
use echo_lanes::function::Kind;
use echo_lanes::gateway::{self, HttpRequest, Port};
use echo_lanes::lane::{Auth, DEAD, INTAKE, Lane, LaneSettings, PARKED};
use echo_lanes::relay::Relay;
use echo_lanes::run::Run;
use echo_lanes::sqs::Outgoing;
use echo_lanes::suite;
use echo_lanes::wait;
use echo_lanes::world::{ONE, TEN, World};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const REST: Duration = Duration::from_secs(60);
const EVENTS: &str = "MAX_EVENTS_PER_MINUTE";
const TESTS: &str = "MAX_TEST_EVENTS_PER_MINUTE";

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

async fn run<'a>(world: &'a World, budget: &'static str, per_minute: usize, concurrency: usize) -> Run<'a> {
    let env = vec![(budget, per_minute.to_string())];
    let name = format!("budgets-{per_minute}");
    std::fs::create_dir_all(suite::logs()).expect("a folder for logs");
    for kind in KINDS {
        _ = std::fs::remove_file(log(&name, kind));
    }
    let logs = Some(suite::logs());
    let settings =
        LaneSettings { name, env, concurrency, with_journal: false, logs, ..LaneSettings::default() };
    Run::new(world.lane(settings.patient()).await.expect("a lane"), world)
}

const KINDS: [Kind; 2] = [Kind::Api, Kind::Delivery];

fn log(lane: &str, kind: Kind) -> PathBuf {
    suite::logs().join(format!("{lane}-{kind}.log"))
}

fn logged(run: &Run<'_>, kind: Kind) -> Vec<Value> {
    let text = std::fs::read_to_string(log(&run.lane.settings.name, kind)).expect("a log");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The api's log lines that the template's metric filter counts as `OverBudget`.
fn counted(run: &Run<'_>) -> Vec<Value> {
    logged(run, Kind::Api).into_iter().filter(|line| line["over_budget"].as_u64() > Some(0)).collect()
}

/// The number of blocks that were handed out without a lease because the lease took too long, as happens on a busy
/// machine. With the budgets of these tests such a block is one permit.
fn uncounted(run: &Run<'_>) -> usize {
    let is_uncounted =
        |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with("events pass although"));
    KINDS.iter().flat_map(|kind| logged(run, *kind)).filter(is_uncounted).count()
}

fn minute() -> u64 {
    now_millis() / 60_000
}

/// Waits until at least fifty seconds of the clock's minute are left, and returns the minute.
async fn early_in_a_minute() -> u64 {
    until("a minute begins", || now_millis() % 60_000 < 10_000).await;
    minute()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    assert!(wait::until(Duration::from_secs(120), is_so).await, "this did not happen in time: {what}");
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}

/// The number of a project's accepted events, whether or not their producers waited for the answer.
fn accepted(run: &Run<'_>, project_id: &str) -> usize {
    run.lane.aws.dynamo.rows("events").iter().filter(|row| row["project_id"] == project_id).count()
}

/// Another project of the same account, with one endpoint.
struct Other {
    id: String,
    key: String,
    webhook: String,
}

impl Other {
    async fn make(run: &Run<'_>) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let bearer = Auth::Bearer(&run.world.access_token);
        let made =
            run.lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": "other" }))).await.json();
        let (id, key) = (text(&made["id"]), text(&made["api_key"]));
        let body = json!({ "url": format!("http://{}/other", run.lane.receiver.address()), "events": [ONE] });
        let target = format!("/v1/projects/{id}/webhooks");
        let made = run.lane.call("POST", &target, &Auth::Key(&key), Some(&body)).await.json();
        Self { id, key, webhook: text(&made["id"]) }
    }

    async fn post(&self, lane: &Lane, rest: &str) -> u16 {
        let target = format!("/v1/projects/{}{rest}", self.id);
        let body = json!({ "event_name": ONE });
        lane.call("POST", &target, &Auth::Key(&self.key), Some(&body)).await.status
    }
}

/// Leads endpoint `n` to this path of the API behind `address`. Its requests carry the project's key.
async fn turn_back(run: &Run<'_>, n: usize, address: std::net::SocketAddr, path: &str) {
    let body =
        json!({ "url": format!("http://{address}{path}"), "headers": { "x-api-key": run.world.api_key } });
    run.insist("PATCH", &run.endpoint(n, ""), &run.key(), Some(&body), &[200]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_through_test_events_stops_at_their_budget() {
    const BUDGET: usize = 12;
    let world = world().await;
    let run = run(&world, TESTS, BUDGET, 4).await;
    let port = Port::open(&run.lane.api).await.expect("a port");
    let relay = Relay::StripsHeaders.open(port.address()).await.expect("a port");
    let (other, test) = (Other::make(&run).await, run.endpoint(0, "/test"));
    turn_back(&run, 0, relay.address, &test).await;
    let first = early_in_a_minute().await;
    run.insist("POST", &test, &run.key(), None, &[202]).await;
    until("a test event is refused", || port.statuses().contains(&429)).await;
    let so_far = accepted(&run, &world.project_id);
    assert!((BUDGET * 2 / 3..=BUDGET + uncounted(&run)).contains(&so_far), "{so_far} test events");
    let refused = run.lane.call("POST", &test, &run.key(), None).await;
    let retry_after = refused.headers.get("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert_eq!(refused.status, 429);
    assert!(retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{retry_after:?}");
    let webhook = format!("/webhooks/{}/test", other.webhook);
    assert_eq!(other.post(&run.lane, &webhook).await, 202, "another project's test event");
    assert_eq!(other.post(&run.lane, "/events").await, 202, "another project's event");
    // The project's events and its test events have separate budgets.
    let body = json!({ "event_name": "call.ended" });
    run.insist("POST", &run.project("/events"), &run.key(), Some(&body), &[202]).await;
    // The last delivery ends after its attempts. If one of them falls into the next minute, the loop spends the next
    // minute's budget too.
    assert!(run.lane.settle(REST).await || minute() > first + 1, "the loop goes on: {:?}", port.statuses());
    let minutes = usize::try_from(minute() - first + 1).expect("a few");
    let (accepted, of_another_budget) = (accepted(&run, &world.project_id), 1);
    let most = BUDGET * minutes + of_another_budget + uncounted(&run);
    assert!(accepted <= most, "{accepted} events in {minutes} minutes, at most {most}");
    assert_eq!(run.notes().violations, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_multiplies_stops_at_the_budget_of_events() {
    const BUDGET: usize = 30;
    let world = world().await;
    let run = run(&world, EVENTS, BUDGET, 4).await;
    let port = Port::open(&run.lane.api).await.expect("a port");
    let relay = Relay::StripsHeaders.open(port.address()).await.expect("a port");
    let other = Other::make(&run).await;
    for n in 0..10 {
        turn_back(&run, n, relay.address, &run.project("/events")).await;
    }
    let first = early_in_a_minute().await;
    let body = json!({ "event_name": TEN });
    run.insist("POST", &run.project("/events"), &run.key(), Some(&body), &[202]).await;
    until("a hundred events are refused", || count(&port.statuses(), 429) >= 100).await;
    assert_eq!(other.post(&run.lane, "/events").await, 202, "another project's event");
    until("another project's event arrives", || {
        run.lane.receiver.hits().iter().any(|hit| hit.path == "/other")
    })
    .await;
    let accepted = accepted(&run, &world.project_id);
    let minutes = usize::try_from(minute() - first + 1).expect("a few");
    let most = BUDGET * minutes + uncounted(&run);
    assert!(accepted <= most, "{accepted} events in {minutes} minutes, at most {most}");
    assert!(accepted >= BUDGET * 2 / 3, "{accepted} events are too few for a loop");
}

/// A batch leases all of its permits at once. The events beyond the budget are refused one by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_accepted_as_far_as_the_budget_goes() {
    const BUDGET: usize = 5;
    let world = world().await;
    let mut events = vec![json!({ "event_name": ONE }); 8];
    events[2] = json!({ "event_name": "call.x" });
    let mut tries = 0..3;
    let (run, answer) = loop {
        assert!(tries.next().is_some(), "each time the lease took too long");
        let run = run(&world, EVENTS, BUDGET, 1).await;
        early_in_a_minute().await;
        run.lane.aws.faults.arm(None);
        let target = run.project("/events/batch");
        let answer = run.lane.call("POST", &target, &run.key(), Some(&json!({ "events": events }))).await;
        if uncounted(&run) == 0 {
            break (run, answer);
        }
    };
    let results = answer.json()["results"].as_array().cloned().expect("results");
    let statuses: Vec<u64> = results.iter().filter_map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [202, 202, 400, 202, 202, 202, 429, 429]);
    let message = results[7]["message"].as_str().expect("a text");
    assert!(message.ends_with("send this event again later"), "{message}");
    assert_eq!(accepted(&run, &world.project_id), BUDGET);
    let leases = run.lane.aws.faults.calls().iter().filter(|call| call.key.what.contains("budgets")).count();
    assert!(leases <= 2, "{leases} leases");
    let counted = counted(&run);
    assert_eq!((&counted[0]["over_budget"], &counted[0]["accepted"]), (&json!(2), &json!(5)), "{counted:?}");
}

/// Posts `count` events, 16 at once, and returns the status of each answer.
async fn post_many(run: &Run<'_>, count: usize) -> Vec<u16> {
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..16 {
        let (left, api) = (Arc::clone(&left), Arc::clone(&run.lane.api));
        let request = HttpRequest {
            method: "POST".to_owned(),
            target: run.project("/events"),
            headers: [("x-api-key".to_owned(), run.world.api_key.clone())].into(),
            body: Some(json!({ "event_name": "call.ended" }).to_string().into()),
            source_ip: None,
        };
        workers.spawn(async move {
            use std::sync::atomic::Ordering::Relaxed;
            let mut statuses = Vec::new();
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                statuses.push(gateway::call(&api, request.clone()).await.status);
            }
            statuses
        });
    }
    workers.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_spend_two_thirds_of_a_budget_without_a_refusal_and_never_more_than_all_of_it() {
    const BUDGET: usize = 90;
    let world = world().await;
    let run = run(&world, EVENTS, BUDGET, 16).await;
    // These requests start sixteen processes, so that the following requests need not wait for them.
    let warm_up = json!({ "event_name": "no event" });
    let warm = (0..16).map(|_| async {
        run.lane.call("POST", &run.project("/events"), &run.key(), Some(&warm_up)).await.status
    });
    assert_eq!(futures_util::future::join_all(warm).await, [400; 16], "a refused event costs nothing");
    let first = early_in_a_minute().await;
    assert_eq!(post_many(&run, BUDGET * 2 / 3).await, [202; BUDGET * 2 / 3]);
    let more = post_many(&run, BUDGET).await;
    assert_eq!(minute(), first, "the test took longer than the minute, so it shows nothing");
    assert!(count(&more, 202) <= BUDGET / 3 + uncounted(&run), "{more:?}");
    assert_eq!(count(&more, 202) + count(&more, 429), BUDGET, "{more:?}");
    let counted = counted(&run);
    assert_eq!(counted.len(), count(&more, 429));
    for line in counted {
        assert_eq!((&line["status"], &line["stack"]), (&json!(429), &json!("echo-webhooks")), "{line}");
        assert_eq!(line["span"]["project_id"], world.project_id.as_str(), "{line}");
    }
}

fn leases(run: &Run<'_>) -> u64 {
    let totals = run.lane.aws.faults.totals();
    totals.iter().filter(|((_, what), _)| what.ends_with(" budgets")).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_project_costs_no_lease_and_a_busy_one_few() {
    let world = world().await;
    let run = run(&world, EVENTS, 100_000, 1).await;
    let first = early_in_a_minute().await;
    assert_eq!(post_many(&run, 20).await, [202; 20]);
    assert_eq!((leases(&run), minute()), (0, first));
    assert_eq!(post_many(&run, 80).await, [202; 80]);
    // The leases are taken after 20, 30, 45 and 67 events.
    assert_eq!((leases(&run), minute()), (4, first));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_while_they_cannot_be_counted() {
    let world = world().await;
    let run = run(&world, EVENTS, 4, 1).await;
    for fault in [Fault::Throttled, Fault::Refused, Fault::Slow] {
        run.lane.aws.faults.outage(Some(("UpdateItem budgets", fault)));
        for _ in 0..3 {
            let body = json!({ "event_name": ONE });
            let answer = run.lane.call("POST", &run.project("/events"), &run.key(), Some(&body)).await;
            assert_eq!(answer.status, 202, "{fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_event_waits_for_the_next_minute_and_is_not_parked() {
    const BUDGET: usize = 10;
    let world = world().await;
    let run = run(&world, EVENTS, BUDGET, 4).await;
    let other = Other::make(&run).await;
    early_in_a_minute().await;
    let send = |project_id: &str| {
        let body = json!({ "project_id": project_id, "event_name": ONE,
            "event_id": uuid::Uuid::new_v4().to_string() });
        let outgoing = Outgoing { body: body.to_string(), group: None, delay: Duration::ZERO };
        assert!(run.lane.aws.sqs.send(INTAKE, outgoing).is_ok(), "the queue is there");
    };
    // The events of both projects are mixed, so that they share batches.
    for n in 0..15 {
        send(&world.project_id);
        if n % 3 == 0 {
            send(&other.id);
        }
    }
    until("the budget is spent", || accepted(&run, &world.project_id) >= BUDGET).await;
    until("another project's events are accepted", || accepted(&run, &other.id) == 5).await;
    let hidden = || run.lane.aws.sqs.depth(INTAKE).in_flight;
    until("the others are hidden", || hidden() == 15 - accepted(&run, &world.project_id)).await;
    let so_far = accepted(&run, &world.project_id);
    assert!(so_far <= BUDGET + uncounted(&run), "{so_far} events");
    assert!(run.lane.settle(Duration::from_secs(120)).await, "events still wait after two minutes");
    assert_eq!((accepted(&run, &world.project_id), accepted(&run, &other.id)), (15, 5));
    for queue in [PARKED, DEAD] {
        assert_eq!(run.lane.aws.sqs.bodies(queue), [""; 0], "{queue}");
    }
    let arrived = run.lane.receiver.hits().iter().filter(|hit| hit.path == "/0").count();
    assert_eq!(arrived, 15);
}
