//! The resources that other products need for the same work: measured or published, in the table beside this crate.

use serde::Deserialize;

const TABLE: &str = include_str!("../peers.json");

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Peers {
    pub(crate) svix: Svix,
    pub(crate) usd_per_million_deliveries: Vec<(String, f64)>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Svix {
    /// CPU seconds of 1,000 bare invocations on svix-server's machine, within the hour of its figures.
    pub(crate) bare_s: f64,
    pub(crate) fanout_1: Server,
    pub(crate) fanout_10: Server,
    pub(crate) end_to_end_p50_ms: f64,
    pub(crate) end_to_end_p99_ms: f64,
}

/// CPU seconds for 1,000 deliveries.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Server {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
    pub(crate) redis: f64,
    pub(crate) peak_rss_mb: f64,
}

impl Svix {
    /// CPU time in bare invocations, which holds on other machines.
    pub(crate) fn to_bare(&self, seconds: f64) -> f64 {
        seconds / self.bare_s
    }
}

impl Server {
    pub(crate) fn with_stores(&self) -> f64 {
        self.server + self.postgres + self.redis
    }
}

impl Peers {
    /// # Panics
    /// When the repository's table is no valid table.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the table is part of this build")]
    pub(crate) fn read() -> Self {
        serde_json::from_str(TABLE).expect("peers.json")
    }
}
