//! CPU time of both functions for 1,000 deliveries, without that of the stand-ins for AWS, the receiver and the
//! gateway.

use std::io;
use std::time::Duration;

use echo_lanes::lane::FIRST_ATTEMPTS;
use serde::Serialize;

use crate::cost::{AWS_DISTANCE, Way};
use crate::full_speed::{self, Run};
use crate::progress::Progress;
use crate::stage::{self, INTAKE_BATCH, Setup, Stage};
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
pub(crate) async fn measure(progress: &Progress) -> io::Result<Vec<Cpu>> {
    progress.part("CPU: both functions at full speed, for 1,000 deliveries");
    let one = Stage::set(Setup::with_endpoints(1)).await?;
    let ten = Stage::set(Setup::with_endpoints(10)).await?;
    let subjects = [
        (Way::Https, 1, &one, 10),
        (Way::Https, 1, &one, 100),
        (Way::Queue, 1, &one, 10),
        (Way::Https, 10, &ten, 10),
        (Way::Https, 10, &ten, 100),
        (Way::Queue, 10, &ten, 10),
    ];
    let mut runs = subjects.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for (&(way, fan_out, stage, batch), runs) in subjects.iter().zip(&mut runs) {
            let (api, delivery) = (&stage.lane.api.settings.binary, &stage.lane.delivery.settings.binary);
            let (warm_up, events) = (WARM_UP / fan_out, (WARM_UP + DELIVERIES) / fan_out);
            let (first, warm_up, invocations) = match way {
                Way::Https => (api, warm_up, posts(stage, events)),
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
    Ok(figures.collect())
}

/// CPU seconds of 1,000 invocations of a function that does nothing: the least that any function can use.
pub(crate) async fn floor(progress: &Progress) -> io::Result<f64> {
    const INVOCATIONS: usize = 1_000;
    progress.part("CPU: a bare function at full speed, invoked 1,000 times");
    let stage = Stage::set(Setup::with_endpoints(0)).await?;
    let hello = stage::binaries().join("hello");
    let invocations = posts(&stage, WARM_UP + INVOCATIONS);
    let mut runs = Vec::new();
    for round in 0..ROUNDS {
        let run = Run {
            way: Way::Https,
            first: &hello,
            delivery: &hello,
            invocations: &invocations,
            warm_up: WARM_UP,
            batch: 10,
        };
        runs.push(full_speed::run(&stage, &run).await?.first.cpu_s);
        progress.step(round + 1, ROUNDS);
    }
    Ok(median(runs) * 1_000.0 / INVOCATIONS as f64)
}

/// So many invocations, each of which posts an event.
fn posts(stage: &Stage, events: usize) -> Vec<String> {
    (0..events).map(|n| stage.post_event(n)).collect()
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
