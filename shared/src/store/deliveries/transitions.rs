//! The writes that move a delivery on. Its state and its attempts change together, in one conditional update of one row.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest, ReturnValuesOnConditionCheckFailure};

use crate::delivery::Delivery;
use crate::notice::Notice;
use crate::store::deliveries::delivery_key;
use crate::store::statements::{Written, execute, or_unknown, statement};
use crate::store::update::Changes;
use crate::store::{Store, StoreError, if_condition_held, number, row_in_the_way, text, value};
use crate::transition::Transition;

/// How a transition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    Done,
    /// The row has changed since the decision read it, or is gone.
    Overtaken,
}

impl Store {
    /// Moves a delivery on, if its row is still the one that was read and has not been erased. A repeat of a write
    /// whose answer was lost is recognized and counts as done.
    pub async fn advance(&self, before: &Delivery, transition: &Transition) -> Result<Advanced, StoreError> {
        let mut update = self
            .update_delivery(before)
            .expression_attribute_names("#erased", "erased")
            .expression_attribute_values(":old_status", value(&before.status)?)
            .expression_attribute_values(":old_count", number(before.attempt_count))
            .expression_attribute_values(":old_trigger", value(&before.triggered_by)?);
        // A delivery that was given up during its first attempt and then retried by hand has the status and the count of
        // before. The trigger tells the two apart, so that the first attempt's record does not take the retry's place.
        let mut condition = "#status = :old_status AND attempt_count = :old_count \
             AND triggered_by = :old_trigger AND attribute_not_exists(#erased)"
            .to_owned();
        let mut all = Changes::default();
        for (name, new) in changes(before, transition)? {
            all = all.set_or_remove(name, new);
        }
        if let Some(attempt) = &transition.attempt {
            let attempt = AttributeValue::L(vec![value(attempt)?]);
            all = all.set_by("attempts", "list_append(if_not_exists(#attempts, :none), :attempts)", attempt);
            update = update.expression_attribute_values(":none", AttributeValue::L(Vec::new()));
        }
        if let Some(replay_id) = &transition.replay_id {
            all = all.set("replay_id", text(replay_id));
            condition.push_str(" AND (attribute_not_exists(replay_id) OR replay_id < :replay_id)");
        }
        let result = all
            .of_item(update)
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match result {
            Ok(_) => return Ok(Advanced::Done),
            Err(error) => error,
        };
        let Some(row) = row_in_the_way::<Delivery, _>(error)? else {
            return Ok(Advanced::Overtaken);
        };
        let is_ours = match &transition.attempt {
            Some(attempt) => row.attempts.iter().any(|recorded| recorded.id == attempt.id),
            None => {
                row.erased == transition.erases
                    && row.status == transition.status
                    && row.updated_at == transition.at
                    && row.chain == transition.chain
            }
        };
        Ok(if is_ours { Advanced::Done } else { Advanced::Overtaken })
    }

    /// Records at most [`crate::store::MAX_STATEMENTS`] first attempts in one request, each if its delivery's row is still the
    /// one that was read. Returns for each whether it is recorded. [`Self::advance`] writes the others and finds out why.
    pub async fn record_first_attempts(&self, records: &[(Delivery, Transition)]) -> Vec<bool> {
        let statements = records.iter().map(|(before, transition)| self.first_attempt(before, transition));
        let executed = match statements.collect() {
            Ok(statements) => execute(&self.client, statements).await,
            Err(error) => Err(error),
        };
        let written = or_unknown(executed, records.len());
        written.into_iter().map(|written| written == Written::Done).collect()
    }

    /// The statement for a first attempt with the effect of [`Self::advance`]. The row has no list of attempts yet.
    /// An erased row has ended, so the status alone keeps it as it is.
    fn first_attempt(
        &self,
        before: &Delivery,
        transition: &Transition,
    ) -> Result<BatchStatementRequest, StoreError> {
        let Transition { attempt: Some(attempt), replay_id: None, .. } = transition else {
            return Err(StoreError::Broken("not a first attempt".into()));
        };
        let attempts = AttributeValue::L(vec![value(attempt)?]);
        let mut text = format!("UPDATE \"{}\"", self.tables.deliveries);
        let mut values = Vec::new();
        for (name, new) in changes(before, transition)?.into_iter().chain([("attempts", Some(attempts))]) {
            match new {
                Some(new) => {
                    text.push_str(&format!(" SET \"{name}\" = ?"));
                    values.push(new);
                }
                None => text.push_str(&format!(" REMOVE \"{name}\"")),
            }
        }
        let key = delivery_key(&before.endpoint_id, &before.id).into_iter();
        let as_read = [
            ("status".to_owned(), value(&before.status)?),
            ("attempt_count".to_owned(), number(0)),
            ("triggered_by".to_owned(), value(&before.triggered_by)?),
        ];
        for (n, (name, old)) in key.chain(as_read).enumerate() {
            let word = if n == 0 { "WHERE" } else { "AND" };
            text.push_str(&format!(" {word} \"{name}\" = ?"));
            values.push(old);
        }
        statement(text, values)
    }

    /// Claims the next attempt for the job of this chain, if nothing has changed on the row. Of two jobs that try, one is
    /// overtaken.
    pub async fn claim(&self, before: &Delivery, claim: &Transition) -> Result<Advanced, StoreError> {
        let update = self
            .update_delivery(before)
            .condition_expression(
                "#status = :old_status AND attempt_count = :old_count AND updated_at = :old_updated_at \
                 AND attribute_not_exists(#erased)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#erased", "erased")
            .expression_attribute_values(":old_status", value(&before.status)?)
            .expression_attribute_values(":old_count", number(before.attempt_count))
            .expression_attribute_values(":old_updated_at", number(before.updated_at.as_millis()));
        let changes = Changes::default()
            .set("updated_at", number(claim.at.as_millis()))
            .set_or_remove("chain", optional_value(claim.chain)?);
        let changes = match claim.sequence {
            Some(sequence) => changes.set("sequence", number(sequence)),
            None => changes,
        };
        let done = if_condition_held(changes.of_item(update).send().await)?;
        Ok(if done.is_some() { Advanced::Done } else { Advanced::Overtaken })
    }

    fn update_delivery(&self, delivery: &Delivery) -> UpdateItemFluentBuilder {
        let key = delivery_key(&delivery.endpoint_id, &delivery.id);
        self.client.update_item().table_name(&self.tables.deliveries).set_key(Some(key))
    }

    /// Writes down that a delivery's end is counted, and the operational events of which somebody is still to be told. Where
    /// the row has expired there is nothing to write.
    pub async fn keep_untold(&self, delivery: &Delivery, notices: &[Notice]) -> Result<(), StoreError> {
        let result = self
            .update_delivery(delivery)
            .update_expression(
                "SET untold = list_append(if_not_exists(untold, :none), :notices) REMOVE uncounted",
            )
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":notices", value(&notices)?)
            .send()
            .await;
        if_condition_held(result)?;
        Ok(())
    }

    /// Writes down that a delivery's end is counted.
    pub async fn settle_count(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let result = self
            .update_delivery(delivery)
            .update_expression("REMOVE uncounted")
            .condition_expression("attribute_exists(id)")
            .send()
            .await;
        // Where the row has expired there is nothing to settle.
        if_condition_held(result)?;
        Ok(())
    }

    /// Writes down that everybody was told of the operational events that were read on the row. If it has others by now, they
    /// all stay, and the job that added the others tells them all.
    pub async fn settle_untold(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let result = self
            .update_delivery(delivery)
            .update_expression("REMOVE untold")
            .condition_expression("untold = :told")
            .expression_attribute_values(":told", value(&delivery.untold)?)
            .send()
            .await;
        if_condition_held(result)?;
        Ok(())
    }
}

/// The fields of a row that a transition changes, but for its list of attempts: `None` removes a field.
fn changes(
    before: &Delivery,
    transition: &Transition,
) -> Result<Vec<(&'static str, Option<AttributeValue>)>, StoreError> {
    let mut after = before.clone();
    transition.apply(&mut after);
    let mut changes = vec![
        ("status", Some(value(&after.status)?)),
        ("triggered_by", Some(value(&after.triggered_by)?)),
        ("updated_at", Some(number(after.updated_at.as_millis()))),
        ("next_retry_at", optional_value(after.next_retry_at)?),
        ("failure_reason", optional_value(after.failure_reason)?),
        ("chain", optional_value(after.chain)?),
        ("slot", optional_value(after.slot)?),
        ("attention", after.attention.as_ref().map(text)),
    ];
    // A write that only erases may come after the end was counted. It must not bring the mark back.
    if after.uncounted != before.uncounted {
        changes.push(("uncounted", optional_value(after.uncounted.then_some(true))?));
    }
    if let Some(sequence) = transition.sequence {
        changes.push(("sequence", Some(number(sequence))));
    }
    if transition.attempt.is_some() {
        changes.push(("attempt_count", Some(number(after.attempt_count))));
        if after.attention.is_some() {
            changes.push(("payload", None));
        }
    }
    if transition.erases {
        let attempts = (!after.attempts.is_empty()).then(|| value(&after.attempts)).transpose()?;
        changes.extend([("erased", optional_value(Some(true))?), ("payload", None), ("attempts", attempts)]);
    }
    Ok(changes)
}

fn optional_value(of: Option<impl serde::Serialize>) -> Result<Option<AttributeValue>, StoreError> {
    of.map(|of| value(&of)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn ended() -> Delivery {
        let id = uuid::Uuid::from_bytes([1; 16]);
        let json = format!(
            r#"{{"partition": "", "id": "{id}", "project_id": "{id}", "endpoint_id": "{id}", "event_id": "{id}",
                "event_name": "call.ended", "status": "failed", "triggered_by": "auto", "attempt_count": 1,
                "updated_at": 1776009119000, "expires_at": 4000000000, "uncounted": true}}"#
        );
        serde_json::from_str(&json).expect("a row")
    }

    fn names(before: &Delivery, transition: &Transition) -> Vec<&'static str> {
        changes(before, transition).expect("changes").into_iter().map(|(name, _)| name).collect()
    }

    /// Between the read and the write of an erasure a job may have counted the end. Nobody would count it again.
    #[test]
    fn an_erasure_leaves_the_count_of_an_ended_delivery_alone() {
        let (row, now) = (ended(), Timestamp::from_millis(1_776_009_120_000));
        let erased = names(&row, &Transition::erased(&row, now));
        assert!(erased.contains(&"erased") && !erased.contains(&"uncounted"), "{erased:?}");
        let counted = Transition { uncounted: false, ..Transition::unchanged(&row, now) };
        assert!(names(&row, &counted).contains(&"uncounted"));
    }
}
