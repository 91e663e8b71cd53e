//! A project's events, newest first. An event whose id tells the time of its acceptance is read from the table itself, and
//! its acceptance needs no index. All other events are listed in a sparse index, `by_listing`. A page merges the two, over
//! all shards.
//!
//! The index is eventually consistent: an event in it may be listed a moment late, and is found by its id at once. A
//! filter by event name reads past the other names, until its time is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Reading, unpacked};
use crate::event::{Event, LISTED_AS_IT_IS, partition};
use crate::event_name::EventName;
use crate::id::{EventId, ProjectId};
use crate::merge::{Ask, Part, Row, Wanted};
use crate::payload::Payload;
use crate::shards::{Shard, Shards};
use crate::store::ranges::{Found, Range, merged, query_page};
use crate::store::{Item, Store, StoreError, from_item, number, text};
use crate::time::Timestamp;

/// The longest retention, so no row is older. A range without a start would contain some of the random ids too.
const OLDEST: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// The clocks of two instances differ by less than this.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// How many events from the index are read at once: their envelopes fit 3 MiB.
const WHOLE_ROWS: usize = 12;

/// How many rows a page looks at first when its filter passes over rows.
const LOOK: usize = 250;

/// Which events a page shows; `None` means all.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub event_name: Option<EventName>,
    /// Events that came at this moment or later.
    pub since: Option<Timestamp>,
    /// Events that came before this moment.
    pub until: Option<Timestamp>,
}

/// When a page of events ends.
#[derive(Debug, Clone, Copy)]
pub struct EventsWanted {
    pub rows: usize,
    /// The page ends with the event that brings its envelopes above this. `None`: the page needs no envelopes.
    pub envelope_bytes: Option<usize>,
    /// After this time the search ends with the events that it has found.
    pub search: Duration,
}

/// An event and its envelope.
#[derive(Debug, Clone)]
pub struct ReadEvent {
    pub event: Event,
    /// `None` once it is erased, and where the page needs none.
    pub envelope: Option<Vec<u8>>,
}

/// The events that a page lists.
struct Log<'a> {
    project_id: ProjectId,
    shards: Vec<Shard>,
    filter: &'a EventFilter,
    now: Timestamp,
}

/// An event in the list, with its row once that has been read.
struct Entry {
    list_key: EventId,
    shard: Shard,
    event_id: EventId,
    event: Option<Event>,
}

impl Entry {
    fn of(event: Event, shard: Shard) -> Self {
        Self { list_key: event.list_key(), shard, event_id: event.event_id, event: Some(event) }
    }

    /// The event that an item of the index names.
    fn named(item: &Item, shard: Shard) -> Result<Self, StoreError> {
        let (list_key, event_id) = (id_in(item, "listed")?, id_in(item, "event_id")?);
        Ok(Self { list_key, shard, event_id, event: None })
    }

    /// How many bytes its envelope has at least, as far as is known.
    fn bytes(&self) -> usize {
        let payload = self.event.as_ref().and_then(|event| event.payload.as_ref());
        payload.map_or(0, Payload::at_least)
    }
}

impl Store {
    /// The newest events before the list key `after`, newest first. Fewer than are wanted mean that there are no more, that their
    /// envelopes have enough bytes, or that the search has stopped.
    pub async fn events(
        &self,
        project_id: &ProjectId,
        shards: Shards,
        filter: &EventFilter,
        mut after: Option<EventId>,
        page: EventsWanted,
        now: Timestamp,
    ) -> Result<Found<ReadEvent>, StoreError> {
        let stop = Instant::now() + page.search;
        let log = Log { project_id: *project_id, shards: shards.all().collect(), filter, now };
        let mut read: Vec<ReadEvent> = Vec::new();
        let most_bytes = page.envelope_bytes.unwrap_or(usize::MAX);
        let mut bytes = 0;
        while let Some(range) = range(filter, after, now) {
            let rows = page.rows - read.len();
            let look = if filter.event_name.is_some() { LOOK } else { 0 };
            let wanted = Wanted { rows, bytes: most_bytes - bytes, look, spread: log.shards.len() };
            let read_list = |ask| self.entries(&log, &range, ask);
            let found = merged(2 * log.shards.len(), wanted, stop, read_list).await?;
            let is_last = found.rows.len() < rows;
            let mut entries = found.rows.into_iter().peekable();
            while entries.peek().is_some() {
                let mut next: Vec<Entry> = entries.by_ref().take(WHOLE_ROWS).collect();
                self.read_missing(&log, &mut next).await?;
                for entry in next {
                    after = Some(entry.list_key);
                    let Some(event) = entry.event else { continue };
                    let packed = event.payload.as_ref().filter(|_| page.envelope_bytes.is_some());
                    let envelope = unpacked(packed)?;
                    bytes += envelope.as_ref().map_or(0, Vec::len);
                    read.push(ReadEvent { event, envelope });
                    if bytes > most_bytes {
                        return Ok(Found { rows: read, stopped_at: None });
                    }
                }
            }
            if found.stopped_at.is_some() {
                return Ok(Found { rows: read, stopped_at: found.stopped_at });
            }
            if is_last || read.len() >= page.rows {
                break;
            }
            if Instant::now() >= stop {
                return Ok(Found { rows: read, stopped_at: after.map(|id| id.as_uuid()) });
            }
        }
        Ok(Found { rows: read, stopped_at: None })
    }

    /// Asks one list of the log. Each shard has two: its part of the table, and its part of the sparse index.
    async fn entries(&self, log: &Log<'_>, range: &Range, ask: Ask) -> Result<Part<Entry>, StoreError> {
        let (shard, by_id) = (log.shards[ask.list / 2], ask.list.is_multiple_of(2));
        let Some(range) = range.below(ask.below) else {
            return Ok(Part { rows: Vec::new(), read_to: None });
        };
        let (sort_key, condition) = if by_id {
            ("event_id", "attribute_not_exists(listed) AND expires_at > :now")
        } else {
            ("listed", "expires_at > :now")
        };
        let query = self
            .client
            .query()
            .table_name(&self.tables.events)
            .key_condition_expression(format!("#partition = :partition AND {sort_key} BETWEEN :from AND :to"))
            .expression_attribute_names("#partition", "partition")
            .expression_attribute_values(":partition", text(partition(&log.project_id, shard)))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to))
            .expression_attribute_values(":now", number(log.now.as_seconds()))
            .scan_index_forward(false);
        let query = match &log.filter.event_name {
            Some(name) => query
                .filter_expression(format!("{condition} AND event_name = :name"))
                .expression_attribute_values(":name", text(name)),
            None => query.filter_expression(condition),
        };
        // As in a page of deliveries, many shards are read at half the price. An index has no other price.
        let query =
            if by_id { query.consistent_read(log.shards.len() == 1) } else { query.index_name("by_listing") };
        let (items, next) = query_page(query, ask.rows, None).await?;
        let read_to = next.as_ref().map(|key| id_in(key, sort_key)).transpose()?.map(|id| id.as_uuid());
        let row = |item| {
            let entry = if by_id { Entry::of(from_item(item)?, shard) } else { Entry::named(&item, shard)? };
            Ok(Row { key: entry.list_key.as_uuid(), bytes: entry.bytes(), value: entry })
        };
        Ok(Part { rows: items.into_iter().map(row).collect::<Result<_, StoreError>>()?, read_to })
    }

    /// Reads the rows that only the index has named. The index may lag behind, so each row is judged again.
    async fn read_missing(&self, log: &Log<'_>, entries: &mut [Entry]) -> Result<(), StoreError> {
        let missing: Vec<_> = entries
            .iter()
            .filter(|entry| entry.event.is_none())
            .map(|entry| (log.project_id, entry.shard, entry.event_id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut rows: HashMap<EventId, Event> = HashMap::new();
        for item in self.batch_get_events(&missing, Reading::Strong).await? {
            let event: Event = from_item(item)?;
            let is_named = log.filter.event_name.as_ref().is_none_or(|name| event.event_name == *name);
            if is_named && !event.is_expired(log.now) {
                rows.insert(event.list_key(), event);
            }
        }
        for entry in entries.iter_mut().filter(|entry| entry.event.is_none()) {
            entry.event = rows.remove(&entry.list_key);
        }
        Ok(())
    }
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
