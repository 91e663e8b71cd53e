//! The deliveries of an endpoint, or of all endpoints of a project, newest first. A page reads from the end of each
//! partition, so its cost depends on the size of the page and not on the number of stored deliveries. `failed` and
//! `retrying` deliveries come from the sparse index, `pending` ones of an endpoint from both (`settle.rs`).
//!
//! `success` is found by reading the partitions. When almost nothing succeeded, a filter for `success` reads past the
//! failures, at a quarter of a read unit each.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::delivery::{Delivery, DeliveryStatus, attention};
use crate::event_name::EventName;
use crate::id::{DeliveryId, EndpointId};
use crate::merge::{Ask, Part, Row, Wanted};
use crate::partition::Partition;
use crate::store::Owners;
use crate::store::ranges::{Found, Range, merged, query_page};
use crate::store::{Item, Store, StoreError, from_item, number, text, value};
use crate::time::Timestamp;

/// How many rows a page looks at first when its filter passes over rows.
const LOOK: usize = 250;

/// Which deliveries a page shows; `None` means all.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub status: Option<DeliveryStatus>,
    pub event_name: Option<EventName>,
    /// Deliveries made at this moment or later.
    pub since: Option<Timestamp>,
    /// Deliveries made before this moment.
    pub until: Option<Timestamp>,
}

/// What a page asks for, but for its size.
#[derive(Clone, Copy)]
struct Page<'a> {
    owners: &'a Owners,
    filter: &'a DeliveryFilter,
    after: Option<DeliveryId>,
    /// When the search ends with the rows that it has found.
    stop: Instant,
    now: Timestamp,
}

impl Store {
    /// Up to `limit` deliveries older than `after`, newest first. Fewer than `limit` mean that there are no more, or that the
    /// search has stopped after `search`.
    pub async fn deliveries(
        &self,
        owners: &Owners,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
        search: Duration,
        now: Timestamp,
    ) -> Result<Found<Delivery>, StoreError> {
        let page = Page { owners, filter, after, stop: Instant::now() + search, now };
        match filter.status {
            Some(DeliveryStatus::Pending) => self.pending(&page, limit).await,
            Some(status) if status.wants_attention() => self.by_attention(&page, status, limit).await,
            _ => self.by_time(&page, limit).await,
        }
    }

    /// Pending deliveries: from their partitions as far as those are not settled, and then from the index.
    async fn pending(&self, page: &Page<'_>, limit: usize) -> Result<Found<Delivery>, StoreError> {
        let (filter, settled_to) = (page.filter, page.owners.settled_to);
        let since = Some(filter.since.map_or(settled_to, |since| since.max(settled_to)));
        let unsettled = DeliveryFilter { since, ..filter.clone() };
        let mut found = self.by_time(&Page { filter: &unsettled, ..*page }, limit).await?;
        if found.stopped_at.is_some() || found.rows.len() >= limit {
            return Ok(found);
        }
        let until = Some(filter.until.map_or(settled_to, |until| until.min(settled_to)));
        let settled = DeliveryFilter { until, ..filter.clone() };
        let page = Page { filter: &settled, ..*page };
        let older = self.by_attention(&page, DeliveryStatus::Pending, limit - found.rows.len()).await?;
        found.rows.extend(older.rows);
        Ok(Found { stopped_at: older.stopped_at, ..found })
    }

    /// Rows straight from their partitions.
    async fn by_time(&self, page: &Page<'_>, limit: usize) -> Result<Found<Delivery>, StoreError> {
        let Page { owners, filter, .. } = page;
        let Some(range) = range(filter, page.after) else {
            return Ok(Found { rows: Vec::new(), stopped_at: None });
        };
        let partitions = owners.partitions(filter.event_name.as_ref());
        let mut conditions = vec!["expires_at > :now"];
        let mut query = self
            .client
            .query()
            .expression_attribute_names("#of", "partition")
            .expression_attribute_values(":now", number(page.now.as_seconds()))
            // A query pays for 4 KB at least, twice as much when it is strongly consistent. Over 16 partitions that would
            // be most of a page's price.
            .consistent_read(owners.are_read_strongly());
        if let Some(name) = &filter.event_name {
            conditions.push("event_name = :event_name");
            query = query.expression_attribute_values(":event_name", text(name));
        }
        // Where other names share a partition, the query reads past them.
        let shared = EventName::of_wildcards().bucket();
        let is_mixed = partitions.iter().any(|(_, partition)| partition.bucket == shared);
        let mut look = if filter.event_name.is_some() && is_mixed { LOOK } else { 0 };
        if let Some(status) = filter.status {
            conditions.push("#status = :status");
            query = query
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", value(&status)?);
            look = LOOK;
        }
        let query = query.filter_expression(conditions.join(" AND "));
        let wanted = Wanted { rows: limit, bytes: usize::MAX, look, spread: partitions.len() };
        let read = |ask: Ask| {
            let (endpoint_id, partition) = &partitions[ask.list];
            let (query, of) = (query.clone(), partition.key(endpoint_id));
            let range = range.below(ask.below);
            async move {
                let row = |item| {
                    let delivery: Delivery = from_item(item)?;
                    Ok(Row { key: delivery.id.as_uuid(), bytes: 0, value: delivery })
                };
                self.part(query, of, range, ask.rows, row).await
            }
        };
        merged(partitions.len(), wanted, page.stop, read).await
    }

    /// Rows of one status, found through the sparse index. The index holds keys only and may lag behind, so each row is
    /// read from the table and compared with the filter again.
    async fn by_attention(
        &self,
        page: &Page<'_>,
        status: DeliveryStatus,
        limit: usize,
    ) -> Result<Found<Delivery>, StoreError> {
        let Page { filter, mut after, stop, now, .. } = *page;
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some(range) = range(filter, after)
        {
            let wanted = limit - rows.len();
            let Found { rows: keys, stopped_at } = self.attention_keys(page, status, &range, wanted).await?;
            let mut found = self.deliveries_by_id(&keys).await?;
            let matching = keys.iter().filter_map(|(_, id)| found.remove(id)).filter(|row| {
                let named = filter.event_name.as_ref().is_none_or(|name| row.event_name == *name);
                named && row.status == status && !row.is_expired(now)
            });
            rows.extend(matching);
            if stopped_at.is_some() {
                return Ok(Found { rows, stopped_at });
            }
            if keys.len() < wanted {
                break;
            }
            after = keys.last().map(|(_, id)| *id);
            if Instant::now() >= stop {
                return Ok(Found { rows, stopped_at: after.map(|id| id.as_uuid()) });
            }
        }
        Ok(Found { rows, stopped_at: None })
    }

    /// The newest deliveries that the index lists in a range. It has one partition for all names, so an id tells by its
    /// bucket whether its delivery can have the filter's name.
    async fn attention_keys(
        &self,
        page: &Page<'_>,
        status: DeliveryStatus,
        range: &Range,
        wanted: usize,
    ) -> Result<Found<(EndpointId, DeliveryId)>, StoreError> {
        let Page { owners, filter, .. } = page;
        let shards = owners.shards();
        let buckets = filter.event_name.as_ref().map(EventName::buckets);
        let query =
            self.client.query().index_name("by_attention").expression_attribute_names("#of", "attention");
        let look = if buckets.is_some() { LOOK } else { 0 };
        let read = |ask: Ask| {
            let (endpoint_id, shard) = shards[ask.list];
            let (query, of) = (query.clone(), attention(&endpoint_id, shard, status));
            let range = range.below(ask.below);
            async move {
                let row = |item| {
                    let id = id_of(&item)?;
                    Ok(Row { key: id.as_uuid(), bytes: 0, value: (endpoint_id, id) })
                };
                let mut part = self.part(query, of, range, ask.rows, row).await?;
                part.rows.retain(|row| {
                    buckets.is_none_or(|buckets| buckets.contains(&Partition::of(&row.value.1).bucket))
                });
                Ok(part)
            }
        };
        let wanted = Wanted { rows: wanted, bytes: usize::MAX, look, spread: shards.len() };
        merged(shards.len(), wanted, page.stop, read).await
    }

    /// The newest rows of one partition in a range. `#of` is the attribute that must be `of`.
    async fn part<T>(
        &self,
        query: QueryFluentBuilder,
        of: String,
        range: Option<Range>,
        rows: usize,
        row: impl Fn(Item) -> Result<Row<T>, StoreError>,
    ) -> Result<Part<T>, StoreError> {
        let Some(range) = range else {
            return Ok(Part { rows: Vec::new(), read_to: None });
        };
        let query = query
            .table_name(&self.tables.deliveries)
            .key_condition_expression("#of = :of AND id BETWEEN :from AND :to")
            .expression_attribute_values(":of", text(of))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to))
            .scan_index_forward(false);
        let (items, next) = query_page(query, rows, None).await?;
        let read_to = next.as_ref().map(id_of).transpose()?.map(|id| id.as_uuid());
        Ok(Part { rows: items.into_iter().map(row).collect::<Result<_, _>>()?, read_to })
    }
}

/// The range of keys that the filter and the cursor leave; `None` when no key is left.
fn range(filter: &DeliveryFilter, after: Option<DeliveryId>) -> Option<Range> {
    let since = filter.since.unwrap_or(Timestamp::from_millis(0));
    Range::new(since, filter.until, after.map(|id| id.as_uuid()))
}

/// The delivery's id in a row or in a key.
pub(in crate::store) fn id_of(item: &Item) -> Result<DeliveryId, StoreError> {
    let id = item.get("id").and_then(|id| id.as_s().ok());
    id.and_then(|id| DeliveryId::parse(id).ok())
        .ok_or_else(|| StoreError::Broken("a delivery's row or key without an id".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_776_009_119_000 + millis)
    }

    fn contains(filter: &DeliveryFilter, after: Option<DeliveryId>, id: DeliveryId) -> bool {
        range(filter, after).is_some_and(|range| {
            let id = id.to_string();
            range.from.to_string() <= id && id <= range.to
        })
    }

    #[test]
    fn since_is_included_and_until_is_not() {
        let filter = DeliveryFilter { since: Some(at(10)), until: Some(at(20)), ..DeliveryFilter::default() };
        for (millis, expected) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(contains(&filter, None, DeliveryId::new(at(millis))), expected, "{millis}");
        }
        let backwards = DeliveryFilter { since: Some(at(20)), until: Some(at(10)), ..filter };
        assert!(range(&backwards, None).is_none());
    }

    #[test]
    fn a_page_starts_right_after_the_one_before() {
        let (older, newer) = (DeliveryId::new(at(1)), DeliveryId::new(at(2)));
        let all = DeliveryFilter::default();
        assert!(contains(&all, None, newer));
        assert!(contains(&all, Some(newer), older));
        assert!(!contains(&all, Some(newer), newer));
        assert!(!contains(&all, Some(older), newer));
    }
}
