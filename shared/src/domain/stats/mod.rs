//! Counts of the deliveries and attempts of an endpoint, hour by hour (contract §6). They are for people, and nothing
//! depends on them: a function that dies loses the counts that it has not written.

mod histogram;
mod period;

use std::collections::HashMap;

pub use self::histogram::{BUCKETS, Histogram};
pub use self::period::{Hour, NotAPeriod, Period};
use crate::delivery::DeliveryStatus;
use crate::endpoint::Endpoint;
use crate::id::{EndpointId, ProjectId};
use crate::shards::Shards;
use crate::time::Timestamp;
use crate::transition::Transition;

/// A project's counts need fewer partitions than its deliveries: an invocation writes one row for all its deliveries to
/// an endpoint.
const SHARDS_TO_A_PARTITION: u8 = 8;

/// Over how many partitions an endpoint's counts are spread.
#[must_use]
pub fn partitions(shards: Shards) -> Shards {
    Shards::new(shards.count().div_ceil(SHARDS_TO_A_PARTITION)).unwrap_or_default()
}

/// How a change of a delivery that was written counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountsAs {
    Delivered,
    Failed,
    Retried,
}

impl CountsAs {
    /// `None` for a change that ends nothing and records no attempt.
    #[must_use]
    pub const fn of(written: &Transition) -> Option<Self> {
        match (written.status, &written.attempt) {
            (DeliveryStatus::Success, _) => Some(Self::Delivered),
            (DeliveryStatus::Failed, _) => Some(Self::Failed),
            (DeliveryStatus::Retrying | DeliveryStatus::Pending, Some(_)) => Some(Self::Retried),
            (DeliveryStatus::Retrying | DeliveryStatus::Pending, None) => None,
        }
    }
}

/// The counts of some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that ended in success, and in failure. One that is retried by hand ends again.
    pub delivered: u64,
    pub failed: u64,
    /// Failed attempts after which another attempt is due.
    pub retried: u64,
    pub durations: Histogram,
    pub last_attempt: Option<LastAttempt>,
}

/// The attempt that began last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAttempt {
    pub began_at: Timestamp,
    pub http_status: Option<u16>,
}

impl Counts {
    /// Counts a change of a delivery that was written.
    pub fn add(&mut self, written: &Transition) {
        match CountsAs::of(written) {
            Some(CountsAs::Delivered) => self.delivered += 1,
            Some(CountsAs::Failed) => self.failed += 1,
            Some(CountsAs::Retried) => self.retried += 1,
            None => {}
        }
        if let Some(attempt) = &written.attempt {
            self.durations.add(attempt.duration_ms);
            let (began_at, http_status) = (attempt.id.created_at(), attempt.http_status);
            self.saw(LastAttempt { began_at, http_status });
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.retried += other.retried;
        self.durations.merge(&other.durations);
        if let Some(attempt) = other.last_attempt {
            self.saw(attempt);
        }
    }

    fn saw(&mut self, attempt: LastAttempt) {
        if self.last_attempt.is_none_or(|last| last.began_at <= attempt.began_at) {
            self.last_attempt = Some(attempt);
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The row that one invocation adds to: an hour of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CountedAt {
    pub project_id: ProjectId,
    pub endpoint_id: EndpointId,
    pub shards: Shards,
    pub hour: Hour,
}

/// The counts of one invocation, by endpoint and hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HourlyCounts(HashMap<CountedAt, Counts>);

impl HourlyCounts {
    /// Counts a change of a delivery to this endpoint that was written.
    pub fn add(&mut self, endpoint: &Endpoint, written: &Transition) {
        let place = CountedAt {
            project_id: endpoint.project_id,
            endpoint_id: endpoint.id,
            shards: endpoint.shards,
            hour: Hour::of(written.at),
        };
        self.0.entry(place).or_default().add(written);
    }

    /// The rows to add to, with the counts to add.
    pub fn into_rows(self) -> impl Iterator<Item = (CountedAt, Counts)> {
        self.0.into_iter().filter(|(_, counts)| !counts.is_empty())
    }
}

#[cfg(test)]
mod tests;
