//! An endpoint's hourly counts: written by the delivery function, once for each endpoint and invocation, and read by the api.
//!
//! A row is an hour of an endpoint, and `ADD` changes it (docs/rows.md). `ADD` counts twice when it is repeated, so a write is
//! tried once: when its answer is lost, it may be done or not.
//!
//! The last attempt of a row is that of the invocation that wrote last: where attempts overlap, another one may have begun
//! later. (Rejected: a condition on its time. Each write that it refuses costs a unit and is made again without the attempt,
//! and at a busy endpoint, whose counts are in few partitions, a large part of the writes overtake each other.)

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::ranges::all_pages;
use super::update::Changes;
use super::{Item, Store, StoreError, number, text};
use crate::id::{EndpointId, ProjectId};
use crate::shards::{Shard, Shards};
use crate::stats::{CountedAt, Counts, Hour, LastAttempt, Period, partitions};
use crate::time::Timestamp;

/// A write that takes longer is given up, because the batch waits for it.
const WRITE_TIME: Duration = Duration::from_secs(1);

/// How many writes, or queries of a list, are under way at once.
const AT_ONCE: usize = 16;

/// A count's name. A bucket's is `took_` and its number.
const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";
const RETRIED: &str = "retried";
const BUCKET: &str = "took_";

/// Writes counts.
#[derive(Debug, Clone)]
pub struct StatsWriter {
    client: Client,
    table: String,
    retention: Duration,
}

/// The counts of an endpoint, hour by hour from the first on. An hour in which nothing happened is left out.
pub type Hours = Vec<(Hour, Counts)>;

impl StatsWriter {
    /// `client` is the store's; the writer's own shares its connections.
    #[must_use]
    pub fn new(client: &Client, table: String, retention: Duration) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(WRITE_TIME).build();
        let config =
            client.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        Self { client: Client::from_conf(config.build()), table, retention }
    }

    /// Adds an invocation's counts. `random` chooses among an endpoint's partitions.
    ///
    /// # Errors
    /// The number of rows that are perhaps not written, and the reason for one of them.
    pub async fn add(&self, rows: Vec<(CountedAt, Counts)>, random: u32) -> Result<(), (usize, StoreError)> {
        let writes: Vec<_> =
            rows.into_iter().map(|(place, counts)| self.add_one(place, counts, random)).collect();
        let written: Vec<_> = stream::iter(writes).buffer_unordered(AT_ONCE).collect().await;
        let mut failed = written.into_iter().filter_map(Result::err);
        let Some(error) = failed.next() else { return Ok(()) };
        Err((1 + failed.count(), error))
    }

    async fn add_one(&self, place: CountedAt, counts: Counts, random: u32) -> Result<(), StoreError> {
        let shard = partitions(place.shards).any(random);
        let partition = partition(&place.project_id, &place.endpoint_id, shard);
        let expires_at = place.hour.end().plus(self.retention).as_seconds();
        let mut changes = Changes::default().set("expires_at", number(expires_at));
        if let Some(LastAttempt { began_at, http_status }) = counts.last_attempt {
            changes = changes
                .set("last_at", number(began_at.as_millis()))
                .set("last_status", number(http_status.unwrap_or(0)));
        }
        for (name, count) in numbers(&counts) {
            changes = changes.add(&name, number(count));
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("partition", text(partition))
            .key("hour", number(place.hour.start().as_seconds()));
        changes.of_item(update).send().await?;
        Ok(())
    }
}

impl Store {
    /// The counts of an endpoint. A write of a moment ago may be missing.
    pub async fn stats(
        &self,
        project_id: &ProjectId,
        endpoint_id: &EndpointId,
        shards: Shards,
        period: Period,
        now: Timestamp,
    ) -> Result<Hours, StoreError> {
        let mut hours = BTreeMap::<Hour, Counts>::new();
        for shard in partitions(shards).all() {
            for item in self.stats_rows(&partition(project_id, endpoint_id, shard), period, now).await? {
                if let Some(hour) = hour_of(&item) {
                    hours.entry(hour).or_default().merge(&counts_of(&item));
                }
            }
        }
        Ok(hours.into_iter().collect())
    }

    /// The counts of all endpoints of a project, oldest endpoint first; `None` when there is no such project.
    pub async fn stats_of_project(
        &self,
        project_id: &ProjectId,
        copy: Shard,
        period: Period,
        now: Timestamp,
    ) -> Result<Option<Vec<(EndpointId, Hours)>>, StoreError> {
        let Some(routes) = self.routing_row(project_id, copy).await? else { return Ok(None) };
        let shards = routes.shards;
        let reads = routes.endpoints.into_keys().map(|id| async move {
            Ok::<_, StoreError>((id, self.stats(project_id, &id, shards, period, now).await?))
        });
        let reads: Vec<_> = reads.collect();
        Ok(Some(stream::iter(reads).buffered(AT_ONCE).try_collect().await?))
    }

    async fn stats_rows(
        &self,
        partition: &str,
        period: Period,
        now: Timestamp,
    ) -> Result<Vec<Item>, StoreError> {
        // Both keys' names are reserved words.
        let query = self
            .client
            .query()
            .table_name(&self.tables.stats)
            .key_condition_expression("#partition = :partition AND #hour BETWEEN :first AND :last")
            .filter_expression("expires_at > :now")
            .expression_attribute_names("#partition", "partition")
            .expression_attribute_names("#hour", "hour")
            .expression_attribute_values(":partition", text(partition))
            .expression_attribute_values(":first", number(period.first.start().as_seconds()))
            .expression_attribute_values(":last", number(period.last.start().as_seconds()))
            .expression_attribute_values(":now", number(now.as_seconds()));
        all_pages(query, None).await
    }
}

/// The partitions of an endpoint's counts.
pub(super) fn all_partitions(
    project_id: &ProjectId,
    endpoint_id: &EndpointId,
    shards: Shards,
) -> Vec<String> {
    partitions(shards).all().map(|shard| partition(project_id, endpoint_id, shard)).collect()
}

fn partition(project_id: &ProjectId, endpoint_id: &EndpointId, shard: Shard) -> String {
    format!("{project_id}#{endpoint_id}#{shard}")
}

/// The counts that are not zero, by name.
fn numbers(counts: &Counts) -> impl Iterator<Item = (String, u64)> {
    let sums = [(DELIVERED, counts.delivered), (FAILED, counts.failed), (RETRIED, counts.retried)];
    let sums = sums.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count));
    sums.chain(counts.durations.counts().map(|(bucket, count)| (format!("{BUCKET}{bucket}"), count)))
}

/// The counts of a row. Attributes that this build does not know are overlooked.
fn counts_of(item: &Item) -> Counts {
    let count = |name: &str| number_of(item, name).unwrap_or(0);
    let mut counts = Counts {
        delivered: count(DELIVERED),
        failed: count(FAILED),
        retried: count(RETRIED),
        last_attempt: last_attempt(item),
        ..Counts::default()
    };
    for name in item.keys() {
        if let Some(bucket) = name.strip_prefix(BUCKET).and_then(|bucket| bucket.parse().ok()) {
            counts.durations.add_count(bucket, count(name));
        }
    }
    counts
}

fn last_attempt(item: &Item) -> Option<LastAttempt> {
    let began_at = Timestamp::from_millis(number_of(item, "last_at")?);
    let http_status = number_of(item, "last_status").filter(|status| *status > 0);
    Some(LastAttempt { began_at, http_status })
}

fn hour_of(item: &Item) -> Option<Hour> {
    let seconds: i64 = number_of(item, "hour")?;
    Some(Hour::of(Timestamp::from_millis(seconds.saturating_mul(1_000))))
}

fn number_of<T: FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::BUCKETS;

    /// An hour in which every count is as large as it can be: 1,000 invocations a second, each with ten attempts.
    fn fullest() -> Counts {
        const MOST: u64 = 3_600 * 1_000 * 10;
        let began_at = Timestamp::parse("9999-12-31T23:59:59.999Z").expect("a time");
        let last_attempt = Some(LastAttempt { began_at, http_status: Some(503) });
        let mut counts =
            Counts { delivered: MOST, failed: MOST, retried: MOST, last_attempt, ..Counts::default() };
        (0..BUCKETS).for_each(|bucket| counts.durations.add_count(bucket, MOST));
        counts
    }

    fn row(counts: &Counts) -> Item {
        let LastAttempt { began_at, http_status } = counts.last_attempt.expect("an attempt");
        let id = "01a20259-3a57-7c63-9fb6-0c94e1b2e278";
        let mut row = Item::from([
            ("partition".to_owned(), text(format!("{id}#{id}#63"))),
            ("hour".to_owned(), number(253_402_297_200_u64)),
            ("expires_at".to_owned(), number(253_402_297_200_u64)),
            ("last_at".to_owned(), number(began_at.as_millis())),
            ("last_status".to_owned(), number(http_status.unwrap_or(0))),
        ]);
        row.extend(numbers(counts).map(|(name, count)| (name, number(count))));
        row
    }

    #[test]
    fn a_row_gives_back_what_was_added() {
        let counts = fullest();
        let read = row(&counts);
        assert_eq!(counts_of(&read), counts);
        assert_eq!(
            hour_of(&read).map(|hour| hour.start().to_string()).as_deref(),
            Some("9999-12-31T23:00:00.000Z")
        );
        assert_eq!(counts_of(&Item::new()), Counts::default());
    }

    /// A number takes a byte for each two digits and one more
    /// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
    #[test]
    fn the_fullest_row_is_written_for_one_unit() {
        let bytes = |(name, value): (&String, &aws_sdk_dynamodb::types::AttributeValue)| {
            let value = value
                .as_n()
                .map_or_else(|_| value.as_s().map_or(0, String::len), |n| n.len().div_ceil(2) + 1);
            name.len() + value
        };
        let size: usize = row(&fullest()).iter().map(bytes).sum();
        println!("the fullest row has {size} bytes");
        assert!(size <= 1_024, "{size} bytes");
    }
}
