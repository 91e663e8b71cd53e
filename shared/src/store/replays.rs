//! Replays: their rows, the deliveries that they look for, and the events that they change.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::deliveries::id_of;
use super::ranges::{Range, query_page};
use super::transactions::{first_condition_failed, put_new, transact};
use super::update::Changes;
use super::{
    Advanced, Created, Item, Store, StoreError, audit, from_item, if_condition_held, key, number, row,
    row_in_the_way, text, to_item, value,
};
use crate::audit::AuditEntry;
use crate::delivery::{Delivery, attention};
use crate::event::{Event, EventDelivery};
use crate::id::{DeliveryId, EndpointId, ReplayId};
use crate::partition::Partition;
use crate::replay::{Replay, ReplayFilter};
use crate::shards::Shard;
use crate::time::Timestamp;

/// The sort key of the row that names an endpoint's latest replay; other rows have the replay's id there.
const LATEST: &str = "latest";

#[derive(Serialize, Deserialize)]
struct Latest {
    endpoint_id: EndpointId,
    id: String,
    replay_id: ReplayId,
    /// The same as on the replay's own row.
    expires_at: i64,
}

impl Store {
    /// Begins a replay, if `latest` is still the latest one of its endpoint. One transaction makes the replay the latest, and
    /// writes its row and its entry. So of replays begun side by side only one runs, and a crash does not block the next one.
    pub async fn create_replay(
        &self,
        replay: &Replay,
        latest: Option<ReplayId>,
        entry: &AuditEntry,
    ) -> Result<Created, StoreError> {
        let own = Latest {
            endpoint_id: replay.endpoint_id,
            id: LATEST.to_owned(),
            replay_id: replay.id,
            expires_at: replay.expires_at,
        };
        let put = Put::builder().table_name(&self.tables.replays).set_item(Some(to_item(&own)?));
        let put = match latest {
            None => put.condition_expression("attribute_not_exists(id)"),
            Some(latest) => put
                .condition_expression("attribute_not_exists(id) OR replay_id = :latest")
                .expression_attribute_values(":latest", text(latest)),
        };
        let put = put.build()?;
        let writes = vec![
            TransactWriteItem::builder().put(put).build(),
            put_new(&self.tables.replays, "id", to_item(replay)?)?,
            audit::written(&self.tables.audit, entry)?,
        ];
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Created::Done),
            Err(error) if first_condition_failed(&error) => {
                // A repeat whose first answer was lost finds its own row.
                let is_ours = self.latest_replay(&replay.endpoint_id).await? == Some(replay.id);
                Ok(if is_ours { Created::Done } else { Created::CapReached })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The latest replay of an endpoint, whether it runs or is over.
    pub async fn latest_replay(&self, endpoint_id: &EndpointId) -> Result<Option<ReplayId>, StoreError> {
        let key = key([("endpoint_id", text(endpoint_id)), ("id", text(LATEST))]);
        let latest: Option<Latest> = row(&self.client, &self.tables.replays, key).await?;
        Ok(latest.map(|latest| latest.replay_id))
    }

    /// The replay, unless it has expired.
    pub async fn replay(
        &self,
        endpoint_id: &EndpointId,
        id: &ReplayId,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError> {
        let key = key([("endpoint_id", text(endpoint_id)), ("id", text(id))]);
        let replay: Option<Replay> = row(&self.client, &self.tables.replays, key).await?;
        Ok(replay.filter(|replay| !replay.is_expired(now)))
    }

    /// An endpoint's newest replays, newest first.
    pub async fn replays(
        &self,
        endpoint_id: &EndpointId,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Replay>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.replays)
            // The row of the latest replay's name sorts after every id.
            .key_condition_expression("endpoint_id = :endpoint AND id < :latest")
            .expression_attribute_values(":endpoint", text(endpoint_id))
            .expression_attribute_values(":latest", text(LATEST))
            .consistent_read(true)
            .scan_index_forward(false);
        let (items, _) = query_page(query, most, None).await?;
        let replays = items.into_iter().map(from_item).collect::<Result<Vec<Replay>, _>>()?;
        Ok(replays.into_iter().filter(|replay| !replay.is_expired(now)).collect())
    }

    /// Replaces a replay's row by the row of the next step, if no other job has done so. A repeated write whose first
    /// answer was lost is recognized and counts as done.
    pub async fn advance_replay(&self, next: &Replay) -> Result<Advanced, StoreError> {
        let result = self
            .client
            .put_item()
            .table_name(&self.tables.replays)
            .set_item(Some(to_item(next)?))
            .condition_expression("step = :before")
            .expression_attribute_values(":before", number(next.step - 1))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match result {
            Ok(_) => return Ok(Advanced::Done),
            Err(error) => error,
        };
        let row = row_in_the_way::<Replay, _>(error)?;
        Ok(if row.as_ref() == Some(next) { Advanced::Done } else { Advanced::Overtaken })
    }

    /// Looks through up to `limit` deliveries of one partition after `after`, oldest first. Returns the deliveries that the
    /// replay looks for, and the key to read on from.
    pub async fn to_replay(
        &self,
        endpoint_id: &EndpointId,
        partition: Partition,
        filter: &ReplayFilter,
        after: Option<DeliveryId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<DeliveryId>, Option<DeliveryId>), StoreError> {
        let query = self
            .client
            .query()
            .expression_attribute_names("#of", "partition")
            .expression_attribute_values(":of", text(partition.key(endpoint_id)))
            .consistent_read(true);
        let (items, next) = self.oldest_first(query, filter, after, limit).await?;
        let rows = items.into_iter().map(from_item).collect::<Result<Vec<Delivery>, _>>()?;
        let matching = rows.iter().filter(|row| matches(row, filter, now));
        Ok((matching.map(|row| row.id).collect(), next))
    }

    /// The same of the failures of one shard. The index of failed deliveries may lag by a moment.
    pub async fn failures_to_replay(
        &self,
        endpoint_id: &EndpointId,
        shard: Shard,
        filter: &ReplayFilter,
        after: Option<DeliveryId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<DeliveryId>, Option<DeliveryId>), StoreError> {
        let query = self
            .client
            .query()
            .index_name("by_attention")
            .expression_attribute_names("#of", "attention")
            .expression_attribute_values(":of", text(attention(endpoint_id, shard, filter.status)));
        let (items, next) = self.oldest_first(query, filter, after, limit).await?;
        let ids = items.iter().map(id_of).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<_> = ids.iter().map(|id| (*endpoint_id, *id)).collect();
        let rows = self.deliveries_by_id(&keys).await?;
        let is_match = |id: &DeliveryId| rows.get(id).is_some_and(|row| matches(row, filter, now));
        Ok((ids.into_iter().filter(is_match).collect(), next))
    }

    async fn oldest_first(
        &self,
        query: QueryFluentBuilder,
        filter: &ReplayFilter,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<DeliveryId>), StoreError> {
        let Some(mut range) = Range::new(filter.since, Some(filter.until), None) else {
            return Ok((Vec::new(), None));
        };
        if let Some(after) = after {
            range.from = range.from.max(Uuid::from_u128(after.as_uuid().as_u128().saturating_add(1)));
        }
        if range.from.to_string() > range.to {
            return Ok((Vec::new(), None));
        }
        let query = query
            .table_name(&self.tables.deliveries)
            .key_condition_expression("#of = :of AND id BETWEEN :from AND :to")
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to));
        let (items, next) = query_page(query, limit, None).await?;
        Ok((items, next.as_ref().map(id_of).transpose()?))
    }

    /// Lists a delivery on an event that skipped the delivery's endpoint. The same write removes the endpoint from the
    /// skipped ones. `Overtaken` when the event's row is no longer as it was read, or its payload is erased.
    pub async fn unskip(&self, event: &Event, delivery: &EventDelivery) -> Result<Advanced, StoreError> {
        if !event.skipped.has(&delivery.endpoint_id) {
            return Ok(Advanced::Overtaken);
        }
        let mut changes = Changes::default().set_by(
            "deliveries",
            "list_append(#deliveries, :deliveries)",
            AttributeValue::L(vec![value(delivery)?]),
        );
        let others = event.skipped.without(&delivery.endpoint_id);
        changes = changes.set_or_remove("skipped", (!others.is_empty()).then(|| value(&others)).transpose()?);
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.events)
            .key("partition", text(&event.partition))
            .key("event_id", text(event.event_id))
            .condition_expression(
                "accepted_at = :accepted AND #skipped = :as_read AND attribute_exists(payload)",
            )
            .expression_attribute_values(":accepted", number(event.accepted_at.as_millis()))
            .expression_attribute_values(":as_read", value(&event.skipped)?);
        let result = changes.of_item(update).send().await;
        let done = if_condition_held(result)?;
        Ok(if done.is_some() { Advanced::Done } else { Advanced::Overtaken })
    }
}

fn matches(row: &Delivery, filter: &ReplayFilter, now: Timestamp) -> bool {
    row.status == filter.status && !row.erased && filter.has_name(&row.event_name) && !row.is_expired(now)
}
