//! Endpoints. Every read is strongly consistent, because a change counts for each event and attempt after it.

mod health;
mod slots;
mod slowness;

pub use self::slots::Taken;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::custom_headers::CustomHeaders;
use crate::endpoint::{DisabledReason, Endpoint, EndpointStatus, ROTATION_OVERLAP};
use crate::event_name::EventName;
use crate::id::{AccountId, EndpointId, ProjectId};
use crate::rate_limit::RateLimit;
use crate::signing_secret::SigningSecret;
use crate::store::transactions::{first_condition_failed, transact};
use crate::store::update::Changes;
use crate::store::{
    Registry, Store, StoreError, from_item, if_condition_held, key, number, row, row_in_the_way, rows, text,
    to_item, value,
};
use crate::time::Timestamp;

/// The changes that a caller asks for; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    pub url: Option<String>,
    pub events: Option<Vec<EventName>>,
    pub status: Option<EndpointStatus>,
    /// The inner `None` removes it.
    pub description: Option<Option<String>>,
    /// No headers at all remove the endpoint's headers.
    pub headers: Option<CustomHeaders>,
    /// The inner `None` removes it.
    pub rate_limit_per_second: Option<Option<u16>>,
}

/// How a change of an endpoint ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    Done(Box<Endpoint>),
    /// Another change came first, so the caller must read the row again.
    Overtaken,
    Gone,
}

impl EndpointPatch {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { url, events, status, description, headers, rate_limit_per_second } = self;
        url.is_none()
            && events.is_none()
            && status.is_none()
            && description.is_none()
            && headers.is_none()
            && rate_limit_per_second.is_none()
    }

    /// Whether it may still be made after another change: none of its fields was changed, or all of them already are as it
    /// wants them. Otherwise its caller may have given up and sent the other change.
    #[must_use]
    pub fn may_follow(&self, before: &Endpoint, after: &Endpoint) -> bool {
        let is_apart = (self.url.is_none() || before.url == after.url)
            && (self.events.is_none() || before.events == after.events)
            && (self.status.is_none() || before.status == after.status)
            && (self.description.is_none() || before.description == after.description)
            && (self.headers.is_none() || before.headers == after.headers)
            && (self.rate_limit_per_second.is_none() || before.rate_limit == after.rate_limit);
        is_apart || self.is_in(after)
    }

    /// The changes to the row of this endpoint, as the row was read.
    fn changes(&self, endpoint: &Endpoint, now: Timestamp) -> Result<Changes, StoreError> {
        let mut changes = Changes::default().set("updated_at", number(now.as_millis()));
        if self.url.is_some() || self.status == Some(EndpointStatus::Active) {
            // The speed of earlier answers says nothing about a new receiver, or about one that was just mended.
            changes = changes.remove(&["slow_until", "answered_at", "hanging_since", "hanging_tried_at"]);
        }
        if let Some(url) = &self.url {
            changes = changes.set("url", text(url));
        }
        if let Some(events) = &self.events {
            let names: BTreeSet<String> = events.iter().map(ToString::to_string).collect();
            changes = changes
                .set("events", value(events)?)
                .add("event_names_ever", AttributeValue::Ss(names.into_iter().collect()));
        }
        if let Some(status) = self.status {
            changes = changes.set("status", value(&status)?);
            changes = match status {
                // The endpoint starts afresh: earlier failures no longer count (contract §7).
                EndpointStatus::Active => changes.set("consecutive_failures", number(0)).remove(&[
                    "first_failure_at",
                    "disabled_reason",
                    "disabled_at",
                ]),
                // Disabling again keeps the reason and the time of the first disabling.
                EndpointStatus::Disabled => changes
                    .set_if_absent("disabled_reason", value(&DisabledReason::Manual)?)
                    .set_if_absent("disabled_at", number(now.as_millis())),
            };
        }
        if let Some(description) = &self.description {
            changes = changes.set_or_remove("description", description.as_ref().map(text));
        }
        if let Some(headers) = &self.headers {
            let kept = (!headers.is_empty()).then(|| value(headers)).transpose()?;
            changes = changes.set_or_remove("headers", kept);
        }
        // An unchanged limit keeps the slots that are taken. A new limit begins with none taken.
        if let Some(limit) = self.rate_limit_per_second
            && limit != endpoint.rate_limit_per_second()
        {
            let limit = limit.map(|per_second| RateLimit { per_second, since: now });
            changes = changes
                .remove(&["slots_taken_until", "late_slots_taken_until"])
                .set_or_remove("rate_limit", limit.map(|limit| value(&limit)).transpose()?);
        }
        Ok(changes)
    }

    /// Whether a row looks as this change leaves it.
    fn is_in(&self, row: &Endpoint) -> bool {
        let Self { url, events, status, description, headers, rate_limit_per_second } = self;
        url.as_ref().is_none_or(|url| *url == row.url)
            && events.as_ref().is_none_or(|events| *events == row.events)
            && status.is_none_or(|status| status == row.status)
            && description.as_ref().is_none_or(|description| *description == row.description)
            && headers.as_ref().is_none_or(|headers| *headers == row.headers)
            && rate_limit_per_second.is_none_or(|limit| limit == row.rate_limit_per_second())
    }
}

/// How the creation of something with a cap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Done,
    CapReached,
}

/// How the rotation of a secret ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    To(SigningSecret),
    /// Another rotation came first.
    Overtaken,
    Gone,
}

impl Registry {
    /// Adds an endpoint, unless its project has `cap` endpoints already. The count and the row change together.
    pub async fn create_endpoint(
        &self,
        account_id: &AccountId,
        endpoint: &Endpoint,
        cap: u32,
    ) -> Result<Created, StoreError> {
        let count = Update::builder()
            .table_name(&self.tables.projects)
            .key("account_id", text(account_id))
            .key("id", text(endpoint.project_id))
            .update_expression("ADD endpoint_count :one")
            .condition_expression("attribute_exists(id) AND endpoint_count < :cap")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":cap", number(cap))
            .build()?;
        let put = Put::builder()
            .table_name(&self.tables.endpoints)
            .set_item(Some(to_item(endpoint)?))
            .condition_expression("attribute_not_exists(id)")
            .build()?;
        let writes = vec![
            TransactWriteItem::builder().update(count).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Created::Done),
            Err(error) if first_condition_failed(&error) => Ok(Created::CapReached),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an endpoint; false when there was none. Its deliveries end at their next wake-up.
    pub async fn delete_endpoint(
        &self,
        account_id: &AccountId,
        project_id: &ProjectId,
        id: &EndpointId,
    ) -> Result<bool, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables.endpoints)
            .key("project_id", text(project_id))
            .key("id", text(id))
            .condition_expression("attribute_exists(id)")
            .build()?;
        let count = Update::builder()
            .table_name(&self.tables.projects)
            .key("account_id", text(account_id))
            .key("id", text(project_id))
            .update_expression("ADD endpoint_count :minus_one")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":minus_one", number(-1))
            .build()?;
        let writes = vec![
            TransactWriteItem::builder().delete(delete).build(),
            TransactWriteItem::builder().update(count).build(),
        ];
        match transact(&self.client, writes).await {
            Ok(()) => Ok(true),
            Err(error) if first_condition_failed(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Store {
    /// A project's endpoints, oldest first.
    pub async fn endpoints(&self, project_id: &ProjectId) -> Result<Vec<Endpoint>, StoreError> {
        rows(&self.client, &self.tables.endpoints, "project_id", project_id).await
    }

    /// One endpoint of a project.
    pub async fn endpoint(
        &self,
        project_id: &ProjectId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let key = key([("project_id", text(project_id)), ("id", text(id))]);
        row(&self.client, &self.tables.endpoints, key).await
    }

    /// Changes an endpoint, if its row is still the one that was read. A write can arrive late, when its caller has given up
    /// and has made another change: then it changes nothing. A repeated write whose first answer was lost finds its own
    /// change and counts as done.
    pub async fn patch_endpoint(
        &self,
        endpoint: &Endpoint,
        patch: &EndpointPatch,
        now: Timestamp,
    ) -> Result<Patched, StoreError> {
        // Later than the time on the row, so that no two versions of a row have the same time.
        let now = now.max(endpoint.updated_at.plus(Duration::from_millis(1)));
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression("#updated_at = :read")
            .expression_attribute_values(":read", number(endpoint.updated_at.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_values(ReturnValue::AllNew);
        let result = patch.changes(endpoint, now)?.of_item(update).send().await;
        let error = match result {
            Ok(answer) => {
                let row = from_item(answer.attributes.unwrap_or_default())?;
                return Ok(Patched::Done(Box::new(row)));
            }
            Err(error) => error,
        };
        Ok(match row_in_the_way::<Endpoint, _>(error)? {
            None => Patched::Gone,
            Some(row) if row.updated_at == now && patch.is_in(&row) => Patched::Done(Box::new(row)),
            Some(_) => Patched::Overtaken,
        })
    }

    /// Records that an endpoint gets an event of a name to which it was perhaps never subscribed. The endpoint's list of
    /// deliveries then looks into the partition of that name too. False when the endpoint is gone.
    pub async fn note_event_name(&self, endpoint: &Endpoint, name: &EventName) -> Result<bool, StoreError> {
        if endpoint.event_names_ever.contains(name) {
            return Ok(true);
        }
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .update_expression("ADD event_names_ever :names")
            .expression_attribute_values(":names", AttributeValue::Ss(vec![name.to_string()]));
        Ok(changed(update).await?.is_some())
    }

    /// Gives an endpoint, as it was read, a new secret and keeps the previous one for the overlap.
    ///
    /// A rotation that happened twice would remove the secret that the receiver still uses. So a repeated write whose first
    /// answer was lost finds its own secret and counts as done, and a late write finds another secret and does nothing.
    pub async fn rotate_secret(&self, endpoint: &Endpoint, now: Timestamp) -> Result<Rotated, StoreError> {
        let secret = SigningSecret::generate();
        let result = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression("signing_secret = :old")
            .update_expression(
                "SET previous_secret = :old, previous_secret_until = :until, \
                 signing_secret = :secret, updated_at = :now",
            )
            .expression_attribute_values(":old", text(endpoint.signing_secret.expose()))
            .expression_attribute_values(":until", number(now.plus(ROTATION_OVERLAP).as_millis()))
            .expression_attribute_values(":secret", text(secret.expose()))
            .expression_attribute_values(":now", number(now.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match result {
            Ok(_) => return Ok(Rotated::To(secret)),
            Err(error) => error,
        };
        Ok(match row_in_the_way::<Endpoint, _>(error)? {
            None => Rotated::Gone,
            Some(row) if row.signing_secret == secret => Rotated::To(secret),
            Some(_) => Rotated::Overtaken,
        })
    }

    /// An update of a row that must exist.
    pub(super) fn update_endpoint(&self, project_id: &ProjectId, id: &EndpointId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.endpoints)
            .key("project_id", text(project_id))
            .key("id", text(id))
            .condition_expression("attribute_exists(id)")
    }
}

/// Carries out an endpoint's update and returns the new row; `None` when its condition failed.
pub(super) async fn changed(update: UpdateItemFluentBuilder) -> Result<Option<Endpoint>, StoreError> {
    let answer = if_condition_held(update.return_values(ReturnValue::AllNew).send().await)?;
    answer.and_then(|answer| answer.attributes).map(from_item).transpose()
}
