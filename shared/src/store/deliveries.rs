//! Deliveries: state and attempts change in one conditional update of one row.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use futures_util::future::try_join_all;

use super::inserts::{put_all_new, put_new};
use super::{Item, Store, StoreError, from_item, key, number, row, text, value};
use crate::attempt::{Attempt, Trigger};
use crate::delivery::{Delivery, DeliveryStatus, FailureReason, attention, partition};
use crate::endpoint::Endpoint;
use crate::id::{DeliveryId, EndpointId, ProjectId, ReplayId};
use crate::job::{Chain, DeliveryJob};
use crate::rate_limit::Slot;
use crate::time::Timestamp;

/// What changes on a delivery's row, in one write.
#[derive(Debug, Clone)]
pub struct Transition {
    pub status: DeliveryStatus,
    pub triggered_by: Trigger,
    pub next_retry_at: Option<Timestamp>,
    pub failure_reason: Option<FailureReason>,
    pub chain: Option<Chain>,
    pub slot: Option<Slot>,
    pub uncounted: bool,
    /// The attempt that led to it, if one was made.
    pub attempt: Option<Attempt>,
    /// The replay that it is made for. A delivery that this replay or a later one has moved on is not moved on again.
    pub replay_id: Option<ReplayId>,
    pub at: Timestamp,
}

impl Transition {
    /// As it is, without an attempt, but for what the caller changes.
    #[must_use]
    pub fn unchanged(delivery: &Delivery, at: Timestamp) -> Self {
        Self {
            status: delivery.status,
            triggered_by: delivery.triggered_by,
            next_retry_at: delivery.next_retry_at,
            failure_reason: delivery.failure_reason,
            chain: delivery.chain,
            slot: delivery.slot,
            uncounted: delivery.uncounted,
            attempt: None,
            replay_id: None,
            at,
        }
    }
}

/// How a transition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    Done,
    /// The row is no longer what the decision was made on, or is gone.
    Overtaken,
}

/// What the delivery function reads before it decides, for a whole batch at once.
#[derive(Debug, Default)]
pub struct Loaded {
    pub deliveries: HashMap<DeliveryId, Delivery>,
    pub endpoints: HashMap<(ProjectId, EndpointId), Endpoint>,
}

fn delivery_key(endpoint_id: &EndpointId, id: &DeliveryId) -> Item {
    key([("partition", text(partition(endpoint_id, id.bucket()))), ("id", text(id))])
}

impl Store {
    /// Writes a delivery's first row. A row that is there already stays as it is.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn create_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        put_new(&self.client, &self.tables.deliveries, delivery).await
    }

    /// Writes deliveries' first rows. Those that are there already stay as they are.
    ///
    /// # Errors
    /// When DynamoDB did not do it; some may be written.
    pub async fn create_deliveries(&self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        put_all_new(&self.client, &self.tables.deliveries, deliveries).await
    }

    /// The delivery with its attempts, unless it has expired.
    ///
    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn delivery(
        &self,
        project_id: &ProjectId,
        endpoint_id: &EndpointId,
        id: &DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let delivery: Option<Delivery> =
            row(&self.client, &self.tables.deliveries, delivery_key(endpoint_id, id)).await?;
        Ok(delivery.filter(|delivery| delivery.project_id == *project_id && !delivery.is_expired(now)))
    }

    /// The deliveries and endpoints that jobs are about, strongly consistent, in as few requests as there are
    /// hundreds of rows.
    ///
    /// # Errors
    /// When DynamoDB did not answer for all of them.
    pub async fn load(&self, jobs: &[&DeliveryJob]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for jobs in jobs.chunks(50) {
            let mut deliveries: HashMap<DeliveryId, Item> = HashMap::new();
            let mut endpoints: HashMap<EndpointId, Item> = HashMap::new();
            for job in jobs {
                deliveries.insert(job.delivery_id, delivery_key(&job.endpoint_id, &job.delivery_id));
                let endpoint = key([("project_id", text(job.project_id)), ("id", text(job.endpoint_id))]);
                endpoints.insert(job.endpoint_id, endpoint);
            }
            let wanted = HashMap::from([
                (self.tables.deliveries.clone(), keys(deliveries.into_values())?),
                (self.tables.endpoints.clone(), keys(endpoints.into_values())?),
            ]);
            let mut found = self.batch_get(wanted).await?;
            for item in found.remove(&self.tables.deliveries).unwrap_or_default() {
                let delivery: Delivery = from_item(item)?;
                loaded.deliveries.insert(delivery.id, delivery);
            }
            for item in found.remove(&self.tables.endpoints).unwrap_or_default() {
                let endpoint: Endpoint = from_item(item)?;
                loaded.endpoints.insert((endpoint.project_id, endpoint.id), endpoint);
            }
        }
        Ok(loaded)
    }

    /// Rows by endpoint and id, a hundred a request. Those that are gone are left out.
    ///
    /// # Errors
    /// When DynamoDB did not answer for all of them.
    pub async fn deliveries_by_id(
        &self,
        ids: &[(EndpointId, DeliveryId)],
    ) -> Result<HashMap<DeliveryId, Delivery>, StoreError> {
        let chunks = ids.chunks(100).map(|ids| async {
            let wanted = keys(ids.iter().map(|(endpoint_id, id)| delivery_key(endpoint_id, id)))?;
            let mut found = self.batch_get(HashMap::from([(self.tables.deliveries.clone(), wanted)])).await?;
            let items = found.remove(&self.tables.deliveries).unwrap_or_default();
            items.into_iter().map(from_item).collect::<Result<Vec<Delivery>, _>>()
        });
        let rows = try_join_all(chunks).await?.into_iter().flatten();
        Ok(rows.map(|delivery| (delivery.id, delivery)).collect())
    }

    /// Moves a delivery on, if its row is still the one that was read. A repeat of a write whose answer was lost is
    /// recognized and counts as done.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn advance(&self, before: &Delivery, transition: &Transition) -> Result<Advanced, StoreError> {
        let mut set = vec!["#status = :status", "triggered_by = :triggered_by", "updated_at = :at"];
        let mut remove = Vec::new();
        let mut update = self
            .update_delivery(before)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", value(&transition.status)?)
            .expression_attribute_values(":triggered_by", value(&transition.triggered_by)?)
            .expression_attribute_values(":at", number(transition.at.as_millis()))
            .expression_attribute_values(":old_status", value(&before.status)?)
            .expression_attribute_values(":old_count", number(before.attempt_count));
        let mut condition = "#status = :old_status AND attempt_count = :old_count".to_owned();
        let attention =
            transition.status.wants_attention().then(|| attention(&before.partition, transition.status));
        let optional: [(&str, &str, Option<AttributeValue>); 6] = [
            ("next_retry_at", "next_retry_at = :next_retry_at", optional_value(transition.next_retry_at)?),
            (
                "failure_reason",
                "failure_reason = :failure_reason",
                optional_value(transition.failure_reason)?,
            ),
            ("chain", "chain = :chain", optional_value(transition.chain)?),
            ("slot", "slot = :slot", optional_value(transition.slot)?),
            ("uncounted", "uncounted = :uncounted", optional_value(transition.uncounted.then_some(true))?),
            ("attention", "attention = :attention", attention.map(text)),
        ];
        for (name, assignment, new) in optional {
            match new {
                Some(new) => {
                    set.push(assignment);
                    update = update.expression_attribute_values(format!(":{name}"), new);
                }
                None => remove.push(name),
            }
        }
        if let Some(attempt) = &transition.attempt {
            set.push("attempt_count = :count");
            set.push("attempts = list_append(if_not_exists(attempts, :none), :attempt)");
            update = update
                .expression_attribute_values(":count", number(before.attempt_count + 1))
                .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
                .expression_attribute_values(":attempt", AttributeValue::L(vec![value(attempt)?]));
        }
        if let Some(replay_id) = &transition.replay_id {
            set.push("replay_id = :replay");
            condition.push_str(" AND (attribute_not_exists(replay_id) OR replay_id < :replay)");
            update = update.expression_attribute_values(":replay", text(replay_id));
        }
        if transition.attempt.is_some() && transition.status.wants_attention() {
            // The event's row has it too. A read there for each further attempt costs a fifth of the second unit that
            // every further write of this row would.
            remove.push("payload");
        }
        let removed =
            if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        let result = update
            .update_expression(format!("SET {}{removed}", set.join(", ")))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match result {
            Ok(_) => return Ok(Advanced::Done),
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(error.into());
        };
        let Some(item) = failed.item().cloned().filter(|item| !item.is_empty()) else {
            return Ok(Advanced::Overtaken);
        };
        let row: Delivery = from_item(item)?;
        let is_ours = match &transition.attempt {
            Some(attempt) => row.attempts.iter().any(|recorded| recorded.id == attempt.id),
            None => {
                row.status == transition.status
                    && row.updated_at == transition.at
                    && row.chain == transition.chain
            }
        };
        Ok(if is_ours { Advanced::Done } else { Advanced::Overtaken })
    }

    /// Takes the turn to make a delivery's next attempt for the job of this chain. Of two that try, one is overtaken.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn claim(
        &self,
        before: &Delivery,
        chain: Option<Chain>,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        let mut update = self
            .update_delivery(before)
            .condition_expression(
                "#status = :old_status AND attempt_count = :old_count AND updated_at = :old_updated_at",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":old_status", value(&before.status)?)
            .expression_attribute_values(":old_count", number(before.attempt_count))
            .expression_attribute_values(":old_updated_at", number(before.updated_at.as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        update = match chain {
            Some(chain) => update
                .update_expression("SET updated_at = :now, chain = :chain")
                .expression_attribute_values(":chain", value(&chain)?),
            None => update.update_expression("SET updated_at = :now REMOVE chain"),
        };
        match update.send().await {
            Ok(_) => Ok(Advanced::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(Advanced::Overtaken),
                _ => Err(error.into()),
            },
        }
    }

    fn update_delivery(&self, delivery: &Delivery) -> UpdateItemFluentBuilder {
        let key = delivery_key(&delivery.endpoint_id, &delivery.id);
        self.client.update_item().table_name(&self.tables.deliveries).set_key(Some(key))
    }

    /// Notes that a delivery's failure is counted although not all that follows it is done.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn note_counted(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let update = self
            .update_delivery(delivery)
            .update_expression("SET counted = :true")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        update.send().await?;
        Ok(())
    }

    /// Notes that all is done that follows from a delivery's failure.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn settle_count(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let result = self
            .update_delivery(delivery)
            .update_expression("REMOVE uncounted, counted")
            .condition_expression("attribute_exists(id)")
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// A batch read that asks again for what DynamoDB left unprocessed.
    pub(super) async fn batch_get(
        &self,
        mut wanted: HashMap<String, KeysAndAttributes>,
    ) -> Result<HashMap<String, Vec<Item>>, StoreError> {
        let mut found: HashMap<String, Vec<Item>> = HashMap::new();
        for round in 0..5_u32 {
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(25 << round)).await;
            }
            let answer = self.client.batch_get_item().set_request_items(Some(wanted)).send().await?;
            for (table, items) in answer.responses.unwrap_or_default() {
                found.entry(table).or_default().extend(items);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("a batch read was left unprocessed".to_owned()))
    }
}

fn keys(keys: impl Iterator<Item = Item>) -> Result<KeysAndAttributes, StoreError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys.collect()))
        .consistent_read(true)
        .build()
        .map_err(|error| StoreError::Broken(error.to_string()))
}

fn optional_value(of: Option<impl serde::Serialize>) -> Result<Option<AttributeValue>, StoreError> {
    of.map(|of| value(&of)).transpose()
}
