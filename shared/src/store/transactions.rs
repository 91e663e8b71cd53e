//! Writes that happen together or not at all.
//!
//! Counts that a cap bounds change in the same transaction as the rows that they count: `active_key_count` on the project's
//! row, `added` in the partition `count|<account>`, and the row `latest` of an endpoint's replays. The cap of endpoints is
//! a condition on the routing row, which lists them.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::{Item, StoreError};

/// How often a transaction is tried when it meets another one. Before the next try it waits, from the first to the longest
/// wait.
const ROUNDS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// How the creation of something with a cap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Done,
    CapReached,
    /// The project or the account that it was for is erased, or about to be.
    OwnerGone,
}

/// Writes all or none. DynamoDB refuses the later of two transactions on one row instead of letting it wait, and the SDK
/// does not repeat a refused one. So this function does: sixteen endpoints registered at once all change their
/// project's routing row.
pub(super) async fn transact(
    client: &Client,
    writes: Vec<TransactWriteItem>,
) -> Result<(), SdkError<TransactWriteItemsError>> {
    let mut wait = FIRST_WAIT;
    for _ in 1..ROUNDS {
        match transact_once(client, writes.clone()).await {
            Err(error) if met_another(&error) => {
                tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.5))).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            result => return result,
        }
    }
    transact_once(client, writes).await
}

/// The same on the condition of the first write; false when that does not hold.
pub(super) async fn transact_if(client: &Client, writes: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
    match transact(client, writes).await {
        Ok(()) => Ok(true),
        Err(error) if first_condition_failed(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn transact_once(
    client: &Client,
    writes: Vec<TransactWriteItem>,
) -> Result<(), SdkError<TransactWriteItemsError>> {
    client.transact_write_items().set_transact_items(Some(writes)).send().await?;
    Ok(())
}

/// A put of a row whose key is new, so that an id can never overwrite another.
pub(super) fn put_new(table: &str, key: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", key)
        .build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Whether other transactions are the only reason for the refusal.
fn met_another<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return false;
    };
    let mut codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    codes.clone().any(|code| code == "TransactionConflict")
        && codes.all(|code| matches!(code, "TransactionConflict" | "None"))
}

/// Whether a transaction was cancelled because the condition of its first write does not hold.
pub(super) fn first_condition_failed<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    conditions_failed(error).next() == Some(true)
}

/// The first of a cancelled transaction's writes whose condition does not hold.
pub(super) fn first_refused<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<usize> {
    conditions_failed(error).position(|failed| failed)
}

/// Whether a transaction was cancelled because the condition of one of its writes does not hold.
pub(super) fn any_condition_failed<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    conditions_failed(error).any(|failed| failed)
}

/// For each write of a cancelled transaction, whether its condition does not hold.
fn conditions_failed<R>(error: &SdkError<TransactWriteItemsError, R>) -> impl Iterator<Item = bool> {
    let cancelled = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    };
    cancelled.iter().map(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::CancellationReason;
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;

    use super::*;

    fn cancelled(codes: &[&str]) -> SdkError<TransactWriteItemsError, ()> {
        let reasons = codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
        let exception =
            TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons)).build();
        SdkError::service_error(TransactWriteItemsError::TransactionCanceledException(exception), ())
    }

    #[test]
    fn only_a_pure_conflict_starts_over() {
        assert!(met_another(&cancelled(&["TransactionConflict", "None"])));
        assert!(met_another(&cancelled(&["None", "TransactionConflict"])));
        assert!(!met_another(&cancelled(&["ConditionalCheckFailed", "None"])));
        assert!(!met_another(&cancelled(&["ConditionalCheckFailed", "TransactionConflict"])));
        assert!(!met_another(&cancelled(&["None", "ValidationError"])));
    }

    #[test]
    fn only_the_first_writes_condition_counts() {
        assert!(first_condition_failed(&cancelled(&["ConditionalCheckFailed", "None"])));
        assert!(!first_condition_failed(&cancelled(&["None", "ConditionalCheckFailed"])));
        assert!(!first_condition_failed(&cancelled(&["TransactionConflict", "None"])));
        assert!(any_condition_failed(&cancelled(&["None", "ConditionalCheckFailed"])));
        assert!(!any_condition_failed(&cancelled(&["None", "TransactionConflict"])));
    }
}
