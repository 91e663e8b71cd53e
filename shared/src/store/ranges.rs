//! Ranges of keys that sort by time, one page of a query, and a page over several partitions.

use std::future::Future;
use std::time::Instant;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::{Item, StoreError};
use crate::id::DeliveryId;
use crate::merge::{Ask, Merge, Part, Wanted};
use crate::time::Timestamp;

/// How many partitions a page asks at once.
const AT_ONCE: usize = 16;

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

    /// The part of the range below a key, or all of it; `None` when nothing is left.
    pub(super) fn below(&self, key: Option<Uuid>) -> Option<Self> {
        let to = key.map_or_else(|| self.to.clone(), before);
        (self.from.to_string() <= to).then_some(Self { from: self.from, to })
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

/// Rows of a list, newest first.
#[derive(Debug)]
pub struct Found<T> {
    pub rows: Vec<T>,
    /// The key below which the search is to go on, when its time ended before it had all rows that were asked for.
    pub stopped_at: Option<Uuid>,
}

/// The newest rows of several partitions, newest first. `read` asks one of them. Once `stop` is past, the search ends with
/// the answers that are under way.
pub(super) async fn merged<T, R>(
    partitions: usize,
    wanted: Wanted,
    stop: Instant,
    read: impl Fn(Ask) -> R,
) -> Result<Found<T>, StoreError>
where
    R: Future<Output = Result<Part<T>, StoreError>>,
{
    let mut merge = Merge::new(partitions, wanted);
    for round in 0_u32.. {
        let asks = merge.asks();
        if asks.is_empty() {
            break;
        }
        // The first round asks every list.
        if round > 0 && Instant::now() >= stop {
            let so_far = merge.so_far();
            let (rows, stopped_at) =
                so_far.ok_or_else(|| StoreError::Broken("a list was not asked".into()))?;
            return Ok(Found { rows, stopped_at: Some(stopped_at) });
        }
        let answers = asks.into_iter().map(|ask| {
            let answer = read(ask);
            async move { Ok::<_, StoreError>((ask.list, answer.await?)) }
        });
        let answers: Vec<_> = stream::iter(answers).buffer_unordered(AT_ONCE).try_collect().await?;
        merge.add(answers);
    }
    Ok(Found { rows: merge.page(), stopped_at: None })
}

/// One page of a query, and where the next one starts.
pub(super) async fn query_page(
    query: QueryFluentBuilder,
    limit: usize,
    start: Option<Item>,
) -> Result<(Vec<Item>, Option<Item>), StoreError> {
    page(query, Some(limit), start).await
}

async fn page(
    query: QueryFluentBuilder,
    limit: Option<usize>,
    start: Option<Item>,
) -> Result<(Vec<Item>, Option<Item>), StoreError> {
    let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
    let answer = query.set_limit(limit).set_exclusive_start_key(start).send().await?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
}

/// The items of all pages of a query, or the first `most`.
pub(super) async fn all_pages(
    query: QueryFluentBuilder,
    most: Option<usize>,
) -> Result<Vec<Item>, StoreError> {
    let (mut items, mut start) = (Vec::new(), None);
    while most.is_none_or(|most| items.len() < most) {
        let left = most.map(|most| most - items.len());
        let (more, next) = page(query.clone(), left, start).await?;
        items.extend(more);
        start = next;
        if start.is_none() {
            break;
        }
    }
    Ok(items)
}
