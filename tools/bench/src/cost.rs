//! Scenarios that are run to find their bill: the units of one event, and the dollars of a million.

use std::io;
use std::time::Duration;

use echo_lanes::lane::{FIRST_ATTEMPTS, INTAKE, RETRIES};
use serde::Serialize;

use crate::prices::Prices;
use crate::progress::Progress;
use crate::sample;
use crate::stage::{POSTED_TOGETHER, Setup, Stage};
use crate::units::{self, Dollars, LAMBDA_LOG_BYTES, Units};

/// The round trip to AWS in every scenario; `RECEIVER_TAKES` is the time that a receiver needs to answer.
pub(crate) const AWS_DISTANCE: Duration = Duration::from_millis(3);
pub(crate) const RECEIVER_TAKES: Duration = Duration::from_millis(100);

/// The TLS part of a request's bytes beyond its body. The other parts, request line and headers, are measured.
const TLS_RECORD_BYTES: f64 = 29.0;

/// A workload, and its units for one event (or one page, or one delivery read).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) units: Units,
    pub(crate) dollars_per_million: Dollars,
    pub(crate) total_per_million: f64,
    /// The measured time of one invocation.
    pub(crate) api_ms: f64,
    pub(crate) delivery_ms: f64,
}

/// The way by which events come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) enum Way {
    #[default]
    Https,
    /// Ten events in a request.
    HttpsBatch,
    /// Through the queue, with ids from the producer that contain a time, as the service's ids do.
    Queue,
    /// Through the queue, with the queue's message ids, for which the list of events needs an index.
    QueueWithoutIds,
}

impl Way {
    pub(crate) const fn as_words(self) -> &'static str {
        match self {
            Self::Https => "HTTPS",
            Self::HttpsBatch => "HTTPS, ten in a request",
            Self::Queue | Self::QueueWithoutIds => "the queue",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    name: &'static str,
    way: Way,
    fan_out: usize,
    batch: usize,
    events: usize,
    status: u16,
    ordered: Option<&'static str>,
    hourly_statistics: bool,
}

const USUAL: Plan = Plan {
    name: "https",
    way: Way::Https,
    fan_out: 1,
    batch: 10,
    events: 300,
    status: 200,
    ordered: None,
    hourly_statistics: true,
};

const PLANS: [Plan; 11] = [
    USUAL,
    Plan { name: "https_batch_10", way: Way::HttpsBatch, ..USUAL },
    Plan { name: "queue", way: Way::Queue, ..USUAL },
    Plan { name: "queue_without_ids", way: Way::QueueWithoutIds, events: 100, ..USUAL },
    Plan { name: "https_fanout_10", fan_out: 10, events: 50, ..USUAL },
    Plan { name: "https_batch_1", batch: 1, events: 100, ..USUAL },
    Plan { name: "failed_4", events: 100, status: 500, ..USUAL },
    Plan { name: "https_without_statistics", hourly_statistics: false, ..USUAL },
    Plan {
        name: "https_batch_1_without_statistics",
        batch: 1,
        events: 100,
        hourly_statistics: false,
        ..USUAL
    },
    // Each delivery has ended before the next event comes.
    Plan { name: "https_ordered", batch: 1, events: 100, ordered: Some("endpoint"), ..USUAL },
    // Ten deliveries wait for one another.
    Plan { name: "https_ordered_backlog", events: 100, ordered: Some("endpoint"), ..USUAL },
];

pub(crate) async fn measure(prices: &Prices, progress: &Progress) -> io::Result<Vec<Scenario>> {
    progress.part("Units and cost");
    let mut scenarios = Vec::new();
    for (n, plan) in PLANS.iter().enumerate() {
        scenarios.push(run(*plan, prices).await?);
        progress.step(n + 1, PLANS.len() + 1);
    }
    scenarios.extend(reads(prices).await?);
    progress.step(1, 1);
    Ok(scenarios)
}

/// The sum of several invocations of the delivery function.
#[derive(Debug, Default)]
struct Batches {
    count: usize,
    /// Batches from which Lambda deleted at least one message.
    deleted: usize,
    wall: Duration,
}

impl Batches {
    async fn drain(&mut self, stage: &Stage, queue: &str, size: usize) -> io::Result<()> {
        while let Some(invoked) = stage.deliver(queue, size).await? {
            self.count += 1;
            self.deleted += usize::from(invoked.kept < invoked.messages);
            self.wall += invoked.took;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
async fn run(plan: Plan, prices: &Prices) -> io::Result<Scenario> {
    let log = std::env::temp_dir().join(format!("echo-bench-{}", std::process::id()));
    std::fs::create_dir_all(&log)?;
    let mut setup = Setup::with_endpoints(plan.fan_out);
    setup.ordered = plan.ordered;
    setup.logs = Some(log.clone());
    // The run must wait for each retry, and a retry costs the same after any delay.
    setup.env.push(("RETRY_DELAYS_SECONDS", "2,2,2".to_owned()));
    if !plan.hourly_statistics {
        setup.env.push(("HOURLY_STATISTICS", "off".to_owned()));
    }
    let stage = Stage::set(setup).await?;
    stage.answer_after(RECEIVER_TAKES, plan.status);
    for n in 0..10 {
        stage.post(n).await?;
    }
    Batches::default().drain(&stage, FIRST_ATTEMPTS, plan.batch).await?;
    if plan.status != 200 {
        finish_failing(&stage, plan.batch, &mut Batches::default()).await?;
    }
    let rows_before = stored(&stage);
    let log_before = folder_bytes(&log)?;
    stage.lane.aws.watch.set_distance(AWS_DISTANCE);
    let before = stage.cpu();
    stage.lane.aws.watch.start();
    let mut api_wall = Duration::ZERO;
    let mut batches = Batches::default();
    for n in 0..plan.events {
        match plan.way {
            Way::Https => api_wall += stage.post(100 + n).await?,
            Way::HttpsBatch if n.is_multiple_of(POSTED_TOGETHER) => {
                api_wall += stage.post_together(100 + n).await?;
            }
            Way::HttpsBatch => {}
            Way::Queue => stage.send_in(sample::named_event(100 + n))?,
            Way::QueueWithoutIds => stage.send_in(sample::event(100 + n))?,
        }
        // A batch leaves when it is full, as in steady traffic.
        if ((n + 1) * plan.fan_out).is_multiple_of(plan.batch) || n + 1 == plan.events {
            batches.drain(&stage, INTAKE, plan.batch).await?;
            batches.drain(&stage, FIRST_ATTEMPTS, plan.batch).await?;
        }
    }
    if plan.status != 200 {
        finish_failing(&stage, plan.batch, &mut batches).await?;
    }
    let calls = stage.lane.aws.watch.stop();
    let after = stage.cpu();
    stage.lane.aws.watch.set_distance(Duration::ZERO);

    let events = plan.events as f64;
    let deliveries = events * plan.fan_out as f64;
    let sent: usize =
        stage.lane.receiver.hits().iter().map(|hit| hit.body.len() + headers_bytes(&hit.headers)).sum();
    let sent_per_hit = sent as f64 / stage.lane.receiver.hits().len() as f64 + TLS_RECORD_BYTES;
    let attempts = if plan.status == 200 { deliveries } else { deliveries * 4.0 };
    let mut units = Units::of_calls(&calls);
    // Lambda polls and deletes for the function, and the operator pays for these requests.
    units.sqs_requests += (batches.count + batches.deleted) as f64;
    units.api_requests = match plan.way {
        Way::Https => events,
        Way::HttpsBatch => events / POSTED_TOGETHER as f64,
        Way::Queue | Way::QueueWithoutIds => 0.0,
    };
    units.invocations = units.api_requests + batches.count as f64;
    units.gb_seconds = units::gb_seconds(prices, api_wall, after.0 - before.0)
        + units::gb_seconds(prices, batches.wall, after.1 - before.1);
    units.log_bytes = (folder_bytes(&log)? - log_before) as f64 + units.invocations * LAMBDA_LOG_BYTES;
    units.egress_bytes = attempts * sent_per_hit;
    units.stored_bytes = (stored(&stage) - rows_before) as f64;
    std::fs::remove_dir_all(&log)?;
    check(&stage, plan)?;
    let way = plan.way.as_words();
    let attempted = if plan.status == 200 { "first try" } else { "four attempts" };
    let order = if plan.ordered.is_some() { "ordered " } else { "" };
    let counted = if plan.hourly_statistics { "" } else { ", without hourly statistics" };
    let what = format!(
        "by {way}, {} {order}endpoint(s), batches of {}, {attempted}{counted}",
        plan.fan_out, plan.batch
    );
    let mut scenario = scenario(plan.name, what, units * (1.0 / events), prices);
    scenario.api_ms = api_wall.as_secs_f64() * 1e3 / events;
    scenario.delivery_ms = batches.wall.as_secs_f64() * 1e3 / batches.count as f64;
    Ok(scenario)
}

/// Waits for the retries of all failed deliveries, and delivers each one when it is due.
async fn finish_failing(stage: &Stage, batch: usize, batches: &mut Batches) -> io::Result<()> {
    while stage.lane.aws.sqs.depth(RETRIES).total() > 0 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        batches.drain(stage, RETRIES, batch).await?;
    }
    Ok(())
}

fn check(stage: &Stage, plan: Plan) -> io::Result<()> {
    let expected = if plan.status == 200 { "success" } else { "failed" };
    let statuses = stage.statuses();
    let all: usize = statuses.values().sum();
    let right = statuses.get(expected).copied().unwrap_or(0);
    let wanted = (10 + plan.events) * plan.fan_out;
    if right == wanted && all == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("{}: {statuses:?} instead of {wanted} {expected}", plan.name)))
}

fn scenario(name: &'static str, what: String, units: Units, prices: &Prices) -> Scenario {
    let dollars = (units * 1e6).dollars(prices);
    Scenario {
        name,
        what,
        units,
        dollars_per_million: dollars,
        total_per_million: dollars.total(),
        api_ms: 0.0,
        delivery_ms: 0.0,
    }
}

/// Measures reading: a page of the log, and one delivery with its attempts.
#[expect(clippy::cast_precision_loss, reason = "a few")]
async fn reads(prices: &Prices) -> io::Result<Vec<Scenario>> {
    const TIMES: usize = 20;
    let stage = Stage::set(Setup::with_endpoints(1)).await?;
    for n in 0..60 {
        stage.post(n).await?;
    }
    Batches::default().drain(&stage, FIRST_ATTEMPTS, 10).await?;
    let id = stage.endpoints[0].clone();
    let rows = stage.lane.aws.dynamo.rows("deliveries");
    let delivery = rows.first().and_then(|row| row["id"].as_str()).unwrap_or_default().to_owned();
    stage.lane.aws.watch.set_distance(AWS_DISTANCE);
    let mut scenarios = Vec::new();
    for (name, what, target) in [
        ("read_page", "a page of 50 deliveries", format!("webhooks/{id}/deliveries")),
        ("read_delivery", "one delivery with its attempts", format!("webhooks/{id}/deliveries/{delivery}")),
    ] {
        stage.lane.aws.watch.start();
        let before = stage.cpu();
        let began = std::time::Instant::now();
        for _ in 0..TIMES {
            crate::stage::expect(&stage.get(&target).await, 200)?;
        }
        let wall = began.elapsed();
        let mut units = Units::of_calls(&stage.lane.aws.watch.stop());
        units.api_requests = TIMES as f64;
        units.invocations = TIMES as f64;
        units.gb_seconds = units::gb_seconds(prices, wall, stage.cpu().0 - before.0);
        let mut read = scenario(name, what.to_owned(), units * (1.0 / TIMES as f64), prices);
        read.api_ms = wall.as_secs_f64() * 1e3 / TIMES as f64;
        scenarios.push(read);
    }
    Ok(scenarios)
}

/// The bytes that all tables store.
fn stored(stage: &Stage) -> usize {
    let tables = ["events", "deliveries", "streams"];
    tables
        .iter()
        .flat_map(|table| stage.lane.aws.dynamo.items(table))
        .map(|item| units::stored_bytes(&item))
        .sum()
}

fn headers_bytes(headers: &std::collections::HashMap<String, String>) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len()).sum::<usize>()
        + "POST / HTTP/1.1\r\n\r\n".len()
}

fn folder_bytes(folder: &std::path::Path) -> io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
