//! CPU of both functions for 1,000 deliveries; what stands in for AWS, the receiver and the gateway is not counted.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use echo_lanes::function::Kind;
use echo_lanes::lane::FAST;
use echo_lanes::sandbox::Sandbox;
use serde::Serialize;

use crate::process;
use crate::progress::Progress;
use crate::stage::{self, Setup, Stage};

/// Deliveries of one measurement.
const DELIVERIES: usize = 2_000;

const WARM_UP: usize = 100;

/// One measurement, in CPU seconds for 1,000 deliveries.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Cpu {
    pub(crate) fan_out: usize,
    pub(crate) batch: usize,
    pub(crate) api_s: f64,
    pub(crate) delivery_s: f64,
}

impl Cpu {
    pub(crate) fn total(&self) -> f64 {
        self.api_s + self.delivery_s
    }
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<Vec<Cpu>> {
    progress.part("CPU: both functions, for 1,000 deliveries");
    let mut measured = Vec::new();
    for fan_out in [1, 10] {
        let stage = Stage::set(Setup::with_endpoints(fan_out)).await?;
        for batch in [10, 100] {
            measured.push(run(&stage, fan_out, batch, progress).await?);
        }
    }
    Ok(measured)
}

/// CPU seconds of 1,000 invocations of a function that does nothing: what is left to those that do something.
pub(crate) async fn floor(progress: &Progress) -> io::Result<f64> {
    const INVOCATIONS: u64 = 1_000;
    progress.part("CPU: a bare function, invoked 1,000 times");
    let stage = Stage::set(Setup::with_endpoints(0)).await?;
    let env = &stage.lane.api.settings.env;
    let hello = stage::binaries().join("hello");
    let bare = Sandbox::start(Kind::Api, &hello, env, None, Arc::clone(&stage.lane.aws)).await?;
    let event = stage.get_event("webhooks");
    let mut before = Duration::ZERO;
    for n in 0..=INVOCATIONS {
        let answer = bare.invoke(n + 1, event.clone(), Duration::from_secs(30)).await;
        answer.map_err(|failed| io::Error::other(format!("{}: {failed:?}", hello.display())))?;
        if n == 0 {
            before = process::cpu(bare.pid);
        }
    }
    let used = process::cpu(bare.pid) - before;
    bare.kill().await;
    Ok(used.as_secs_f64() * 1_000.0 / INVOCATIONS as f64)
}

async fn run(stage: &Stage, fan_out: usize, batch: usize, progress: &Progress) -> io::Result<Cpu> {
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
    Ok(Cpu { fan_out, batch, api_s: per_1000(after.0 - before.0), delivery_s: per_1000(after.1 - before.1) })
}

async fn accept(stage: &Stage, events: usize) -> io::Result<()> {
    for n in 0..events {
        stage.post(n).await?;
    }
    Ok(())
}

/// Delivers all that is queued, and makes sure that it was.
async fn drain(stage: &Stage, batch: usize) -> io::Result<()> {
    while let Some(invoked) = stage.deliver(FAST, batch).await? {
        if invoked.kept > 0 {
            return Err(io::Error::other(format!("{} deliveries were kept back", invoked.kept)));
        }
    }
    Ok(())
}
