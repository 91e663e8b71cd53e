//! From exec to the first answer: the functions beside one that only builds the same clients, and beside a bare one.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use echo_lanes::function::Kind;
use echo_lanes::lane::FAST;
use echo_lanes::sandbox::Sandbox;
use serde::Serialize;

use crate::process;
use crate::progress::Progress;
use crate::size;
use crate::stage::{self, Setup, Stage};

const RUNS: usize = 20;

/// Medians of one function.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Start {
    pub(crate) cpu_ms: f64,
    pub(crate) wall_ms: f64,
    pub(crate) peak_rss_mb: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ColdStarts {
    pub(crate) runs: usize,
    pub(crate) api: Start,
    pub(crate) delivery: Start,
    /// With the api's clients.
    pub(crate) clients_only: Start,
    /// With the delivery function's clients.
    pub(crate) clients_only_batch: Start,
    /// The same over our HTTP client, not the SDK's.
    pub(crate) our_clients_only: Start,
    pub(crate) our_clients_only_batch: Start,
    pub(crate) hello: Start,
    pub(crate) api_zip_mb: f64,
    pub(crate) delivery_zip_mb: f64,
}

impl ColdStarts {
    pub(crate) fn api_ratio(&self) -> f64 {
        self.api.cpu_ms / self.clients_only.cpu_ms
    }

    pub(crate) fn delivery_ratio(&self) -> f64 {
        self.delivery.cpu_ms / self.clients_only_batch.cpu_ms
    }

    pub(crate) fn api_to_our_clients(&self) -> f64 {
        self.api.cpu_ms / self.our_clients_only.cpu_ms
    }

    pub(crate) fn delivery_to_our_clients(&self) -> f64 {
        self.delivery.cpu_ms / self.our_clients_only_batch.cpu_ms
    }

    pub(crate) fn hello_ratio(&self) -> f64 {
        self.api.cpu_ms / self.hello.cpu_ms
    }
}

/// One function to start and what to ask it.
struct Subject<'a> {
    binary: &'a Path,
    env: &'a HashMap<String, String>,
    event: Bytes,
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<ColdStarts> {
    progress.part("Cold start: exec to the first answer");
    let stage = Stage::set(Setup::with_endpoints(1)).await?;
    let folder = stage::binaries();
    let (api, delivery) = (&stage.lane.api.settings, &stage.lane.delivery.settings);
    let request = stage.get_event(&format!("webhooks/{}", stage.endpoints[0]));
    let clients_only = folder.join("clients-only");
    let our_clients_only = folder.join("our-clients-only");
    let hello = folder.join("hello");

    let mut runs: [Vec<Start>; 7] = Default::default();
    for run in 0..RUNS {
        stage.post(run).await?;
        let batch = stage.take_event(FAST, 1).ok_or_else(|| io::Error::other("no job was queued"))?;
        // Side by side in each round, so that a busy moment of the machine meets them all.
        let subjects = [
            Subject { binary: &api.binary, env: &api.env, event: request.clone() },
            Subject { binary: &delivery.binary, env: &delivery.env, event: batch.clone() },
            Subject { binary: &clients_only, env: &api.env, event: request.clone() },
            Subject { binary: &clients_only, env: &delivery.env, event: batch.clone() },
            Subject { binary: &our_clients_only, env: &api.env, event: request.clone() },
            Subject { binary: &our_clients_only, env: &delivery.env, event: batch },
            Subject { binary: &hello, env: &api.env, event: request.clone() },
        ];
        for (subject, runs) in subjects.into_iter().zip(&mut runs) {
            runs.push(start(&stage, subject).await?);
        }
        progress.step(run + 1, RUNS);
    }
    let attempted = stage.statuses().get("success").copied().unwrap_or(0);
    if attempted != RUNS {
        return Err(io::Error::other(format!("{attempted} of {RUNS} first deliveries succeeded")));
    }
    let api_zip_mb = size::zipped_mb(&api.binary)?;
    let delivery_zip_mb = size::zipped_mb(&delivery.binary)?;
    let [api, delivery, clients_only, clients_only_batch, our_clients_only, our_clients_only_batch, hello] =
        runs.each_ref().map(|runs| median(runs));
    Ok(ColdStarts {
        runs: RUNS,
        api,
        delivery,
        clients_only,
        clients_only_batch,
        our_clients_only,
        our_clients_only_batch,
        hello,
        api_zip_mb,
        delivery_zip_mb,
    })
}

async fn start(stage: &Stage, subject: Subject<'_>) -> io::Result<Start> {
    // Lambda's runtime API and the AWS endpoint are up before the process is.
    let aws = Arc::clone(&stage.lane.aws);
    let began = Instant::now();
    let sandbox = Sandbox::start(Kind::Api, subject.binary, subject.env, None, aws).await?;
    let answer = sandbox.invoke(1, subject.event, Duration::from_secs(30)).await;
    let wall = began.elapsed();
    let cpu = process::cpu(sandbox.pid);
    let peak_rss_mb = process::peak_rss_mb(sandbox.pid);
    let answer =
        answer.map_err(|failed| io::Error::other(format!("{}: {failed:?}", subject.binary.display())))?;
    let text = String::from_utf8_lossy(&answer);
    if !(text.contains(r#""statusCode":200"#) || text.contains(r#""batchItemFailures":[]"#)) {
        return Err(io::Error::other(format!("{}: {text}", subject.binary.display())));
    }
    sandbox.kill().await;
    Ok(Start { cpu_ms: cpu.as_secs_f64() * 1e3, wall_ms: wall.as_secs_f64() * 1e3, peak_rss_mb })
}

fn median(runs: &[Start]) -> Start {
    let middle = |of: fn(&Start) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Start {
        cpu_ms: middle(|run| run.cpu_ms),
        wall_ms: middle(|run| run.wall_ms),
        peak_rss_mb: middle(|run| run.peak_rss_mb),
    }
}
