//! Operational events in whose way something comes: a bus that fails for a while, and writes that overtake each other.

use std::collections::BTreeSet;
use std::time::Duration;

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::lane::LaneSettings;
use echo_lanes::receiver::Behaviour;
use echo_lanes::run::{Ending, Run};
use echo_lanes::wait;
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
/// A job waits for up to 20 s after each of its first faults.
const REST: Duration = Duration::from_secs(90);

/// A lane that tells the operator on a bus.
async fn run<'a>(world: &'a World, env: &[(&'static str, &str)]) -> Run<'a> {
    let told = [("OPERATIONAL_EVENT_BUS_NAME", "default")];
    let env = env.iter().chain(&told).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Run::new(world.lane(LaneSettings { env, ..LaneSettings::default() }).await.expect("a lane"), world)
}

/// What was put on the bus: the names of the events with their reasons.
fn told(run: &Run<'_>) -> BTreeSet<String> {
    let of = |entry: &Value| {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str()?).ok()?;
        Some(format!("{} {}", entry["DetailType"].as_str()?, detail["reason"]))
    };
    run.lane.aws.bus().iter().filter_map(of).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn post(run: &Run<'_>) -> String {
    let sent = run.post_event(ONE, &json!({}), Ending::Either).await.expect("accepted");
    sent.listed[0].0.clone()
}

/// The row of the first endpoint that changes with its deliveries.
fn state(run: &Run<'_>) -> Value {
    let of_endpoint =
        |row: &Value| row["id"]["S"] == run.world.endpoints[0].as_str() && row["part"]["S"] == "state";
    run.lane.aws.dynamo.items("endpoints").into_iter().find(of_endpoint).expect("a row")
}

async fn activate(run: &Run<'_>) {
    let active = json!({ "status": "active" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&active), &[200]).await;
}

async fn is_disabled(run: &Run<'_>) -> bool {
    let is_down = || state(run)["is_down"]["BOOL"] == true;
    wait::until(SOON, is_down).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_did_not_take_is_told_although_the_owner_has_retried_meanwhile() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let env =
        [("RETRY_DELAYS_SECONDS", "1"), ("DISABLE_AFTER_FAILURES", "1"), ("DISABLE_AFTER_SECONDS", "0")];
    let run = run(&world, &env).await;
    run.lane.receiver.set("/0", Behaviour::Script(vec![500, 500, 200]));
    run.lane.aws.faults.outage(Some(("PutEvents", Fault::ServerError)));
    let delivery = post(&run).await;
    run.notes().retried.push(delivery.clone());
    assert!(is_disabled(&run).await);
    activate(&run).await;
    // While a failure is still to be counted, the answer is 503.
    let retry = run.endpoint(0, &format!("/deliveries/{delivery}/retry"));
    run.insist("POST", &retry, &run.key(), None, &[202]).await;
    let row = || run.lane.aws.dynamo.rows("deliveries").swap_remove(0);
    assert!(wait::until(SOON, || row()["status"] == "success").await, "{}", row());
    assert_eq!(told(&run), BTreeSet::new());

    run.lane.aws.faults.outage(None);
    assert!(run.lane.settle(REST).await, "jobs are left");
    let all = [
        r#"delivery.failed "exhausted""#,
        "endpoint.failing null",
        r#"endpoint.disabled "consecutive_failures""#,
        "endpoint.recovered null",
    ];
    assert_eq!(told(&run), set(&all));
    assert_eq!((row()["untold"].clone(), row()["attempt_count"].clone()), (Value::Null, json!(3)));
    assert_eq!(run.notes().violations, [""; 0]);
}

/// A success is written down late: meanwhile another receiver's answer has disabled the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_is_written_after_the_endpoint_was_disabled_is_not_its_recovery() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = run(&world, &[]).await;
    let mut failing = state(&run);
    failing["consecutive_failures"] = json!({ "N": "1" });
    failing["first_failure_at"] = json!({ "N": "1776009119499" });
    run.lane.aws.dynamo.put("endpoints", &failing);
    let what = "UpdateItem endpoints".to_owned();
    let late = Injection { fault: Fault::Late, span: Span::Once };
    run.lane.aws.faults.arm(Some((CallKey { kind: Kind::Delivery, what, nth: 1 }, late)));
    post(&run).await;
    assert!(wait::until(SOON, || run.lane.aws.faults.has_struck()).await, "no success was written");
    run.lane.receiver.set("/0", Behaviour::Answer(410));
    post(&run).await;
    assert!(is_disabled(&run).await);
    assert!(run.lane.settle(REST).await, "jobs are left");
    let gone = [r#"delivery.failed "gone""#, r#"endpoint.disabled "gone""#];
    assert_eq!(told(&run), set(&gone));
    assert_eq!(state(&run)["consecutive_failures"]["N"], "0");

    activate(&run).await;
    run.lane.receiver.set("/0", Behaviour::Answer(200));
    post(&run).await;
    assert!(run.lane.settle(REST).await, "jobs are left");
    assert_eq!(told(&run), set(&[&gone[..], &["endpoint.recovered null"]].concat()));
    assert_eq!(run.notes().violations, [""; 0]);
}
