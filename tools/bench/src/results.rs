//! All results of one run, and the two files that hold them.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::ceilings::Ceilings;
use crate::cold_start::ColdStarts;
use crate::cost::{Scenario, Way};
use crate::cpu::{Cpu, FullSpeed};
use crate::growth::Growth;
use crate::idle::Idle;
use crate::slow::Slow;
use crate::streams::Streams;
use crate::trips::Trips;

/// The results of parts that were not requested are absent.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) cores: usize,
    pub(crate) prices_of: String,
    pub(crate) cold_start: Option<ColdStarts>,
    pub(crate) cpu: Option<FullSpeed>,
    /// The results with AWS 3 ms away instead of answering at once.
    pub(crate) cpu_paced: Option<Vec<Cpu>>,
    pub(crate) cost: Option<Vec<Scenario>>,
    pub(crate) idle_month: Option<Idle>,
    pub(crate) growth: Option<Growth>,
    pub(crate) ceilings: Option<Ceilings>,
    pub(crate) slow: Option<Slow>,
    pub(crate) streams: Option<Streams>,
    pub(crate) trips: Option<Trips>,
}

/// The workspace's own folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Results {
    pub(crate) fn scenario(&self, name: &str) -> Option<&Scenario> {
        self.cost.as_ref()?.iter().find(|scenario| scenario.name == name)
    }

    /// The figures that have targets.
    #[must_use]
    pub(crate) fn summary(&self) -> Value {
        let cold = self.cold_start.as_ref();
        let start = |of: fn(&ColdStarts) -> f64| cold.map(|cold| rounded(of(cold)));
        let ratio = |way, fan_out| self.cpu.as_ref()?.to_bare(way, fan_out).map(rounded);
        let dollars = |name| self.scenario(name).map(|scenario| rounded(scenario.total_per_million));
        let mut units = json!({});
        for scenario in self.cost.iter().flatten() {
            units[scenario.name] = json!({
                "write_units": rounded(scenario.units.write_units),
                "read_units": rounded(scenario.units.read_units),
                "sqs_requests": rounded(scenario.units.sqs_requests),
                "invocations": rounded(scenario.units.invocations),
                "gb_seconds": scenario.units.gb_seconds,
                "log_bytes": scenario.units.log_bytes.round(),
                "stored_bytes": scenario.units.stored_bytes.round(),
            });
        }
        if let Some(idle) = &self.idle_month {
            units["idle_month"] = json!({ "sqs_requests": idle.polls, "usd": rounded(idle.total()) });
        }
        let mut growth = json!({});
        for point in self.growth.iter().flat_map(|growth| growth.stored.iter().chain(&growth.endpoints)) {
            growth[point.operation][point.size.to_string()] = json!({
                "read_units": rounded(point.read_units),
                "write_units": rounded(point.write_units),
                "wall_ms": rounded(point.wall_ms),
            });
        }
        for (size, mb) in self.growth.iter().flat_map(|growth| &growth.api_rss_mb) {
            growth["api_rss_mb"][size.to_string()] = rounded(*mb).into();
        }
        json!({
            "cold_start": {
                "api_cpu_ms": start(|cold| cold.api.cpu_ms),
                "clients_only_cpu_ms": start(|cold| cold.clients_only.cpu_ms),
                "api_ratio": start(ColdStarts::api_ratio),
                "delivery_ratio": start(ColdStarts::delivery_ratio),
                "hello_ratio": start(ColdStarts::hello_ratio),
            },
            "rss_mb": { "api": start(|cold| cold.api.peak_rss_mb), "delivery": start(|cold| cold.delivery.peak_rss_mb) },
            "zip_mb": { "api": start(|cold| cold.api_zip_mb), "delivery": start(|cold| cold.delivery_zip_mb) },
            "ratio_to_bare": {
                "https_1": ratio(Way::Https, 1),
                "https_1_batch_10": ratio(Way::HttpsBatch, 1),
                "queue_1": ratio(Way::Queue, 1),
                "https_10": ratio(Way::Https, 10),
                "queue_10": ratio(Way::Queue, 10),
            },
            "fifty_filters_ms": self.cpu.as_ref().map(|cpu| rounded(cpu.fifty_filters_ms)),
            "ceilings": self.ceilings,
            "usd_per_million": {
                "https": dollars("https"),
                "https_batch_10": dollars("https_batch_10"),
                "queue": dollars("queue"),
                "https_batch_1": dollars("https_batch_1"),
                "failed_4": dollars("failed_4"),
                "https_ordered": dollars("https_ordered"),
                "https_ordered_backlog": dollars("https_ordered_backlog"),
            },
            "units": units,
            "streams": self.streams,
            "growth": growth,
        })
    }

    /// Writes `target/bench.json`. All results go to `docs/measured.json` after a complete run, and otherwise to
    /// `target/bench-part.json`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self) -> io::Result<()> {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).map(|text| text + "\n");
        std::fs::write(root().join("target/bench.json"), pretty(&self.summary())?)?;
        let all = pretty(&serde_json::to_value(self)?)?;
        std::fs::write(
            root().join(if self.is_whole() { "docs/measured.json" } else { "target/bench-part.json" }),
            all,
        )
    }

    #[must_use]
    pub(crate) const fn is_whole(&self) -> bool {
        self.cold_start.is_some()
            && self.cpu.is_some()
            && self.cost.is_some()
            && self.growth.is_some()
            && self.ceilings.is_some()
            && self.slow.is_some()
            && self.streams.is_some()
            && self.trips.is_some()
    }
}

/// Rounds to three decimals, which is more precise than the agreement between repeated runs.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
