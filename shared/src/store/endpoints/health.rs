//! An endpoint's health, written only when it changes (contract §7).

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::endpoint::{DisabledReason, Endpoint, EndpointStatus};
use crate::id::{DeliveryId, EventId};
use crate::store::update::Changes;
use crate::store::{Store, StoreError, from_item, number, row_in_the_way, text, value};
use crate::time::Timestamp;

impl Store {
    /// Counts one failed delivery and returns the endpoint; `None` when the endpoint is gone. After a lost answer or a
    /// crash the call may be repeated: for the delivery that was counted last, a repeat adds nothing.
    pub async fn count_failure(
        &self,
        endpoint: &Endpoint,
        delivery_id: &DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Endpoint>, StoreError> {
        let result = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(last_counted) OR last_counted <> :delivery)",
            )
            .update_expression(
                "SET first_failure_at = if_not_exists(first_failure_at, :now), last_counted = :delivery \
                 ADD consecutive_failures :one",
            )
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":delivery", text(delivery_id))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(answer) => answer.attributes.map(from_item).transpose(),
            Err(error) => row_in_the_way(error),
        }
    }

    /// Sets the count of consecutive failures to 0 after a success. Returns whether the endpoint recovered by this success.
    /// The row keeps `recovery`, so that a repeated call returns the same. A disabled endpoint has not recovered.
    pub async fn clear_failures(&self, endpoint: &Endpoint, recovery: &EventId) -> Result<bool, StoreError> {
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(recovery) OR recovery <> :recovery) AND \
                 (consecutive_failures > :zero OR attribute_exists(first_failure_at) OR is_down = :true)",
            )
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":true", value(&true)?);
        let mut changes = Changes::default()
            .set("consecutive_failures", number(0))
            .set("recovery", text(recovery))
            .remove(&["first_failure_at"]);
        if endpoint.status == EndpointStatus::Active {
            changes = changes.remove(&["is_down"]);
        }
        let row = done(changes.of_item(update), |row| row.recovery == Some(*recovery)).await?;
        Ok(row.is_some_and(|row| row.status == EndpointStatus::Active))
    }

    /// Disables an endpoint with at least `failures` consecutive failures, the first of them at least `for_at_least` ago.
    /// Returns the endpoint if this call disabled it, or an earlier call with the same `disabling`.
    pub async fn disable_after_failures(
        &self,
        endpoint: &Endpoint,
        failures: u32,
        for_at_least: Duration,
        disabling: &EventId,
        now: Timestamp,
    ) -> Result<Option<Endpoint>, StoreError> {
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression(
                "attribute_exists(id) AND #status = :active \
                 AND consecutive_failures >= :failures AND first_failure_at <= :cutoff",
            )
            .expression_attribute_values(":failures", number(failures))
            .expression_attribute_values(":cutoff", number(now.minus(for_at_least).as_millis()));
        disable(update, DisabledReason::ConsecutiveFailures, disabling, now).await
    }

    /// Disables an endpoint whose receiver answered 410. Returns the endpoint if this call disabled it, or an earlier call
    /// with the same `disabling`.
    pub async fn disable_gone(
        &self,
        endpoint: &Endpoint,
        disabling: &EventId,
        now: Timestamp,
    ) -> Result<Option<Endpoint>, StoreError> {
        // When the owner has changed the URL meanwhile, the answer came from a receiver that no longer matters.
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression("attribute_exists(id) AND #status = :active AND #url = :url")
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":url", text(&endpoint.url));
        disable(update, DisabledReason::Gone, disabling, now).await
    }
}

async fn disable(
    update: UpdateItemFluentBuilder,
    reason: DisabledReason,
    disabling: &EventId,
    now: Timestamp,
) -> Result<Option<Endpoint>, StoreError> {
    let changes = Changes::default()
        .set("status", value(&EndpointStatus::Disabled)?)
        .set("disabled_reason", value(&reason)?)
        .set("disabled_at", number(now.as_millis()))
        .set("updated_at", number(now.as_millis()))
        .set("disabling", text(disabling))
        .set("is_down", value(&true)?);
    let update =
        changes.of_item(update).expression_attribute_values(":active", value(&EndpointStatus::Active)?);
    done(update, |row| row.disabling == Some(*disabling)).await
}

/// Carries out an update once. Returns the row if this call changed it. When the condition failed, `is_ours` tells from the
/// row whether an earlier call of the same kind made the change; then the row is returned too.
async fn done(
    update: UpdateItemFluentBuilder,
    is_ours: impl FnOnce(&Endpoint) -> bool,
) -> Result<Option<Endpoint>, StoreError> {
    let update = update
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = match update.send().await {
        Ok(answer) => return answer.attributes.map(from_item).transpose(),
        Err(error) => error,
    };
    Ok(row_in_the_way::<Endpoint, _>(error)?.filter(is_ours))
}
