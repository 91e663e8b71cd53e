//! Ordered endpoints on the real functions: their cost, the speed of a stream, and that streams delay nothing else.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use echo_lanes::lane::{LaneSettings, SLOW_ENDPOINTS};
use echo_lanes::receiver::{Behaviour, Hit};
use echo_lanes::run::Run;
use echo_lanes::sqs::Depth;
use echo_lanes::wait;
use echo_lanes::world::World;
use serde_json::{Value, json};

const NAME: &str = "call.ended";
const PATIENCE: Duration = Duration::from_secs(120);

/// Retries come after five minutes, so a blocked stream stays blocked.
fn settings(name: &str) -> LaneSettings {
    LaneSettings {
        name: name.to_owned(),
        env: vec![("RETRY_DELAYS_SECONDS", "300".to_owned()), ("REQUEST_TIMEOUT_SECONDS", "5".to_owned())],
        delivery_timeout: Duration::from_secs(30),
        queue_visibility: Duration::from_secs(60),
        with_journal: false,
        ..LaneSettings::default()
    }
}

/// An endpoint of the world's project, at a path of the receiver.
async fn endpoint(run: &Run<'_>, path: &str, name: &str, ordered: Option<&str>) {
    let url = format!("http://{}{path}", run.lane.receiver.address());
    let body = json!({ "url": url, "events": [name], "ordered": ordered });
    run.insist("POST", &run.project("/webhooks"), &run.key(), Some(&body), &[201]).await;
}

/// Posts events until each is accepted. On a busy machine a batch may take longer than it has.
async fn post(run: &Run<'_>, events: &[Value]) {
    for events in events.chunks(25) {
        let mut left = events.to_vec();
        for _ in 0..20 {
            let body = json!({ "events": left });
            let target = run.project("/events/batch");
            let answers = run.insist("POST", &target, &run.key(), Some(&body), &[200]).await;
            let results = answers.last().map(|answer| answer.json()["results"].clone()).unwrap_or_default();
            let results = results.as_array().cloned().unwrap_or_default();
            let again = left.into_iter().zip(results).filter(|(_, result)| result["status"] != 202);
            left = again.map(|(event, _)| event).collect();
            if left.is_empty() {
                break;
            }
        }
        assert!(left.is_empty(), "{} were not accepted", left.len());
    }
}

fn event(name: &str, customer: Option<usize>, n: usize) -> Value {
    let customer = customer.map(|customer| customer.to_string());
    let id = uuid::Uuid::new_v4().to_string();
    json!({ "event_name": name, "event_id": id, "customer_id": customer, "data": { "n": n } })
}

fn hits(run: &Run<'_>, path: &str) -> Vec<Hit> {
    run.lane.receiver.hits().into_iter().filter(|hit| hit.path == path).collect()
}

async fn arrive(run: &Run<'_>, path: &str, count: usize) -> Vec<Hit> {
    let all = wait::until(PATIENCE, || hits(run, path).len() >= count).await;
    let hits = hits(run, path);
    assert!(all, "{} of {count} came to {path}", hits.len());
    hits
}

/// The write units of each table since then.
fn written(run: &Run<'_>, since: &echo_lanes::partitions::Totals) -> BTreeMap<String, f64> {
    let mut units = BTreeMap::new();
    for used in run.lane.aws.partitions.used_since(since) {
        if used.most_per_s <= 1_000.0 {
            *units.entry(used.table).or_default() += used.units;
        }
    }
    units
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_delivery_writes_two_units_more_and_one_in_a_backlog() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(settings("stream-units")).await.expect("a lane"), &world);
    endpoint(&run, "/ordered", NAME, Some("endpoint")).await;
    endpoint(&run, "/plain", "call.started", None).await;
    let alone = async |name, path, sent| {
        let before = run.lane.aws.partitions.used();
        post(&run, &[event(name, None, 0)]).await;
        arrive(&run, path, sent).await;
        assert!(run.lane.settle(PATIENCE).await);
        written(&run, &before)
    };
    // The first event of a project leases a part of its budget.
    alone(NAME, "/ordered", 1).await;
    let ordered = alone(NAME, "/ordered", 2).await;
    assert_eq!(ordered.get("streams"), Some(&2.0), "a place and a block: {ordered:?}");
    // Another endpoint of the world gets each of these events too.
    let plain = alone("call.started", "/plain", 1).await;
    assert_eq!(plain.get("streams"), None, "{plain:?}");
    for table in ["events", "deliveries"] {
        assert_eq!(ordered.get(table), plain.get(table), "{ordered:?} and {plain:?}");
    }

    run.lane.stop_mappings();
    let before = run.lane.aws.partitions.used();
    for n in 0..60 {
        post(&run, &[event(NAME, None, n)]).await;
    }
    run.lane.start_mappings();
    arrive(&run, "/ordered", 62).await;
    assert!(run.lane.settle(PATIENCE).await);
    let units = written(&run, &before)["streams"];
    println!("a backlog of 60 wrote {units} units of streams");
    assert!(units <= 60.0 * 1.2, "{units} units for 60 deliveries");
}

/// The receiver answers in 5 ms. The rate is printed; it is a measurement only where nothing else runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_delivers_one_after_another_without_a_pause() {
    const EVENTS: usize = 200;
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(settings("stream-rate")).await.expect("a lane"), &world);
    run.lane.receiver.set("/ordered", Behaviour::After(Duration::from_millis(5), 200));
    endpoint(&run, "/ordered", NAME, Some("endpoint")).await;
    post(&run, &(0..EVENTS).map(|n| event(NAME, None, n)).collect::<Vec<_>>()).await;
    let hits = arrive(&run, "/ordered", EVENTS).await;
    let numbers = hits.iter().map(|hit| hit.headers["x-echo-sequence"].parse::<usize>().expect("a number"));
    assert!(numbers.eq(1..=EVENTS), "in order, each once");
    let took = hits[EVENTS - 1].at - hits[0].at;
    println!(
        "{EVENTS} deliveries of one stream in {took:?}: {:.0} a second",
        EVENTS as f64 / took.as_secs_f64()
    );
    // With a wait for a message before each delivery it would take 200 s.
    assert!(took < Duration::from_secs(150), "it paused: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_deliver_side_by_side() {
    const STREAMS: usize = 200;
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(settings("many-streams")).await.expect("a lane"), &world);
    endpoint(&run, "/ordered", NAME, Some("customer_id")).await;
    let events: Vec<Value> =
        (0..2).flat_map(|n| (0..STREAMS).map(move |customer| event(NAME, Some(customer), n))).collect();
    let began = Instant::now();
    post(&run, &events).await;
    let accepted = began.elapsed();
    let hits = arrive(&run, "/ordered", 2 * STREAMS).await;
    println!(
        "two deliveries of each of {STREAMS} streams: accepted in {accepted:?}, sent in {:?}",
        began.elapsed()
    );
    let mut numbers: HashMap<String, Vec<String>> = HashMap::new();
    for hit in &hits {
        let body: Value = serde_json::from_slice(&hit.body).expect("JSON");
        let customer = body["customer_id"].as_str().expect("a customer").to_owned();
        numbers.entry(customer).or_default().push(hit.headers["x-echo-sequence"].clone());
    }
    assert_eq!(numbers.len(), STREAMS);
    assert!(numbers.values().all(|numbers| *numbers == ["1", "2"]), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_streams_and_a_backlog_delay_nothing_else() {
    const BLOCKED: usize = 100;
    const BACKLOG: usize = 300;
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(settings("blocked-streams")).await.expect("a lane"), &world);
    run.lane.receiver.set("/blocked", Behaviour::Answer(500));
    run.lane.receiver.set("/backlog", Behaviour::After(Duration::from_secs(1), 200));
    endpoint(&run, "/blocked", "call.started", Some("customer_id")).await;
    endpoint(&run, "/backlog", NAME, Some("endpoint")).await;
    let blocked =
        (0..2).flat_map(|n| (0..BLOCKED).map(move |customer| event("call.started", Some(customer), n)));
    post(&run, &blocked.collect::<Vec<_>>()).await;
    arrive(&run, "/blocked", BLOCKED).await;
    post(&run, &(0..BACKLOG).map(|n| event(NAME, None, n)).collect::<Vec<_>>()).await;
    // The jobs of the backlog leave, but for one.
    let jobs_left = || run.lane.aws.sqs.depth("first-attempts").total() < 20;
    assert!(wait::until(PATIENCE, jobs_left).await);

    endpoint(&run, "/free", "call.summary", Some("customer_id")).await;
    endpoint(&run, "/plain", "call.summary", None).await;
    let began = Instant::now();
    post(&run, &(0..10).map(|n| event("call.summary", Some(n), n)).collect::<Vec<_>>()).await;
    for path in ["/free", "/plain"] {
        let last = arrive(&run, path, 10).await.iter().map(|hit| hit.at).max().expect("ten");
        println!("{path}: the last of ten came after {:?}", last - began);
        assert!(last - began < Duration::from_secs(30), "{path}: {:?}", last - began);
    }
    assert!(hits(&run, "/backlog").len() < BACKLOG, "the backlog is still there");
    assert_eq!(hits(&run, "/blocked").len(), BLOCKED, "each is blocked by its first delivery");
}

/// A stream's message that hid for its delivery would be hidden again for the next one, until its queue gave it up. A process
/// that gets no other jobs would not learn how many are hidden either.
#[tokio::test(flavor = "multi_thread")]
async fn no_delivery_waits_in_its_streams_message_in_the_slow_lane() {
    const STREAMS: usize = 6;
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(settings("slow-streams")).await.expect("a lane"), &world);
    run.lane.receiver.set("/late", Behaviour::After(Duration::from_millis(2_500), 500));
    endpoint(&run, "/late", NAME, Some("customer_id")).await;
    let slow_lane = || run.lane.aws.sqs.depth(SLOW_ENDPOINTS);
    let all_wait = |retries| {
        wait::until(PATIENCE / 2, move || slow_lane() == Depth { delayed: retries, ..Depth::default() })
    };
    post(&run, &[event(NAME, Some(0), 0)]).await;
    assert!(all_wait(1).await, "the first attempt marks the endpoint: {:?}", slow_lane());
    post(&run, &(1..=STREAMS).map(|customer| event(NAME, Some(customer), 0)).collect::<Vec<_>>()).await;
    assert!(all_wait(1 + STREAMS).await, "{:?}", slow_lane());
    assert_eq!(hits(&run, "/late").len(), 1 + STREAMS);
}

/// Gives the stream of `/ordered` chunks full of deliveries that have expired.
async fn fill(run: &Run<'_>, chunks: usize) {
    const FULL: usize = 24;
    endpoint(run, "/ordered", NAME, Some("endpoint")).await;
    post(run, &[event(NAME, None, 0)]).await;
    arrive(run, "/ordered", 1).await;
    assert!(run.lane.settle(PATIENCE).await);
    let rows = run.lane.aws.dynamo.items("streams");
    let mut chunk = rows.into_iter().find(|row| row["part"]["N"] == "0").expect("the first chunk");
    let entry = chunk["entries"]["L"][0]["B"].as_str().expect("an entry in base64").to_owned();
    for part in 0..chunks {
        let entries = (0..FULL).map(|n| format!("{}{:04}{}", &entry[..12], part * FULL + n, &entry[16..]));
        chunk["entries"]["L"] = entries.map(|entry| json!({ "B": entry })).collect();
        chunk["part"]["N"] = part.to_string().into();
        run.lane.aws.dynamo.put("streams", &chunk);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_passes_many_blocks() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(settings("many-blocks")).await.expect("a lane"), &world);
    fill(&run, 60).await;
    post(&run, &[event(NAME, None, 1)]).await;
    arrive(&run, "/ordered", 2).await;
}

/// The head tells an early chunk if the writes failed that would have noted a later one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_head_tells_a_chunk_far_behind_takes_events() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(settings("far-behind")).await.expect("a lane"), &world);
    fill(&run, 65).await;
    run.lane.stop_mappings();
    let target = run.project("/events");
    let answers = run.insist("POST", &target, &run.key(), Some(&event(NAME, None, 1)), &[202]).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [503, 202]);
}
