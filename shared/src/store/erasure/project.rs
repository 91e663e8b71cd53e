//! What the job of a project's erasure deletes, step by step. Each step finds its rows by what is left of them, so it
//! may stop at any point and be repeated.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::time::Instant;

use super::{FormerEndpoint, former, former_key, former_partition};
use crate::event::{EventDelivery, partition};
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};
use crate::partition::Partition;
use crate::route::Routes;
use crate::shards::{Shard, Shards};
use crate::store::deletions::delete_all;
use crate::store::deliveries::delivery_key;
use crate::store::endpoints::both_keys;
use crate::store::events::event_key;
use crate::store::ranges::query_page;
use crate::store::routes::{read_row, row_key};
use crate::store::stats::all_partitions;
use crate::store::transactions::transact;
use crate::store::{Store, StoreError, from_item, text};
use crate::stream::StreamKey;
use crate::time::Timestamp;

/// How many rows a query reads at most. Events with large payloads end a page at 1 MB.
pub(super) const PAGE: usize = 100;

/// How many events are deleted with everything of theirs before the time is looked at again. Each may have fifty streams.
const EVENTS_AT_ONCE: usize = 10;

/// How many partitions are asked at once.
const PARTITIONS_AT_ONCE: usize = 16;

#[derive(Deserialize)]
struct ListedEvent {
    event_id: EventId,
    deliveries: Vec<EventDelivery>,
}

#[derive(Deserialize)]
struct FoundDelivery {
    id: DeliveryId,
    project_id: ProjectId,
}

impl Store {
    /// The first copy of a project's routing row, also while the project is being erased.
    pub async fn routes_to_erase(&self, project_id: &ProjectId) -> Result<Option<Routes>, StoreError> {
        read_row(&self.client, &self.tables.routes, project_id, Shard::FIRST).await
    }

    /// Deletes an endpoint of a project that is being erased. Its deliveries end at their next wake-up.
    pub async fn retire_endpoint(
        &self,
        project_id: &ProjectId,
        id: &EndpointId,
        kept_for: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(endpoint) = self.endpoint(project_id, id).await? else { return Ok(()) };
        let mut writes = vec![former(&self.tables.replays, &endpoint, kept_for, now)?];
        for part in both_keys(id) {
            let delete = Delete::builder().table_name(&self.tables.endpoints).set_key(Some(part)).build()?;
            writes.push(TransactWriteItem::builder().delete(delete).build());
        }
        Ok(transact(&self.client, writes).await?)
    }

    /// Deletes the events of one shard with the deliveries that they list, until none is left or the time is over. True when
    /// none is left. An event goes after its deliveries, which only it can name.
    pub async fn erase_events(
        &self,
        project_id: &ProjectId,
        shard: Shard,
        end: Instant,
    ) -> Result<bool, StoreError> {
        while Instant::now() < end {
            let query = of_partition(&self.tables.events, "partition", &partition(project_id, shard), self)
                .projection_expression("event_id, deliveries");
            let (items, next) = query_page(query, PAGE, None).await?;
            let events: Vec<ListedEvent> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
            for events in events.chunks(EVENTS_AT_ONCE) {
                if Instant::now() >= end {
                    return Ok(false);
                }
                let listed = events.iter().flat_map(|event| &event.deliveries);
                let keys =
                    listed.clone().map(|listed| delivery_key(&listed.endpoint_id, &listed.id)).collect();
                delete_all(&self.client, &self.tables.deliveries, keys).await?;
                let streams: BTreeSet<StreamKey> = listed.filter_map(EventDelivery::in_stream).collect();
                let erased = streams.iter().map(|stream| self.erase_stream(stream));
                all_of(erased).await?;
                let keys = events.iter().map(|event| event_key(project_id, shard, &event.event_id)).collect();
                delete_all(&self.client, &self.tables.events, keys).await?;
            }
            if next.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes all rows of a partition of a table with these keys.
    pub(super) async fn erase_partition(
        &self,
        table: &str,
        [partition, sort]: [&str; 2],
        of: &str,
    ) -> Result<(), StoreError> {
        loop {
            let query = of_partition(table, partition, of, self)
                .projection_expression("#partition, #sort")
                .expression_attribute_names("#sort", sort);
            let (keys, next) = query_page(query, PAGE, None).await?;
            delete_all(&self.client, table, keys).await?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes what is left of a project's former endpoints: deliveries that no event lists, hourly counts, streams, replays,
    /// and the row that names the endpoint. True when none is left.
    pub async fn erase_former_endpoints(
        &self,
        project_id: &ProjectId,
        end: Instant,
    ) -> Result<bool, StoreError> {
        while Instant::now() < end {
            let of = former_partition(project_id);
            let (items, next) =
                query_page(of_partition(&self.tables.replays, "endpoint_id", &of, self), PAGE, None).await?;
            for item in items {
                let mut former: FormerEndpoint = from_item(item)?;
                if !self.erase_former_endpoint(project_id, &mut former, end).await? {
                    // The next step goes on from there.
                    self.note_former(&former).await?;
                    return Ok(false);
                }
            }
            if next.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes the rows of a former endpoint, and takes each bucket off it whose deliveries are gone. Most partitions of
    /// an endpoint are empty, and an endpoint of a large project has more of them than a step can ask.
    async fn erase_former_endpoint(
        &self,
        project_id: &ProjectId,
        former: &mut FormerEndpoint,
        end: Instant,
    ) -> Result<bool, StoreError> {
        let id = &former.id;
        while let Some(bucket) = former.buckets.first().copied() {
            if Instant::now() >= end {
                return Ok(false);
            }
            let partitions = Partition::all([bucket], former.shards);
            let erased = partitions.iter().map(|partition| self.erase_deliveries(project_id, id, *partition));
            all_of(erased).await?;
            former.buckets.remove(&bucket);
        }
        for counted in all_partitions(project_id, id, former.shards) {
            self.erase_partition(&self.tables.stats, ["partition", "hour"], &counted).await?;
        }
        if !self.erase_listed_streams(id, end).await? {
            return Ok(false);
        }
        self.erase_partition(&self.tables.replays, ["endpoint_id", "id"], &id.to_string()).await?;
        delete_all(&self.client, &self.tables.replays, vec![former_key(project_id, id)]).await?;
        Ok(true)
    }

    /// Deletes the deliveries in one partition of a former endpoint.
    async fn erase_deliveries(
        &self,
        project_id: &ProjectId,
        id: &EndpointId,
        partition: Partition,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let query = of_partition(&self.tables.deliveries, "partition", &partition.key(id), self)
                .projection_expression("id, project_id");
            let (items, next) = query_page(query, PAGE, after).await?;
            let found: Vec<FoundDelivery> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
            let own = found.iter().filter(|row| row.project_id == *project_id);
            let keys = own.map(|row| delivery_key(id, &row.id)).collect();
            delete_all(&self.client, &self.tables.deliveries, keys).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes all copies of a project's routing row, the first one last. Then nothing is left of the project.
    pub async fn erase_routes(&self, project_id: &ProjectId, shards: Shards) -> Result<(), StoreError> {
        let table = &self.tables.routes;
        let others = shards.all().filter(|copy| *copy != Shard::FIRST);
        delete_all(&self.client, table, others.map(|copy| row_key(project_id, copy)).collect()).await?;
        delete_all(&self.client, table, vec![row_key(project_id, Shard::FIRST)]).await
    }
}

/// Does several things at once, and all of them unless one fails.
async fn all_of(
    doing: impl Iterator<Item = impl Future<Output = Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    let doing: Vec<_> = doing.collect();
    stream::iter(doing).buffer_unordered(PARTITIONS_AT_ONCE).try_collect().await
}

/// A query of one partition, read strongly consistently.
pub(super) fn of_partition(table: &str, key: &str, of: &str, store: &Store) -> QueryFluentBuilder {
    store
        .client
        .query()
        .table_name(table)
        .key_condition_expression("#partition = :of")
        .expression_attribute_names("#partition", key)
        .expression_attribute_values(":of", text(of))
        .consistent_read(true)
}
