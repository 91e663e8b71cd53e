//! Writes of several rows in one request, each with a condition: BatchWriteItem takes none, and a transaction costs twice
//! as much. For AWS it is as many writes, and for us a fraction of the work.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
};

use super::StoreError;

/// The most statements that BatchExecuteStatement takes. It refuses a request whole in which two name one row.
pub const MAX_STATEMENTS: usize = 25;

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// Its condition does not hold: for an INSERT, its row is there.
    Refused,
    /// It may be done or not.
    Unknown,
}

/// A statement, with a value for each `?` of it.
pub(super) fn statement(
    text: String,
    values: Vec<AttributeValue>,
) -> Result<BatchStatementRequest, StoreError> {
    let statement = BatchStatementRequest::builder().statement(text).set_parameters(Some(values));
    Ok(statement.build()?)
}

/// Executes statements in one request and says what became of each, in their order.
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
            tracing::warn!(?code, "a row could not be written with others");
            Written::Unknown
        }
    }
}

/// Of a request that failed, what became of its statements.
pub(super) fn or_unknown(executed: Result<Vec<Written>, StoreError>, asked: usize) -> Vec<Written> {
    executed.unwrap_or_else(|error| {
        tracing::warn!(%error, "rows could not be written together");
        vec![Written::Unknown; asked]
    })
}
