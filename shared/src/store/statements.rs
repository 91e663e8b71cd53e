//! Writes of several rows in one request, each with a condition. BatchWriteItem takes no conditions, and a transaction
//! costs twice as much. AWS charges as for single writes, and our function spends a fraction of the processor time.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
};

use super::StoreError;

/// The most statements that BatchExecuteStatement takes. It refuses the whole request when two statements name one row.
pub const MAX_STATEMENTS: usize = 25;

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// Its condition does not hold. For an INSERT that means that the row exists.
    Refused,
    /// The row may be written or not.
    Unknown,
}

/// A statement with a value for each `?` in its text.
pub(super) fn statement(
    text: String,
    values: Vec<AttributeValue>,
) -> Result<BatchStatementRequest, StoreError> {
    let statement = BatchStatementRequest::builder().statement(text).set_parameters(Some(values));
    Ok(statement.build()?)
}

/// Executes statements in one request and says how each ended, in their order.
pub(super) async fn execute(
    client: &Client,
    statements: Vec<BatchStatementRequest>,
) -> Result<Vec<Written>, StoreError> {
    let asked = statements.len();
    let answer = client.batch_execute_statement().set_statements(Some(statements)).send().await?;
    let answers = answer.responses();
    if answers.len() != asked {
        return Err(StoreError::Broken(format!("{} answers to {asked} statements", answers.len()).into()));
    }
    Ok(answers.iter().map(written).collect())
}

fn written(answer: &BatchStatementResponse) -> Written {
    use BatchStatementErrorCodeEnum::{ConditionalCheckFailed, DuplicateItem};
    match answer.error().map(|error| error.code()) {
        None => Written::Done,
        Some(Some(ConditionalCheckFailed | DuplicateItem)) => Written::Refused,
        Some(code) => {
            tracing::warn!(?code, "a row could not be written together with others");
            Written::Unknown
        }
    }
}

/// How the statements of a request ended. When the request failed, that is unknown for each.
pub(super) fn or_unknown(executed: Result<Vec<Written>, StoreError>, asked: usize) -> Vec<Written> {
    executed.unwrap_or_else(|error| {
        tracing::warn!(%error, "rows could not be written together");
        vec![Written::Unknown; asked]
    })
}
