//! A project's events, newest first. An event whose id tells the time of its acceptance is read from the table itself, and
//! its acceptance needs no index. All other events are listed in a sparse index, `by_listing`. A page merges the two.
//!
//! The index is eventually consistent: an event in it may be listed a moment late, and is found by its id at once. A
//! filter by event name reads past the other names.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::Reading;
use crate::event::{Event, LISTED_AS_IT_IS};
use crate::event_name::EventName;
use crate::id::{EventId, ProjectId};
use crate::store::ranges::{Range, query_page};
use crate::store::{Item, Store, StoreError, from_item, number, text};
use crate::time::Timestamp;

/// The longest retention, so no row is older. A range without a start would contain some of the random ids too.
const OLDEST: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// The clocks of two instances differ by less than this.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// How many events from the index are read at once: their envelopes fit 3 MiB.
const WHOLE_ROWS: usize = 12;

/// Which events a page shows; `None` means all.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub event_name: Option<EventName>,
    /// Events that came at this moment or later.
    pub since: Option<Timestamp>,
    /// Events that came before this moment.
    pub until: Option<Timestamp>,
}

/// An event and its envelope.
#[derive(Debug, Clone)]
pub struct ReadEvent {
    pub event: Event,
    pub envelope: Vec<u8>,
}

/// An event in the list, with its row once that has been read.
struct Entry {
    list_key: EventId,
    event_id: EventId,
    row: Option<ReadEvent>,
}

impl Store {
    /// Up to `limit` events before the list key `after`, newest first. Fewer mean that there are no more, or that their
    /// envelopes are over `enough_bytes` together.
    pub async fn events(
        &self,
        project_id: &ProjectId,
        filter: &EventFilter,
        mut after: Option<EventId>,
        limit: usize,
        enough_bytes: usize,
        now: Timestamp,
    ) -> Result<Vec<ReadEvent>, StoreError> {
        let mut read: Vec<ReadEvent> = Vec::new();
        let mut bytes = 0;
        while let Some(range) = range(filter, after, now) {
            let wanted = limit - read.len();
            let mut entries =
                self.entries(project_id, filter, &range, wanted, enough_bytes - bytes, now).await?;
            let is_last = entries.len() < wanted;
            for entries in entries.chunks_mut(WHOLE_ROWS) {
                self.read_missing(project_id, filter, entries, now).await?;
                for entry in entries {
                    after = Some(entry.list_key);
                    bytes += entry.row.as_ref().map_or(0, |row| row.envelope.len());
                    read.extend(entry.row.take());
                    if bytes > enough_bytes {
                        return Ok(read);
                    }
                }
            }
            if is_last || read.len() >= limit {
                break;
            }
        }
        Ok(read)
    }

    /// The newest `wanted` events of a range; fewer when there are no more, or when their envelopes fill `room`.
    async fn entries(
        &self,
        project_id: &ProjectId,
        filter: &EventFilter,
        range: &Range,
        wanted: usize,
        room: usize,
        now: Timestamp,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.listed(project_id, filter, range, wanted, now).await?;
        // What is older than the last of these is not on this page.
        let from = entries.get(wanted - 1).map_or(range.from, |last| last.list_key.as_uuid());
        let range = Range { from, to: range.to.clone() };
        let (rows, oldest) = self.by_id(project_id, filter, &range, wanted, room, now).await?;
        if let Some(oldest) = oldest {
            entries.retain(|entry| entry.list_key > oldest);
        }
        entries.extend(rows);
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.list_key));
        entries.truncate(wanted);
        Ok(entries)
    }

    /// What the sparse index holds. It may lag behind: each row is judged again when it is read.
    async fn listed(
        &self,
        project_id: &ProjectId,
        filter: &EventFilter,
        range: &Range,
        wanted: usize,
        now: Timestamp,
    ) -> Result<Vec<Entry>, StoreError> {
        let query = self
            .newest_events("listed", project_id, filter, range, "expires_at > :now", now)
            .index_name("by_listing");
        let mut entries = Vec::new();
        let mut start = None;
        loop {
            let (items, next) = query_page(query.clone(), page_size(filter, wanted), start).await?;
            for item in items {
                entries.push(Entry {
                    list_key: id_in(&item, "listed")?,
                    event_id: id_in(&item, "event_id")?,
                    row: None,
                });
            }
            if entries.len() >= wanted || next.is_none() {
                entries.truncate(wanted);
                return Ok(entries);
            }
            start = next;
        }
    }

    /// What the table holds by ids that tell their time; with it the last list key, unless the range was read to its end.
    async fn by_id(
        &self,
        project_id: &ProjectId,
        filter: &EventFilter,
        range: &Range,
        wanted: usize,
        room: usize,
        now: Timestamp,
    ) -> Result<(Vec<Entry>, Option<EventId>), StoreError> {
        let condition = "attribute_not_exists(listed) AND expires_at > :now";
        let query =
            self.newest_events("event_id", project_id, filter, range, condition, now).consistent_read(true);
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let mut start = None;
        loop {
            let (items, next) = query_page(query.clone(), page_size(filter, wanted), start).await?;
            for item in items {
                let event: Event = from_item(item)?;
                let envelope = event.payload.unpack()?;
                bytes += envelope.len();
                let (list_key, event_id) = (event.event_id, event.event_id);
                entries.push(Entry { list_key, event_id, row: Some(ReadEvent { event, envelope }) });
            }
            if next.is_none() {
                return Ok((entries, None));
            }
            if entries.len() >= wanted || bytes > room {
                let last = entries.last().map(|entry| entry.list_key);
                return Ok((entries, last));
            }
            start = next;
        }
    }

    fn newest_events(
        &self,
        sort_key: &str,
        project_id: &ProjectId,
        filter: &EventFilter,
        range: &Range,
        condition: &str,
        now: Timestamp,
    ) -> QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.tables.events)
            .key_condition_expression(format!("project_id = :project AND {sort_key} BETWEEN :from AND :to"))
            .expression_attribute_values(":project", text(project_id))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .scan_index_forward(false);
        match &filter.event_name {
            Some(name) => query
                .filter_expression(format!("{condition} AND event_name = :name"))
                .expression_attribute_values(":name", text(name)),
            None => query.filter_expression(condition),
        }
    }

    /// Reads the rows that only the index has named.
    async fn read_missing(
        &self,
        project_id: &ProjectId,
        filter: &EventFilter,
        entries: &mut [Entry],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let missing: Vec<_> = entries
            .iter()
            .filter(|entry| entry.row.is_none())
            .map(|entry| (*project_id, entry.event_id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut rows: HashMap<EventId, ReadEvent> = HashMap::new();
        for item in self.batch_get_events(&missing, Reading::Strong).await? {
            let event: Event = from_item(item)?;
            let is_named = filter.event_name.as_ref().is_none_or(|name| event.event_name == *name);
            if is_named && !event.is_expired(now) {
                let envelope = event.payload.unpack()?;
                rows.insert(event.list_key(), ReadEvent { event, envelope });
            }
        }
        for entry in entries.iter_mut().filter(|entry| entry.row.is_none()) {
            entry.row = rows.remove(&entry.list_key);
        }
        Ok(())
    }
}

/// With a name to look for, more rows than asked for may have to be passed over.
fn page_size(filter: &EventFilter, wanted: usize) -> usize {
    if filter.event_name.is_some() { wanted.max(250) } else { wanted }
}

/// The list keys that the filter and the cursor leave; `None` when there are none.
fn range(filter: &EventFilter, after: Option<EventId>, now: Timestamp) -> Option<Range> {
    let oldest = now.minus(OLDEST);
    let newest = now.plus(LISTED_AS_IT_IS + CLOCKS_DIFFER);
    let since = filter.since.map_or(oldest, |since| since.max(oldest));
    let until = filter.until.map_or(newest, |until| until.min(newest));
    Range::new(since, Some(until), after.map(|id| id.as_uuid()))
}

fn id_in(item: &Item, name: &str) -> Result<EventId, StoreError> {
    let id = item.get(name).and_then(|id| id.as_s().ok());
    id.and_then(|id| EventId::parse(id).ok())
        .ok_or_else(|| StoreError::Broken(format!("an index entry without {name}").into()))
}
