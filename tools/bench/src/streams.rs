//! Ordered endpoints: how fast one stream delivers, and how long other deliveries wait beside a large backlog and many
//! blocked streams.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use echo_lanes::lane::FIRST_ATTEMPTS;
use echo_lanes::receiver::{Behaviour, Hit};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cost::AWS_DISTANCE;
use crate::progress::Progress;
use crate::stage::{Setup, Stage};

/// The receiver of the fast stream, by the target: 50 deliveries a second.
const ANSWERS_IN: Duration = Duration::from_millis(5);
const DELIVERIES: usize = 500;

const BACKLOG: usize = 100_000;
const BLOCKED: usize = 500;
/// Events that measure the others' wait, one after the other.
const PROBES: usize = 50;
const CONCURRENCY: usize = 20;

const PATIENCE: Duration = Duration::from_secs(300);

/// From the 202 to the request at a receiver beside the streams, in ms.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Wait {
    pub(crate) p50_ms: f64,
    pub(crate) max_ms: f64,
}

/// The waits of another ordered endpoint's streams and of an endpoint without order.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Others {
    pub(crate) ordered: Wait,
    pub(crate) plain: Wait,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Streams {
    pub(crate) answers_in_ms: f64,
    /// Deliveries a second of one stream, with AWS on this machine and with AWS 3 ms away.
    pub(crate) per_s: f64,
    pub(crate) per_s_at_a_distance: f64,
    pub(crate) blocked: usize,
    pub(crate) backlog: usize,
    pub(crate) alone: Others,
    /// The jobs of the whole backlog are in the queue.
    pub(crate) beside_its_jobs: Others,
    /// These jobs have left, and the backlog waits in its rows.
    pub(crate) beside_the_backlog: Others,
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<Streams> {
    progress.part("Ordered endpoints: one stream");
    let mut streams = Streams {
        answers_in_ms: ANSWERS_IN.as_secs_f64() * 1e3,
        blocked: BLOCKED,
        backlog: BACKLOG,
        ..Streams::default()
    };
    streams.per_s = rate(Duration::ZERO).await?;
    progress.step(1, 2);
    streams.per_s_at_a_distance = rate(AWS_DISTANCE).await?;
    progress.step(2, 2);
    beside(&mut streams, progress).await?;
    Ok(streams)
}

fn setup(endpoints: usize) -> Setup {
    let mut setup = Setup::with_endpoints(endpoints);
    setup.concurrency = CONCURRENCY;
    // A blocked stream stays blocked, and the backlog comes within minutes.
    setup.env.push(("RETRY_DELAYS_SECONDS", "1800".to_owned()));
    setup.env.push(("MAX_EVENTS_PER_MINUTE", "10000000".to_owned()));
    setup
}

#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
async fn rate(distance: Duration) -> io::Result<f64> {
    let mut stage = Stage::set(setup(0)).await?;
    stage.lane.receiver.set("/ordered", Behaviour::After(ANSWERS_IN, 200));
    stage.add_endpoint("/ordered", "call.ended", Some("endpoint")).await?;
    stage.post_all((0..DELIVERIES).map(|n| event("call.ended", None, n)), |_| {}).await?;
    stage.lane.aws.watch.set_distance(distance);
    stage.lane.start_mappings();
    let hits = arrive(&stage, "/ordered", DELIVERIES).await?;
    let took = hits.last().zip(hits.first()).map_or(Duration::MAX, |(last, first)| last.at - first.at);
    Ok((DELIVERIES - 1) as f64 / took.as_secs_f64())
}

async fn beside(streams: &mut Streams, progress: &Progress) -> io::Result<()> {
    progress.part("Ordered endpoints: a backlog and blocked streams");
    let mut stage = Stage::set(setup(0)).await?;
    stage.lane.receiver.set("/blocked", Behaviour::Answer(500));
    stage.lane.receiver.set("/backlog", Behaviour::After(Duration::from_millis(500), 200));
    stage.add_endpoint("/blocked", "call.started", Some("customer_id")).await?;
    stage.add_endpoint("/backlog", "call.ended", Some("endpoint")).await?;
    stage.add_endpoint("/ordered", "call.summary", Some("customer_id")).await?;
    stage.add_endpoint("/plain", "call.summary", None).await?;
    stage.lane.start_mappings();
    streams.alone = others(&stage, 0).await?;
    let blocked =
        (0..2).flat_map(|n| (0..BLOCKED).map(move |customer| event("call.started", Some(customer), n)));
    stage.post_all(blocked, |_| {}).await?;
    arrive(&stage, "/blocked", BLOCKED).await?;
    let backlog = (0..BACKLOG).map(|n| event("call.ended", None, n));
    stage.lane.stop_mappings();
    stage.post_all(backlog, |done| progress.step(done, BACKLOG)).await?;
    stage.lane.start_mappings();
    streams.beside_its_jobs = others(&stage, 1).await?;
    let end = Instant::now() + PATIENCE;
    while stage.lane.aws.sqs.depth(FIRST_ATTEMPTS).total() > CONCURRENCY * 10 {
        if Instant::now() > end {
            return Err(io::Error::other("the backlog's jobs did not leave the queue"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    streams.beside_the_backlog = others(&stage, 2).await?;
    let sent = hits(&stage, "/backlog").len();
    if sent * 10 > BACKLOG {
        return Err(io::Error::other(format!("{sent} of the backlog's deliveries were sent already")));
    }
    Ok(())
}

/// Posts events one after the other, and measures the waits of their two deliveries each.
async fn others(stage: &Stage, round: usize) -> io::Result<Others> {
    let mut accepted = HashMap::new();
    for n in 0..PROBES {
        let event = event("call.summary", Some(n), round);
        stage.post_body(&event).await?;
        accepted.insert(event["event_id"].as_str().unwrap_or_default().to_owned(), Instant::now());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waits = async |path| {
        let hits = arrive(stage, path, PROBES * (round + 1)).await?;
        let waits = hits.iter().filter_map(|hit| {
            let accepted = accepted.get(hit.headers.get("webhook-id")?)?;
            Some(hit.at.saturating_duration_since(*accepted).as_secs_f64() * 1e3)
        });
        let mut waits: Vec<f64> = waits.collect();
        waits.sort_by(f64::total_cmp);
        let max_ms = waits.last().copied().unwrap_or(f64::NAN);
        Ok::<_, io::Error>(Wait { p50_ms: waits.get(PROBES / 2).copied().unwrap_or(f64::NAN), max_ms })
    };
    Ok(Others { ordered: waits("/ordered").await?, plain: waits("/plain").await? })
}

fn event(name: &str, customer: Option<usize>, n: usize) -> Value {
    let customer = customer.map(|customer| customer.to_string());
    let id = uuid::Uuid::now_v7().to_string();
    json!({ "event_name": name, "event_id": id, "customer_id": customer, "data": { "n": n } })
}

fn hits(stage: &Stage, path: &str) -> Vec<Hit> {
    stage.lane.receiver.hits().into_iter().filter(|hit| hit.path == path).collect()
}

/// Waits until so many requests have come to a path.
async fn arrive(stage: &Stage, path: &str, count: usize) -> io::Result<Vec<Hit>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let hits = hits(stage, path);
        if hits.len() >= count {
            return Ok(hits);
        }
        if Instant::now() > end {
            return Err(io::Error::other(format!("{} of {count} requests came to {path}", hits.len())));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
