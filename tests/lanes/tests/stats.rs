//! Hourly counts (contract §6) on the real functions: their cost, and that no delivery depends on them.

use std::time::Duration;

use echo_lanes::fault::{Fault, Faults};
use echo_lanes::function::Kind;
use echo_lanes::invariants::judge;
use echo_lanes::lane::{Lane, LaneSettings};
use echo_lanes::run::{Ending, Run};
use echo_lanes::suite;
use echo_lanes::world::{ONE, TEN, World};
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(60);
const AUTOMATIC: usize = 4;

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

/// A lane that writes its log to a folder of its own.
async fn run<'a>(world: &'a World, env: &[(&'static str, &str)]) -> Run<'a> {
    let logs = suite::logs().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir_all(&logs).expect("a folder");
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let settings = LaneSettings { env, logs: Some(logs), ..LaneSettings::default() }.patient();
    Run::new(world.lane(settings).await.expect("a lane"), world)
}

/// The writes of counts that were tried since the lane began.
fn writes(faults: &Faults) -> u64 {
    faults.totals().get(&(Kind::Delivery, "UpdateItem stats".to_owned())).copied().unwrap_or_default()
}

/// Posts events while nothing is delivered, and then delivers them in full batches.
async fn deliver(run: &mut Run<'_>, name: &str, events: usize) {
    run.lane.stop_mappings();
    for _ in 0..events {
        run.post_event(name, &json!({}), Ending::Success).await.expect("accepted");
    }
    run.lane.start_mappings();
    assert!(run.lane.settle(REST).await, "jobs are left");
}

async fn total(run: &Run<'_>, endpoint: usize) -> Value {
    let answer = run.lane.call("GET", &run.endpoint(endpoint, "/stats"), &run.key(), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["total"].clone()
}

fn metric(lane: &Lane, name: &str) -> u64 {
    let log = std::fs::read_to_string(lane.delivery.settings.log.as_ref().expect("a log")).expect("the log");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["_aws"].is_object()).filter_map(|line| line[name].as_u64()).sum()
}

async fn over(run: Run<'_>) {
    let verdict = judge(&run, true, AUTOMATIC).await;
    assert_eq!((verdict.losses, verdict.violations), (Vec::new(), Vec::new()));
    std::fs::remove_dir_all(run.lane.settings.logs.clone().expect("a folder")).expect("the folder can go");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_writes_one_unit_for_each_endpoint_that_it_delivers_to() {
    let world = world().await;
    let mut run = run(&world, &[]).await;
    deliver(&mut run, ONE, 30).await;
    let batches = run.lane.batches.all();
    let written = writes(&run.lane.aws.faults);
    println!("{} batches of 30 deliveries made {written} writes", batches.len());
    assert!(written <= batches.len() as u64 && written < 30, "{written} writes in {} batches", batches.len());
    assert_eq!(total(&run, 0).await["delivered"], 30);

    let before = run.lane.aws.partitions.used();
    deliver(&mut run, TEN, 1).await;
    let used = run.lane.aws.partitions.used_since(&before).into_iter();
    let units: f64 = used.filter(|used| used.table == "stats").map(|used| used.units).sum();
    assert_eq!(writes(&run.lane.aws.faults) - written, 10, "a write for each endpoint");
    assert_eq!(units, 10.0, "units for ten endpoints");
    for endpoint in 1..10 {
        assert_eq!(total(&run, endpoint).await["delivered"], 1, "endpoint {endpoint}");
    }
    over(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_cannot_be_written_keep_no_delivery_and_no_message() {
    for fault in [Fault::Throttled, Fault::ServerError, Fault::Slow] {
        let world = world().await;
        let mut run = run(&world, &[]).await;
        run.lane.aws.faults.outage(Some(("UpdateItem stats", fault)));
        deliver(&mut run, ONE, 5).await;
        let lost = metric(&run.lane, "StatsLost");
        assert!(lost > 0, "{fault:?}: no count was lost");
        assert_eq!(writes(&run.lane.aws.faults), lost, "{fault:?}: a write was tried again");
        assert_eq!(metric(&run.lane, "HeldBack"), 0, "{fault:?}");
        assert_eq!(run.lane.receiver.hits().len(), 5, "{fault:?}: each was sent once");
        run.lane.aws.faults.outage(None);
        // A slow write is done in the end. None counts twice.
        let delivered = total(&run, 0).await["delivered"].as_u64();
        assert!(delivered <= Some(5), "{fault:?}: {delivered:?}");
        over(run).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_statistics_nothing_is_written_or_shown() {
    let world = world().await;
    let mut run = run(&world, &[("HOURLY_STATISTICS", "off")]).await;
    deliver(&mut run, ONE, 5).await;
    assert_eq!(writes(&run.lane.aws.faults), 0);
    for target in [run.endpoint(0, "/stats"), run.project("/stats")] {
        let answer = run.lane.call("GET", &target, &run.key(), None).await;
        assert_eq!(
            (answer.status, answer.json()["message"].clone()),
            (404, "This deployment keeps no hourly statistics".into())
        );
    }
    over(run).await;
}
