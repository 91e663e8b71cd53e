//! CPU time of both functions for 1,000 deliveries, without that of the stand-ins for AWS, the receiver and the
//! gateway. Seconds depend on the machine and its hour, so each round also measures the yardstick: 1,000 invocations of a
//! bare lambda_http function.

use std::io;
use std::time::Duration;

use echo_lanes::lane::FIRST_ATTEMPTS;
use serde::Serialize;
use serde_json::json;

use crate::cost::{AWS_DISTANCE, Way};
use crate::full_speed::{self, Run};
use crate::progress::Progress;
use crate::sample;
use crate::stage::{self, INTAKE_BATCH, POSTED_TOGETHER, Setup, Stage};
use crate::trips::median;

/// The deliveries of one measurement.
const DELIVERIES: usize = 2_000;

const WARM_UP: usize = 100;

/// How often each measurement is repeated, because the machine's other work varies.
const ROUNDS: usize = 5;

/// One measurement, in CPU seconds for 1,000 deliveries.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Cpu {
    pub(crate) way: Way,
    pub(crate) fan_out: usize,
    pub(crate) batch: usize,
    /// CPU time of the API function, or of the delivery function if events come in through the queue.
    pub(crate) accept_s: f64,
    pub(crate) delivery_s: f64,
}

impl Cpu {
    pub(crate) fn total(&self) -> f64 {
        self.accept_s + self.delivery_s
    }
}

/// Both functions at full speed: AWS, the receiver and Lambda answer at once and from memory.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct FullSpeed {
    pub(crate) deliveries: Vec<Cpu>,
    /// CPU seconds of 1,000 invocations of a function that does nothing, the least that any function can use.
    pub(crate) bare_s: f64,
    /// CPU milliseconds that fifty filters add to accepting one event.
    pub(crate) fifty_filters_ms: f64,
}

impl FullSpeed {
    pub(crate) fn of(&self, way: Way, fan_out: usize, batch: usize) -> Option<Cpu> {
        let is_it = |cpu: &&Cpu| (cpu.way, cpu.fan_out, cpu.batch) == (way, fan_out, batch);
        self.deliveries.iter().find(is_it).copied()
    }

    /// How many bare invocations take as long as one delivery.
    pub(crate) fn to_bare(&self, way: Way, fan_out: usize) -> Option<f64> {
        self.of(way, fan_out, 10).map(|cpu| cpu.total() / self.bare_s)
    }
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<FullSpeed> {
    progress.part("CPU: both functions at full speed, for 1,000 deliveries");
    let one = Stage::set(Setup::with_endpoints(1)).await?;
    let ten = Stage::set(Setup::with_endpoints(10)).await?;
    let subjects = [
        (Way::Https, 1, &one, 10),
        (Way::Https, 1, &one, 100),
        (Way::HttpsBatch, 1, &one, 10),
        (Way::Queue, 1, &one, 10),
        (Way::Https, 10, &ten, 10),
        (Way::Https, 10, &ten, 100),
        (Way::Queue, 10, &ten, 10),
    ];
    let (by_name, by_filter) = (fifty_endpoints(false).await?, fifty_endpoints(true).await?);
    let mut runs = subjects.map(|_| Vec::new());
    let (mut bare, mut filters) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(bare_invocations(&one).await?);
        filters.push(accepting(&by_filter).await? - accepting(&by_name).await?);
        for (&(way, fan_out, stage, batch), runs) in subjects.iter().zip(&mut runs) {
            let (api, delivery) = (&stage.lane.api.settings.binary, &stage.lane.delivery.settings.binary);
            let (warm_up, events) = (WARM_UP / fan_out, (WARM_UP + DELIVERIES) / fan_out);
            let (first, warm_up, invocations) = match way {
                Way::Https => (api, warm_up, posts(stage, events)),
                Way::HttpsBatch => (api, warm_up / POSTED_TOGETHER, posts_together(stage, events)),
                _ => (delivery, warm_up / INTAKE_BATCH, stage.intake_events(events)?),
            };
            let run = Run { way, first, delivery, invocations: &invocations, warm_up, batch };
            let ran = full_speed::run(stage, &run).await?;
            if ran.deliveries != DELIVERIES || ran.received != DELIVERIES {
                return Err(io::Error::other(format!("not every delivery was made: {ran:?}")));
            }
            runs.push(ran);
        }
        progress.step(round + 1, ROUNDS);
    }
    let of = |runs: &[full_speed::Ran], part: fn(&full_speed::Ran) -> f64| {
        median(runs.iter().map(part).collect()) * 1_000.0 / DELIVERIES as f64
    };
    let figures = subjects.into_iter().zip(&runs).map(|((way, fan_out, _, batch), runs)| Cpu {
        way,
        fan_out,
        batch,
        accept_s: of(runs, |ran| ran.first.cpu_s),
        delivery_s: of(runs, |ran| ran.delivery.cpu_s),
    });
    let fifty_filters_ms = median(filters) * 1_000.0 / DELIVERIES as f64;
    Ok(FullSpeed { deliveries: figures.collect(), bare_s: median(bare), fifty_filters_ms })
}

/// Fifty endpoints, of which one gets the sample events. The others are subscribed to another name, or have filters.
async fn fifty_endpoints(with_filters: bool) -> io::Result<Stage> {
    let stage = Stage::set(Setup::with_endpoints(50)).await?;
    for (n, endpoint) in stage.endpoints.iter().enumerate() {
        if with_filters {
            stage.change(endpoint, &json!({ "filter": sample::filter(n, n == 0) })).await?;
        } else if n > 0 {
            stage.subscribe(endpoint, "call.started").await?;
        }
    }
    Ok(stage)
}

/// The API function's CPU seconds for `DELIVERIES` events, each of which makes one delivery.
async fn accepting(stage: &Stage) -> io::Result<f64> {
    let (api, delivery) = (&stage.lane.api.settings.binary, &stage.lane.delivery.settings.binary);
    let invocations = posts(stage, WARM_UP + DELIVERIES);
    let run =
        Run { way: Way::Https, first: api, delivery, invocations: &invocations, warm_up: WARM_UP, batch: 10 };
    let ran = full_speed::run(stage, &run).await?;
    if ran.deliveries != DELIVERIES {
        return Err(io::Error::other(format!("not every event made one delivery: {ran:?}")));
    }
    Ok(ran.first.cpu_s)
}

/// CPU seconds of 1,000 bare invocations.
async fn bare_invocations(stage: &Stage) -> io::Result<f64> {
    let hello = stage::binaries().join("hello");
    let invocations = posts(stage, WARM_UP + 1_000);
    let run = Run {
        way: Way::Https,
        first: &hello,
        delivery: &hello,
        invocations: &invocations,
        warm_up: WARM_UP,
        batch: 10,
    };
    Ok(full_speed::run(stage, &run).await?.first.cpu_s)
}

/// So many invocations, each of which posts an event.
fn posts(stage: &Stage, events: usize) -> Vec<String> {
    (0..events).map(|n| stage.post_event(n)).collect()
}

/// So many events, ten in each invocation.
fn posts_together(stage: &Stage, events: usize) -> Vec<String> {
    (0..events).step_by(POSTED_TOGETHER).map(|n| stage.post_events(n)).collect()
}

/// One event at a time, with AWS 3 ms away: the functions sleep while they wait for its answers.
pub(crate) async fn paced(progress: &Progress) -> io::Result<Vec<Cpu>> {
    const BATCH: usize = 10;
    progress.part("CPU: both functions, AWS 3 ms away");
    let mut measured = Vec::new();
    for fan_out in [1, 10] {
        let stage = Stage::set(Setup::with_endpoints(fan_out)).await?;
        stage.lane.aws.watch.set_distance(AWS_DISTANCE);
        measured.push(run_paced(&stage, fan_out, BATCH, progress).await?);
    }
    Ok(measured)
}

async fn run_paced(stage: &Stage, fan_out: usize, batch: usize, progress: &Progress) -> io::Result<Cpu> {
    accept(stage, WARM_UP / fan_out).await?;
    drain(stage, batch).await?;
    let events = DELIVERIES / fan_out;
    let before = stage.cpu();
    for n in 0..events {
        stage.post(n).await?;
        progress.step(n + 1, events);
    }
    drain(stage, batch).await?;
    let after = stage.cpu();
    let per_1000 = |used: Duration| used.as_secs_f64() * 1_000.0 / DELIVERIES as f64;
    Ok(Cpu {
        way: Way::Https,
        fan_out,
        batch,
        accept_s: per_1000(after.0 - before.0),
        delivery_s: per_1000(after.1 - before.1),
    })
}

async fn accept(stage: &Stage, events: usize) -> io::Result<()> {
    for n in 0..events {
        stage.post(n).await?;
    }
    Ok(())
}

/// Delivers all queued jobs, and checks that all were delivered.
async fn drain(stage: &Stage, batch: usize) -> io::Result<()> {
    while let Some(invoked) = stage.deliver(FIRST_ATTEMPTS, batch).await? {
        if invoked.kept > 0 {
            return Err(io::Error::other(format!("{} messages were held back", invoked.kept)));
        }
    }
    Ok(())
}
