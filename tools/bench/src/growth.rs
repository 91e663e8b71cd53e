//! The effect of more data on costs: reads and writes with 100, 10,000 and 1,000,000 stored deliveries of one
//! endpoint, and with 1, 10 and 50 endpoints.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use echo_lanes::dynamo::Dynamo;
use echo_lanes::lane::FIRST_ATTEMPTS;
use echo_lanes::sqs::Outgoing;
use echo_shared::endpoint::SETTLES_AFTER;
use echo_shared::event_name::EventName;
use echo_shared::id::EventId;
use echo_shared::partition::Partition;
use echo_shared::shards::Shard;
use echo_shared::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::process;
use crate::progress::Progress;
use crate::sample;
use crate::stage::{Setup, Stage, expect};
use crate::trips::median;
use crate::units::Units;

const STORED: [usize; 3] = [100, 10_000, 1_000_000];
const ENDPOINTS: [usize; 3] = [1, 10, 50];

/// The number of failed deliveries among the stored ones, at every size.
const RARE: usize = 20;

const TIMES: usize = 5;

/// How many deliveries come between two that settle their endpoint, on average. So many are left unsettled when a page of
/// pending ones is measured.
const BETWEEN_LANDMARKS: usize = 128;

/// One operation at one size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    pub(crate) operation: &'static str,
    /// The number of stored deliveries, or of the project's endpoints.
    pub(crate) size: usize,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Growth {
    pub(crate) stored: Vec<Point>,
    pub(crate) endpoints: Vec<Point>,
    /// The API function's peak memory after each size, with the size.
    pub(crate) api_rss_mb: Vec<(usize, f64)>,
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<Growth> {
    progress.part("Growth: stored deliveries");
    let mut growth = Growth::default();
    let stage = Stage::set(Setup::with_endpoints(1)).await?;
    for n in 0..2 {
        stage.post(n).await?;
    }
    stage.deliver(FIRST_ATTEMPTS, 10).await?;
    let template = stage.lane.aws.dynamo.items("deliveries").into_iter().next().unwrap_or_default();
    // Younger endpoints are not settled.
    tokio::time::sleep(SETTLES_AFTER + Duration::from_secs(1)).await;
    let landmark = landmark(&stage, &template).await?;
    let (now, mut stored) = (Timestamp::now(), 0);
    for (step, size) in STORED.into_iter().enumerate() {
        let unsettled = size.saturating_sub(BETWEEN_LANDMARKS).max(stored);
        load(&stage.lane.aws.dynamo, &template, now, stored..unsettled);
        if unsettled > stored {
            settled_to(&stage.lane.aws.dynamo, at(now, stored));
            growth.stored.push(settle(&stage, &landmark, size, unsettled - stored).await?);
        }
        settled_to(&stage.lane.aws.dynamo, at(now, unsettled));
        load(&stage.lane.aws.dynamo, &template, now, unsettled..size);
        stored = size;
        stored_points(&stage, size, &mut growth).await?;
        progress.step(step + 1, STORED.len());
    }
    drop(stage);
    progress.part("Growth: endpoints");
    let mut stage = Stage::set(Setup::with_endpoints(1)).await?;
    for (step, count) in ENDPOINTS.into_iter().enumerate() {
        stage.add_endpoints(count).await?;
        let list = "webhooks".to_owned();
        growth.endpoints.push(read(&stage, "list endpoints", count, &list).await?);
        growth.endpoints.push(accept(&stage, count).await?);
        progress.step(step + 1, ENDPOINTS.len());
    }
    Ok(growth)
}

/// One delivery every two seconds up to now: a million of them take 23 days.
fn at(now: Timestamp, n: usize) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - 2_000 * i64::try_from(STORED[2] - n).unwrap_or(0))
}

/// Sets the time up to which the endpoint's deliveries are settled, as if the rows had come in one by one.
fn settled_to(dynamo: &Dynamo, to: Timestamp) {
    for mut state in dynamo.items("endpoints").into_iter().filter(|row| row["part"]["S"] == "state") {
        state["settled_to"] = json!({ "N": to.as_millis().to_string() });
        dynamo.put("endpoints", &state);
    }
}

/// Adds rows to the endpoint's partition, the newest last. The oldest rows are the failed ones.
fn load(dynamo: &Dynamo, template: &Value, now: Timestamp, rows: Range<usize>) {
    let endpoint_id = template["endpoint_id"]["S"].as_str().unwrap_or_default().to_owned();
    let partition = partition();
    let rows = rows.map(|n| {
        let id = partition.new_id(at(now, n));
        let mut row = vec![("id", id.to_string()), ("event_id", EventId::new(at(now, n)).to_string())];
        if n < RARE {
            row.push(("status", "failed".to_owned()));
            row.push(("attention", format!("{endpoint_id}#0#failed")));
            row.push(("failure_reason", "exhausted".to_owned()));
        }
        row
    });
    dynamo.copies("deliveries", template, rows);
}

/// A job whose delivery settles its endpoint: the event of a delivery that there is, under another id.
async fn landmark(stage: &Stage, template: &Value) -> io::Result<String> {
    let text = |row: &Value, name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
    let dynamo = &stage.lane.aws.dynamo;
    let id = loop {
        let id = partition().new_id(Timestamp::now());
        if id.is_landmark() {
            break id.to_string();
        }
    };
    let old = text(template, "event_id");
    let event = dynamo.items("events").into_iter().find(|event| text(event, "event_id") == old);
    let event_id = EventId::new(Timestamp::now()).to_string();
    let event = event.unwrap_or_default().to_string().replace(&old, &event_id);
    dynamo.put("events", &serde_json::from_str(&event.replace(&text(template, "id"), &id))?);
    let job = json!({ "v": 1, "project_id": text(template, "project_id"), "event_id": event_id,
        "endpoint_id": text(template, "endpoint_id"), "delivery_id": id });
    send(stage, &job.to_string())?;
    stage.deliver(FIRST_ATTEMPTS, 1).await?;
    Ok(job.to_string())
}

fn partition() -> Partition {
    Partition { bucket: EventName::from_stored(sample::EVENT).bucket(), shard: Shard(0) }
}

fn send(stage: &Stage, job: &str) -> io::Result<()> {
    let outgoing = Outgoing { body: job.to_owned(), group: None, delay: Duration::ZERO };
    let sent = stage.lane.aws.sqs.send(FIRST_ATTEMPTS, outgoing);
    sent.map(drop).map_err(|refused| io::Error::other(format!("{refused:?}")))
}

/// Settles the endpoint as its landmarks would have while the rows came in, and gives the units for each row. The landmark's
/// delivery has ended, so its job does nothing else; the reads of its rows are not counted.
#[expect(clippy::cast_precision_loss, reason = "a million")]
async fn settle(stage: &Stage, landmark: &str, size: usize, rows: usize) -> io::Result<Point> {
    let (began, before) = (Instant::now(), stage.cpu().1);
    stage.lane.aws.watch.start();
    // Each landmark reads 400 rows, and the last ones read none.
    for _ in 0..=rows.div_ceil(400) {
        send(stage, landmark)?;
        stage.deliver(FIRST_ATTEMPTS, 1).await?;
    }
    let mut calls = stage.lane.aws.watch.stop();
    calls.retain(|call| call.operation != "BatchGetItem");
    let (units, each) = (Units::of_calls(&calls), rows.max(1) as f64);
    Ok(Point {
        operation: "settle one",
        size,
        read_units: units.read_units / each,
        write_units: units.write_units / each,
        wall_ms: began.elapsed().as_secs_f64() * 1e3 / each,
        cpu_ms: (stage.cpu().1 - before).as_secs_f64() * 1e3 / each,
    })
}

async fn stored_points(stage: &Stage, size: usize, growth: &mut Growth) -> io::Result<()> {
    let log = format!("webhooks/{}/deliveries", stage.endpoints[0]);
    let page = expect(&stage.get(&format!("{log}?limit=50")).await, 200)?;
    let one = page["data"][0]["id"].as_str().unwrap_or_default().to_owned();
    let cursor = page["next_cursor"].as_str().unwrap_or_default().to_owned();
    for (operation, target) in [
        ("first page", format!("{log}?limit=50")),
        ("next page", format!("{log}?limit=50&cursor={cursor}")),
        ("by name", format!("{log}?limit=50&event_name={}", sample::EVENT)),
        ("rare: failed", format!("{log}?limit=50&status=failed")),
        ("one delivery", format!("{log}/{one}")),
    ] {
        growth.stored.push(read(stage, operation, size, &target).await?);
    }
    growth.stored.push(accept(stage, size).await?);
    let sandboxes = stage.lane.api.sandboxes();
    let peak = sandboxes.iter().map(|sandbox| process::peak_rss_mb(sandbox.pid)).fold(0.0, f64::max);
    growth.api_rss_mb.push((size, peak));
    growth.stored.push(read(stage, "rare: pending", size, &format!("{log}?limit=50&status=pending")).await?);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
async fn read(stage: &Stage, operation: &'static str, size: usize, target: &str) -> io::Result<Point> {
    let mut walls = Vec::new();
    let before = stage.cpu().0;
    stage.lane.aws.watch.start();
    let mut times = 0;
    while times < TIMES {
        let began = Instant::now();
        expect(&stage.get(target).await, 200)?;
        times += 1;
        walls.push(began.elapsed().as_secs_f64() * 1e3);
        // One run is enough for an operation that takes seconds.
        if began.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    let units = Units::of_calls(&stage.lane.aws.watch.stop()) * (1.0 / times as f64);
    let cpu = stage.cpu().0.saturating_sub(before);
    let wall_ms = median(walls);
    let cpu_ms = cpu.as_secs_f64() * 1e3 / times as f64;
    Ok(Point {
        operation,
        size,
        read_units: units.read_units,
        write_units: units.write_units,
        wall_ms,
        cpu_ms,
    })
}

/// Measures accepting an event for all of the project's endpoints, and delivering it.
#[expect(clippy::cast_precision_loss, reason = "a few")]
async fn accept(stage: &Stage, size: usize) -> io::Result<Point> {
    let mut walls = Vec::new();
    let before = stage.cpu().0;
    stage.lane.aws.watch.start();
    for n in 0..TIMES {
        walls.push(stage.post(size + n).await?.as_secs_f64() * 1e3);
    }
    let units = Units::of_calls(&stage.lane.aws.watch.stop()) * (1.0 / TIMES as f64);
    let cpu_ms = (stage.cpu().0 - before).as_secs_f64() * 1e3 / TIMES as f64;
    while stage.deliver(FIRST_ATTEMPTS, 10).await?.is_some() {}
    let Units { read_units, write_units, .. } = units;
    Ok(Point { operation: "accept", size, read_units, write_units, wall_ms: median(walls), cpu_ms })
}
