//! AWS's prices, in the dated table beside this crate. The code contains no other prices.

use serde::Deserialize;

const TABLE: &str = include_str!("../prices.json");

/// Prices per million, unless a field's name gives another unit.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Prices {
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) api_request: f64,
    pub(crate) write_unit: f64,
    pub(crate) read_unit: f64,
    pub(crate) sqs_request: f64,
    /// The surcharge for queues whose messages have groups.
    pub(crate) sqs_fair_queue_extra: f64,
    pub(crate) lambda_invocation: f64,
    pub(crate) lambda_gb_second: f64,
    pub(crate) per_gb: PerGb,
    pub(crate) per_month: PerMonth,
    pub(crate) lambda_memory_mb: f64,
    /// The memory that gives a function one whole processor.
    pub(crate) lambda_mb_per_core: f64,
    /// The long polls that Lambda keeps open on an idle queue.
    pub(crate) pollers_per_queue: f64,
    pub(crate) long_poll_seconds: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PerGb {
    pub(crate) storage_month: f64,
    pub(crate) log_ingested: f64,
    pub(crate) egress: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PerMonth {
    pub(crate) alarm: f64,
    pub(crate) secret: f64,
    /// A metric that gets a value in every hour.
    pub(crate) metric: f64,
}

impl Prices {
    /// # Panics
    /// When the repository's table is no valid table.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the table is part of this build")]
    pub(crate) fn read() -> Self {
        serde_json::from_str(TABLE).expect("prices.json")
    }
}
