//! Events. A row is the idempotency record, and holds the payload and the list of deliveries.

mod pages;

pub use self::pages::{EventFilter, EventsWanted, ReadEvent};

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValuesOnConditionCheckFailure};

use crate::delivery::Delivery;
use crate::event::{Event, partition};
use crate::id::{EventId, ProjectId};
use crate::partition::Partition;
use crate::payload::Payload;
use crate::shards::Shard;
use crate::store::inserts::{NewRow, insert_all_new, insert_each, put_all_new};
use crate::store::statements::{Written, all_there};
use crate::store::{Item, Store, StoreError, from_item, key, number, row, row_in_the_way, text, to_item};
use crate::time::Timestamp;

/// How accepting an event ended.
#[derive(Debug, Clone)]
pub enum Accepted {
    New,
    /// The project already has an event with this id. The caller compares the two.
    Exists(Box<Event>),
}

/// Which earlier writes a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Perhaps not the most recent ones, for half the price.
    Eventual,
    /// All of them.
    Strong,
}

pub(super) fn event_key(project_id: &ProjectId, shard: Shard, id: &EventId) -> Item {
    key([("partition", text(partition(project_id, shard))), ("event_id", text(id))])
}

impl Store {
    /// Writes a new event's row, unless the project has an event with that id which has not expired.
    pub async fn accept_event(&self, event: &Event, now: Timestamp) -> Result<Accepted, StoreError> {
        let result = self
            .client
            .put_item()
            .table_name(&self.tables.events)
            .set_item(Some(to_item(event)?))
            .condition_expression("attribute_not_exists(event_id) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.as_seconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match result {
            Ok(_) => return Ok(Accepted::New),
            Err(error) => error,
        };
        let Some(existing) = row_in_the_way::<Event, _>(error)? else {
            return Err(StoreError::Broken(
                "an event's row is in the way and did not come with the answer".into(),
            ));
        };
        // When the SDK repeats a write whose first answer was lost, it finds its own row. Delivery ids alone do not prove
        // that: an event without deliveries may have the same id and time as another.
        let is_own = existing.deliveries == event.deliveries
            && existing.accepted_at == event.accepted_at
            && existing.content_hash == event.content_hash;
        if is_own {
            return Ok(Accepted::New);
        }
        Ok(Accepted::Exists(Box::new(existing)))
    }

    /// Writes the row of an event whose id was made for it, and the rows of its deliveries, in as few requests as possible. A
    /// row that exists already was written by an earlier try of this call.
    ///
    /// The statements name two tables
    /// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.multiplestatements.batching.html). If AWS
    /// refuses that, each row is written by itself.
    ///
    /// # Errors
    /// After an error some of the rows may be written.
    pub async fn create_event(&self, event: &Event, deliveries: &[Delivery]) -> Result<(), StoreError> {
        put_all_new(&self.client, self.new_event(event, deliveries)?).await
    }

    /// As [`Self::create_event`], for several events in requests that they share. Says for each whether all of its rows
    /// certainly exist. The caller passes the others to [`Self::create_event`], which returns the reason.
    pub async fn try_create_events(&self, events: &[(&Event, Vec<Delivery>)]) -> Vec<bool> {
        let rows = events.iter().map(|(event, deliveries)| self.new_event(event, deliveries));
        let Ok(rows) = rows.collect::<Result<Vec<_>, _>>() else { return vec![false; events.len()] };
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let rows = rows.into_iter().flatten().collect();
        all_there(&counts, &insert_all_new(&self.client, rows).await)
    }

    fn new_event(&self, event: &Event, deliveries: &[Delivery]) -> Result<Vec<NewRow<'_>>, StoreError> {
        let row = NewRow { table: &self.tables.events, key: "event_id", item: to_item(event)? };
        std::iter::once(Ok(row))
            .chain(deliveries.iter().map(|delivery| self.new_delivery(delivery)))
            .collect()
    }

    /// Writes new events' rows together and says for each whether this call wrote it. The caller passes the others to
    /// [`Self::accept_event`], which returns the reason.
    pub async fn accept_events(&self, events: &[Event]) -> Vec<bool> {
        let key = |event: &Event| (event.project_id, event.event_id);
        let written = insert_each(&self.client, &self.tables.events, events, key).await;
        written.into_iter().map(|written| written == Written::Done).collect()
    }

    /// The event, unless it has expired.
    pub async fn event(
        &self,
        project_id: &ProjectId,
        shard: Shard,
        id: &EventId,
        now: Timestamp,
    ) -> Result<Option<Event>, StoreError> {
        let key = event_key(project_id, shard, id);
        let event: Option<Event> = row(&self.client, &self.tables.events, key).await?;
        Ok(event.filter(|event| !event.is_expired(now)))
    }

    /// The envelope of each delivery, in the order of the deliveries: from the delivery's row if that holds it, else from the
    /// event's row. `None` once it is erased, and if the event was never accepted.
    ///
    /// # Errors
    /// `Broken` also when the event's row of an attempted delivery is gone.
    pub async fn envelopes(&self, deliveries: &[Delivery]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let is_elsewhere = |delivery: &&Delivery| delivery.payload.is_none() && !delivery.erased;
        let elsewhere: Vec<&Delivery> = deliveries.iter().filter(is_elsewhere).collect();
        // A payload changes only when it is erased, and then the delivery's row says so. So an eventually consistent
        // read at half the price will do. Such a read may miss a new row, or may return an expired event with the same
        // id: then the row does not list the delivery.
        let mut events = self.events_of(&elsewhere, Reading::Eventual).await?;
        let is_listed = |delivery: &&&Delivery| {
            events.get(&event_of(delivery)).is_some_and(|event| event.lists(&delivery.id))
        };
        let unlisted: Vec<&Delivery> =
            elsewhere.iter().filter(|delivery| !is_listed(delivery)).copied().collect();
        events.extend(self.events_of(&unlisted, Reading::Strong).await?);
        deliveries
            .iter()
            .map(|delivery| {
                if delivery.payload.is_some() || delivery.erased {
                    return unpacked(delivery.payload.as_ref());
                }
                match events.get(&event_of(delivery)) {
                    Some(event) => unpacked(event.payload.as_ref()),
                    // No attempt is made before the event's row exists.
                    None if !delivery.was_attempted() => Ok(None),
                    None => {
                        let lost = format!("delivery {} has lost its event's row", delivery.id);
                        Err(StoreError::Broken(lost.into()))
                    }
                }
            })
            .collect()
    }

    async fn events_of(
        &self,
        deliveries: &[&Delivery],
        reading: Reading,
    ) -> Result<HashMap<(ProjectId, EventId), Event>, StoreError> {
        let mut wanted: Vec<(ProjectId, Shard, EventId)> = deliveries
            .iter()
            .map(|delivery| (delivery.project_id, Partition::of(&delivery.id).shard, delivery.event_id))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut events = HashMap::new();
        // An event can have 256 KiB, and one answer holds at most 16 MiB.
        for chunk in wanted.chunks(50) {
            for item in self.batch_get_events(chunk, reading).await? {
                let event: Event = from_item(item)?;
                events.insert((event.project_id, event.event_id), event);
            }
        }
        Ok(events)
    }

    pub(super) async fn batch_get_events(
        &self,
        keys: &[(ProjectId, Shard, EventId)],
        reading: Reading,
    ) -> Result<Vec<Item>, StoreError> {
        let mut wanted = KeysAndAttributes::builder().consistent_read(reading == Reading::Strong);
        for (project_id, shard, event_id) in keys {
            wanted = wanted.keys(event_key(project_id, *shard, event_id));
        }
        let wanted = wanted.build()?;
        let mut found = self.batch_get(HashMap::from([(self.tables.events.clone(), wanted)])).await?;
        Ok(found.remove(&self.tables.events).unwrap_or_default())
    }
}

/// The envelope, unless it is erased.
pub(super) fn unpacked(payload: Option<&Payload>) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(payload.map(Payload::unpack).transpose()?)
}

/// Two projects may have an event with the same id.
const fn event_of(delivery: &Delivery) -> (ProjectId, EventId) {
    (delivery.project_id, delivery.event_id)
}
