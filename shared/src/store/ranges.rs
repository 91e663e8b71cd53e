//! Ranges of keys that sort by time, and one page of a query.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use uuid::Uuid;

use super::{Item, StoreError};
use crate::id::DeliveryId;
use crate::time::Timestamp;

/// A range of UUIDv7 keys, ends included.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) from: Uuid,
    pub(super) to: String,
}

impl Range {
    /// The keys from `since` on that are before `until` and before `after`, the last key of the previous page; `None` when
    /// there can be none.
    pub(super) fn new(since: Timestamp, until: Option<Timestamp>, after: Option<Uuid>) -> Option<Self> {
        let from = first_at(since);
        let until = until.map(first_at);
        let end = match (until, after) {
            (Some(until), Some(after)) => Some(until.min(after)),
            (until, after) => until.or(after),
        };
        // BETWEEN includes its ends, but `until` and `after` are excluded. `~` sorts after every id.
        let to = end.map_or_else(|| "~".to_owned(), before);
        (from.to_string() <= to).then_some(Self { from, to })
    }
}

/// The smallest UUIDv7 of that millisecond; it is the same for ids of all nouns.
fn first_at(at: Timestamp) -> Uuid {
    DeliveryId::first_at(at).as_uuid()
}

/// The largest key that is smaller than `id`, as text.
fn before(id: Uuid) -> String {
    Uuid::from_u128(id.as_u128().saturating_sub(1)).to_string()
}

/// One page of a query, and where the next one starts.
pub(super) async fn query_page(
    query: QueryFluentBuilder,
    limit: usize,
    start: Option<Item>,
) -> Result<(Vec<Item>, Option<Item>), StoreError> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let answer = query.limit(limit).set_exclusive_start_key(start).send().await?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
}
