//! An endpoint's deliveries, newest first. A page reads from the end of a few partitions, so its cost depends on the
//! size of the page and not on the number of stored deliveries. `failed` and `retrying` deliveries come from the sparse
//! index.
//!
//! `success` and `pending` are found by reading the partition. When almost nothing succeeded, a filter for `success`
//! reads past the failures, at a quarter of a read unit each.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::future::try_join_all;

use crate::delivery::{Delivery, DeliveryStatus, attention, partition};
use crate::endpoint::Endpoint;
use crate::event_name::EventName;
use crate::id::DeliveryId;
use crate::store::ranges::{Range, query_page};
use crate::store::{Item, Store, StoreError, from_item, number, text, value};
use crate::time::Timestamp;

/// The most rows that one step of a search looks through.
const MOST_ROWS: usize = 5_000;

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

impl Store {
    /// Up to `limit` deliveries older than `after`, newest first. Fewer than `limit` mean that there are no more.
    pub async fn deliveries(
        &self,
        endpoint: &Endpoint,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let Some(range) = range(filter, after) else {
            return Ok(Vec::new());
        };
        let buckets = match &filter.event_name {
            Some(name) => [name.bucket()].into(),
            None => endpoint.buckets(),
        };
        let pages = buckets.into_iter().map(|bucket| {
            let partition = partition(&endpoint.id, bucket);
            let range = &range;
            async move {
                match filter.status {
                    Some(status) if status.wants_attention() => {
                        self.by_attention(endpoint, &partition, status, filter, range, limit, now).await
                    }
                    _ => self.by_time(&partition, filter, range, limit, now).await,
                }
            }
        });
        let mut rows = try_join_all(pages).await?.concat();
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        rows.truncate(limit);
        Ok(rows)
    }

    /// Rows straight from a partition, newest first.
    async fn by_time(
        &self,
        partition: &str,
        filter: &DeliveryFilter,
        range: &Range,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut conditions = vec!["expires_at > :now"];
        let mut query = self
            .newest_first("#partition = :partition", range)
            .expression_attribute_names("#partition", "partition")
            .expression_attribute_values(":partition", text(partition))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .consistent_read(true);
        if let Some(name) = &filter.event_name {
            conditions.push("event_name = :event_name");
            query = query.expression_attribute_values(":event_name", text(name));
        }
        // A filter by status passes over rows, so each step reads more of them than the page shows.
        let mut page_size = limit;
        if let Some(status) = filter.status {
            conditions.push("#status = :status");
            query = query
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", value(&status)?);
            page_size = limit.max(250);
        }
        let query = query.filter_expression(conditions.join(" AND "));
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let (items, next) = query_page(query.clone(), page_size, start).await?;
            for item in items {
                rows.push(from_item(item)?);
            }
            if rows.len() >= limit || next.is_none() {
                rows.truncate(limit);
                return Ok(rows);
            }
            start = next;
            // Small steps would take too long to find rare rows. Whatever its limit, a query reads at most 1 MiB.
            page_size = (page_size * 2).min(MOST_ROWS);
        }
    }

    /// Rows of one status, found through the sparse index. The index holds keys only and may lag behind, so each row is
    /// read from the table and compared with the filter again.
    #[expect(clippy::too_many_arguments, reason = "one private call; a struct for it would be its only user")]
    async fn by_attention(
        &self,
        endpoint: &Endpoint,
        partition: &str,
        status: DeliveryStatus,
        filter: &DeliveryFilter,
        range: &Range,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = self
            .newest_first("attention = :attention", range)
            .index_name("by_attention")
            .expression_attribute_values(":attention", text(attention(partition, status)));
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let (items, next) = query_page(query.clone(), limit, start).await?;
            let ids = items.iter().map(id_of).collect::<Result<Vec<_>, _>>()?;
            let keys: Vec<_> = ids.iter().map(|id| (endpoint.id, *id)).collect();
            let mut found = self.deliveries_by_id(&keys).await?;
            let matching = ids.iter().filter_map(|id| found.remove(id)).filter(|row| {
                let named = filter.event_name.as_ref().is_none_or(|name| row.event_name == *name);
                named && row.status == status && !row.is_expired(now)
            });
            rows.extend(matching);
            if rows.len() >= limit || next.is_none() {
                rows.truncate(limit);
                return Ok(rows);
            }
            start = next;
        }
    }

    fn newest_first(&self, partition_is: &str, range: &Range) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.deliveries)
            .key_condition_expression(format!("{partition_is} AND id BETWEEN :from AND :to"))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to))
            .scan_index_forward(false)
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
        let name = EventName::from_stored("call.ended");
        for (millis, expected) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(
                contains(&filter, None, DeliveryId::for_event(&name, at(millis))),
                expected,
                "{millis}"
            );
        }
        let backwards = DeliveryFilter { since: Some(at(20)), until: Some(at(10)), ..filter };
        assert!(range(&backwards, None).is_none());
    }

    #[test]
    fn a_page_starts_right_after_the_one_before() {
        let name = EventName::from_stored("call.ended");
        let (older, newer) = (DeliveryId::for_event(&name, at(1)), DeliveryId::for_event(&name, at(2)));
        let all = DeliveryFilter::default();
        assert!(contains(&all, None, newer));
        assert!(contains(&all, Some(newer), older));
        assert!(!contains(&all, Some(newer), newer));
        assert!(!contains(&all, Some(older), newer));
    }
}
