//! Receivers that hang: how long other deliveries wait for their attempts, and how much AWS bills meanwhile.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use echo_lanes::lane::{FIRST_ATTEMPTS, SLOW_ENDPOINTS};
use echo_lanes::receiver::Behaviour;
use serde::Serialize;

use crate::progress::Progress;
use crate::stage::{Setup, Stage};

/// Shorter than the product's 15 s, so that the measurement takes less time. Its results scale with this timeout.
const TIMEOUT: Duration = Duration::from_secs(5);

const RECEIVER_TAKES: Duration = Duration::from_millis(20);

/// The wave's numbers. Each event goes to all endpoints of one project.
const ENDPOINTS: usize = 50;
const HANGING: usize = 10;
const EVENTS: usize = 20;
const CONCURRENCY: usize = 20;

/// One batch with one hanging receiver, and the same batch with none.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct OneHangs {
    pub(crate) batch: usize,
    /// From the invocation to the last request at another receiver, in ms.
    pub(crate) last_other_ms: f64,
    pub(crate) last_other_alone_ms: f64,
    pub(crate) billed_ms: f64,
    pub(crate) billed_alone_ms: f64,
}

/// 1,000 deliveries over 50 endpoints.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Wave {
    pub(crate) hanging: usize,
    pub(crate) deliveries: usize,
    /// From the 202 to the request at a working receiver, in ms.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) invocations: usize,
    pub(crate) billed_s: f64,
    /// The most concurrent invocations for first attempts; `most_slow` is the same for slow endpoints.
    pub(crate) most_fast: usize,
    pub(crate) most_slow: usize,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Slow {
    pub(crate) timeout_s: f64,
    pub(crate) one_hangs: Vec<OneHangs>,
    pub(crate) waves: Vec<Wave>,
}

fn setup(endpoints: usize, concurrency: usize) -> Setup {
    let mut setup = Setup::with_endpoints(endpoints);
    setup.concurrency = concurrency;
    setup.env.push(("REQUEST_TIMEOUT_SECONDS", TIMEOUT.as_secs().to_string()));
    setup
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<Slow> {
    progress.part("Slow receivers");
    let mut slow = Slow { timeout_s: TIMEOUT.as_secs_f64(), ..Slow::default() };
    for (step, batch) in [10, 100].into_iter().enumerate() {
        slow.one_hangs.push(one_hangs(batch).await?);
        progress.step(step + 1, 4);
    }
    for (step, hanging) in [0, HANGING].into_iter().enumerate() {
        slow.waves.push(wave(hanging).await?);
        progress.step(step + 3, 4);
    }
    Ok(slow)
}

async fn one_hangs(batch: usize) -> io::Result<OneHangs> {
    let stage = Stage::set(setup(10, 1)).await?;
    stage.answer_after(RECEIVER_TAKES, 200);
    one_batch(&stage, batch).await?;
    let (last_other_alone_ms, billed_alone_ms) = one_batch(&stage, batch).await?;
    stage.lane.receiver.set("/0", Behaviour::Hang);
    let (last_other_ms, billed_ms) = one_batch(&stage, batch).await?;
    Ok(OneHangs { batch, last_other_ms, last_other_alone_ms, billed_ms, billed_alone_ms })
}

/// Posts the events of a full batch and delivers it at once. Gives the time until the last working receiver got its
/// request, and the length of the invocation.
async fn one_batch(stage: &Stage, batch: usize) -> io::Result<(f64, f64)> {
    for n in 0..batch / 10 {
        stage.post(n).await?;
    }
    let hits = stage.lane.receiver.hits().len();
    let began = Instant::now();
    let invoked = stage.deliver(FIRST_ATTEMPTS, batch).await?.unwrap_or_default();
    let others = stage.lane.receiver.hits();
    let others = others[hits..].iter().filter(|hit| hit.status.is_some());
    let last = others.map(|hit| hit.at).max().unwrap_or(began);
    Ok(((last - began).as_secs_f64() * 1e3, invoked.took.as_secs_f64() * 1e3))
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of milliseconds")]
async fn wave(hanging: usize) -> io::Result<Wave> {
    let mut setup = setup(ENDPOINTS, CONCURRENCY);
    setup.with_journal = true;
    let mut stage = Stage::set(setup).await?;
    stage.answer_after(RECEIVER_TAKES, 200);
    for n in 0..hanging {
        stage.lane.receiver.set(&format!("/{n}"), Behaviour::Hang);
    }
    stage.lane.start_mappings();
    let mut accepted: HashMap<String, Instant> = HashMap::new();
    let began = Instant::now();
    for n in 0..EVENTS {
        let listed = stage.post_listed(n).await?;
        let now = Instant::now();
        accepted.extend(listed.into_iter().map(|id| (id, now)));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let working = EVENTS * (ENDPOINTS - hanging);
    let end = Instant::now() + TIMEOUT * 12;
    let answered = |stage: &Stage| {
        stage.lane.receiver.hits().iter().filter(|hit| hit.status.is_some() && hit.attempt == 1).count()
    };
    while answered(&stage) < working && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // By the end of three timeouts the hanging endpoints have had their attempts. Their other jobs wait for a probe.
    tokio::time::sleep_until((began + TIMEOUT * 3).into()).await;
    while stage.lane.delivery.is_busy() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.lane.stop_mappings();
    let hits = stage.lane.receiver.hits();
    let mut waits: Vec<f64> = hits
        .iter()
        .filter(|hit| hit.status.is_some() && hit.attempt == 1)
        .filter_map(|hit| {
            Some(hit.at.saturating_duration_since(*accepted.get(&hit.delivery_id)?).as_secs_f64() * 1e3)
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    let at =
        |share: f64| waits.get(((waits.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN);
    let batches = stage.lane.batches.all();
    let spans = |queue: &str| {
        let of =
            batches.iter().filter(|batch| batch.queue == queue).map(|batch| (batch.started, batch.ended));
        most_at_once(of.collect())
    };
    Ok(Wave {
        hanging,
        deliveries: waits.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
        invocations: batches.len(),
        billed_s: batches.iter().map(|batch| (batch.ended - batch.started).as_secs_f64()).sum(),
        most_fast: spans(FIRST_ATTEMPTS),
        most_slow: spans(SLOW_ENDPOINTS),
    })
}

fn most_at_once(spans: Vec<(Instant, Instant)>) -> usize {
    spans
        .iter()
        .map(|(at, _)| spans.iter().filter(|(from, to)| from <= at && at < to).count())
        .max()
        .unwrap_or(0)
}
