//! An endpoint's health, written only when it changes (contract §7).

use std::time::Duration;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::audit::{Action, Author};
use crate::endpoint::{DisabledReason, Endpoint, EndpointState, EndpointStatus};
use crate::endpoint_health::DisableRule;
use crate::id::{DeliveryId, EventId};
use crate::store::endpoints::{Part, write};
use crate::store::update::Changes;
use crate::store::{Store, StoreError, audit, from_item, number, routes, row_in_the_way, text, value};
use crate::time::Timestamp;

/// The endpoint is active, and its owner has changed nothing since it was read: the entry of its route is written from what
/// was read.
const AS_READ: &str = "#status = :active AND #updated_at = :read";

/// How often the disabling of an endpoint is tried whose owner changes it meanwhile. The next failure disables it otherwise.
const TRIES: usize = 3;

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
            .update_state(endpoint)
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
        let state: Option<EndpointState> = match result {
            Ok(answer) => answer.attributes.map(from_item).transpose()?,
            Err(error) => row_in_the_way(error)?,
        };
        Ok(state.map(|state| Endpoint { state, ..endpoint.clone() }))
    }

    /// Sets the count of consecutive failures to 0 after a success. Returns whether the endpoint recovered by this success.
    /// The row keeps `recovery`, so that a repeated call returns the same. A disabled endpoint has not recovered.
    pub async fn clear_failures(&self, endpoint: &Endpoint, recovery: &EventId) -> Result<bool, StoreError> {
        let is_ours = |state: &EndpointState| state.recovery == Some(*recovery);
        let is_as_read = |state: &EndpointState| state.disabling == endpoint.state.disabling;
        if endpoint.status == EndpointStatus::Active {
            match self.clear(endpoint, recovery, true).await? {
                // The status was read before this write. Another `disabling` shows that we have disabled the endpoint since:
                // the endpoint is still down.
                Some(state) if !is_ours(&state) && !is_as_read(&state) => {}
                state => return Ok(state.is_some_and(|state| is_ours(&state) && is_as_read(&state))),
            }
        }
        self.clear(endpoint, recovery, false).await?;
        Ok(false)
    }

    /// Clears the failures, and with `is_up` the mark of an endpoint that is down, unless we have disabled the endpoint since
    /// it was read. Returns the state after this write, or the one in its way.
    async fn clear(
        &self,
        endpoint: &Endpoint,
        recovery: &EventId,
        is_up: bool,
    ) -> Result<Option<EndpointState>, StoreError> {
        let mut condition =
            "attribute_exists(id) AND (attribute_not_exists(recovery) OR recovery <> :recovery) AND \
             (consecutive_failures > :zero OR attribute_exists(first_failure_at) OR is_down = :true)"
                .to_owned();
        let mut update = self
            .update_state(endpoint)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":true", value(&true)?);
        let mut changes = Changes::default()
            .set("consecutive_failures", number(0))
            .set("recovery", text(recovery))
            .remove(&["first_failure_at", "failing"]);
        if is_up {
            changes = changes.remove(&["is_down"]);
            match &endpoint.state.disabling {
                Some(disabling) => {
                    condition.push_str(" AND disabling = :disabling");
                    update = update.expression_attribute_values(":disabling", text(disabling));
                }
                None => condition.push_str(" AND attribute_not_exists(disabling)"),
            }
        }
        let update = changes
            .of_item(update)
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await {
            Ok(answer) => Ok(answer.attributes.map(from_item).transpose()?),
            Err(error) => row_in_the_way(error),
        }
    }

    /// Notes that an endpoint with at least as many failures in a row is failing, once until its next success. Returns whether
    /// this call did so, or an earlier call with the same `failing`.
    pub async fn note_failing(&self, endpoint: &Endpoint, failing: &EventId) -> Result<bool, StoreError> {
        let noted = self
            .update_state(endpoint)
            .condition_expression("consecutive_failures >= :failures AND attribute_not_exists(failing)")
            .update_expression("SET failing = :failing")
            .expression_attribute_values(":failures", number(endpoint.state.consecutive_failures))
            .expression_attribute_values(":failing", text(failing))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = noted else { return Ok(true) };
        let state: Option<EndpointState> = row_in_the_way(error)?;
        Ok(state.is_some_and(|state| state.failing == Some(*failing)))
    }

    /// Disables an endpoint with as many consecutive failures as the rule says, the first of them as long ago.
    /// Returns the endpoint if this call disabled it, or an earlier call with the same `disabling`.
    pub async fn disable_after_failures(
        &self,
        endpoint: &Endpoint,
        rule: DisableRule,
        disabling: &EventId,
        kept_for: Duration,
        now: Timestamp,
    ) -> Result<Option<Endpoint>, StoreError> {
        let mut endpoint = endpoint.clone();
        for _ in 0..TRIES {
            let disabled = endpoint.disabled(DisabledReason::ConsecutiveFailures, *disabling, now);
            let state = self
                .new_state(&disabled)?
                .condition_expression("consecutive_failures >= :failures AND first_failure_at <= :cutoff")
                .expression_attribute_values(":failures", number(rule.failures))
                .expression_attribute_values(":cutoff", number(now.minus(rule.after).as_millis()));
            if self.disable(&endpoint, &disabled, state, kept_for).await? {
                return Ok(Some(disabled));
            }
            match self.endpoint(&endpoint.project_id, &endpoint.id).await? {
                Some(latest) if latest.state.disabling == Some(*disabling) => return Ok(Some(latest)),
                Some(latest) if latest.updated_at != endpoint.updated_at => endpoint = latest,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Disables an endpoint whose receiver answered 410, unless its owner has changed it since it was read: the answer may have
    /// come from a receiver that no longer matters. Returns the endpoint if this call disabled it, or an earlier call with the
    /// same `disabling`.
    pub async fn disable_gone(
        &self,
        endpoint: &Endpoint,
        disabling: &EventId,
        kept_for: Duration,
        now: Timestamp,
    ) -> Result<Option<Endpoint>, StoreError> {
        let disabled = endpoint.disabled(DisabledReason::Gone, *disabling, now);
        let state = self.new_state(&disabled)?.condition_expression("attribute_exists(id)");
        if self.disable(endpoint, &disabled, state, kept_for).await? {
            return Ok(Some(disabled));
        }
        let latest = self.endpoint(&disabled.project_id, &disabled.id).await?;
        Ok(latest.filter(|latest| latest.state.disabling == disabled.state.disabling))
    }

    fn new_settings(&self, before: &Endpoint, disabled: &Endpoint) -> Result<UpdateBuilder, StoreError> {
        let at = number(disabled.updated_at.as_millis());
        let changes = Changes::default()
            .set("status", value(&disabled.status)?)
            .set("disabled_reason", value(&disabled.disabled_reason)?)
            .set("disabled_at", at.clone())
            .set("updated_at", at);
        let update = Part::Settings
            .update(&self.tables.endpoints, &disabled.id)
            .condition_expression(AS_READ)
            .expression_attribute_values(":active", value(&EndpointStatus::Active)?)
            .expression_attribute_values(":read", number(before.updated_at.as_millis()));
        Ok(changes.of_transaction(update))
    }

    fn new_state(&self, disabled: &Endpoint) -> Result<UpdateBuilder, StoreError> {
        let changes = Changes::default()
            .set("disabling", value(&disabled.state.disabling)?)
            .set("is_down", value(&disabled.state.is_down)?);
        Ok(changes.of_transaction(Part::State.update(&self.tables.endpoints, &disabled.id)))
    }

    /// Writes both parts, the routes, and the entry, which is kept for that long. False when a condition does not hold.
    async fn disable(
        &self,
        before: &Endpoint,
        disabled: &Endpoint,
        state: UpdateBuilder,
        kept_for: Duration,
    ) -> Result<bool, StoreError> {
        let mut writes = vec![write(self.new_settings(before, disabled)?)?, write(state)?];
        writes.extend(routes::change(&self.tables.routes, disabled)?);
        let author = Author::service(kept_for);
        let entry = author.of_endpoint(disabled, Action::EndpointDisabled, disabled.updated_at);
        writes.push(audit::written(&self.tables.audit, &entry)?);
        self.write_together(writes).await
    }
}
