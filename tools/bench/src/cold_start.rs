//! The time from exec to the first answer: of the functions, of one that only builds the same clients, and of a bare
//! one.

use std::io;

use serde::Serialize;

use crate::cost::Way;
use crate::full_speed::{self, Run};
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

    pub(crate) fn hello_ratio(&self) -> f64 {
        self.api.cpu_ms / self.hello.cpu_ms
    }
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<ColdStarts> {
    progress.part("Cold start: exec to the first answer");
    let stage = Stage::set(Setup::with_endpoints(1)).await?;
    let folder = stage::binaries();
    let (api, delivery) = (&stage.lane.api.settings.binary, &stage.lane.delivery.settings.binary);
    let (clients_only, hello) = (folder.join("clients-only"), folder.join("hello"));
    let get = [stage.get_event(&format!("webhooks/{}", stage.endpoints[0]))];
    let post = [stage.post_event(0)];
    let as_api = [api, &clients_only, &hello];
    let as_delivery = [delivery, &clients_only];

    let mut runs: [Vec<Start>; 5] = Default::default();
    for run in 0..RUNS {
        // Each round starts all of them one after the other, so that a busy moment of the machine affects all of them.
        let mut starts = Vec::new();
        for subject in as_api {
            let run = Run {
                way: Way::Https,
                first: subject,
                delivery: &hello,
                invocations: &get,
                warm_up: 0,
                batch: 1,
            };
            starts.push(full_speed::run(&stage, &run).await?.first);
        }
        for subject in as_delivery {
            let run = Run {
                way: Way::Https,
                first: api,
                delivery: subject,
                invocations: &post,
                warm_up: 0,
                batch: 1,
            };
            let ran = full_speed::run(&stage, &run).await?;
            if subject == delivery && ran.received != 1 {
                return Err(io::Error::other(format!("the first delivery was not made: {ran:?}")));
            }
            starts.push(ran.delivery);
        }
        for (used, runs) in starts.into_iter().zip(&mut runs) {
            runs.push(Start {
                cpu_ms: used.cpu_s * 1e3,
                wall_ms: used.wall_s * 1e3,
                peak_rss_mb: used.peak_rss_mb,
            });
        }
        progress.step(run + 1, RUNS);
    }
    let api_zip_mb = size::zipped_mb(api)?;
    let delivery_zip_mb = size::zipped_mb(delivery)?;
    let [api, clients_only, hello, delivery, clients_only_batch] = runs.each_ref().map(|runs| median(runs));
    Ok(ColdStarts {
        runs: RUNS,
        api,
        delivery,
        clients_only,
        clients_only_batch,
        hello,
        api_zip_mb,
        delivery_zip_mb,
    })
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
