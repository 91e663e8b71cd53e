//! An endpoint's health, written only when it changes (contract §7).

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::endpoints::changed;
use super::{Store, StoreError, from_item, number, text, value};
use crate::endpoint::{DisabledReason, Endpoint, EndpointStatus};
use crate::id::DeliveryId;
use crate::time::Timestamp;

impl Store {
    /// Adds one delivery that ended in failure and returns the endpoint; `None` when it is gone. A repeat for the
    /// delivery that was counted last, after a lost answer or a crash, adds nothing.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
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
        let row = match result {
            Ok(answer) => answer.attributes,
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item().cloned(),
                _ => return Err(error.into()),
            },
        };
        row.filter(|row| !row.is_empty()).map(from_item).transpose()
    }

    /// Forgets the failures in a row, after a success.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn clear_failures(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .update_expression("SET consecutive_failures = :zero REMOVE first_failure_at")
            .expression_attribute_values(":zero", number(0));
        changed(update).await?;
        Ok(())
    }

    /// Disables an endpoint that has failed `failures` times in a row or more, the first of them `for_at_least` ago.
    /// Returns whether it is this call that disabled it.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn disable_after_failures(
        &self,
        endpoint: &Endpoint,
        failures: u32,
        for_at_least: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression(
                "attribute_exists(id) AND #status = :active \
                 AND consecutive_failures >= :failures AND first_failure_at <= :cutoff",
            )
            .expression_attribute_values(":failures", number(failures))
            .expression_attribute_values(":cutoff", number(now.minus(for_at_least).as_millis()));
        self.disable(update, DisabledReason::ConsecutiveFailures, now).await
    }

    /// Disables an endpoint whose receiver answered 410. Returns whether it is this call that disabled it.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn disable_gone(&self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError> {
        // An owner who changed the URL meanwhile means another receiver than the one that is gone.
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .condition_expression("attribute_exists(id) AND #status = :active AND #url = :url")
            .expression_attribute_names("#url", "url")
            .expression_attribute_values(":url", text(&endpoint.url));
        self.disable(update, DisabledReason::Gone, now).await
    }

    async fn disable(
        &self,
        update: aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder,
        reason: DisabledReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = update
            .update_expression(
                "SET #status = :disabled, disabled_reason = :reason, disabled_at = :now, updated_at = :now",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":active", value(&EndpointStatus::Active)?)
            .expression_attribute_values(":disabled", value(&EndpointStatus::Disabled)?)
            .expression_attribute_values(":reason", value(&reason)?)
            .expression_attribute_values(":now", number(now.as_millis()));
        Ok(changed(update).await?.is_some())
    }

    /// Sends the endpoint's first attempts through the slow lane until `until`.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn mark_troubled(&self, endpoint: &Endpoint, until: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update_endpoint(&endpoint.project_id, &endpoint.id)
            .update_expression("SET troubled_until = :until")
            .expression_attribute_values(":until", number(until.as_millis()));
        changed(update).await?;
        Ok(())
    }
}
