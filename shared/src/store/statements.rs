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

/// Says for each of several things whether all of its rows certainly exist. `counts` has the number of rows of each, and
/// `written` has the rows one after another.
pub(super) fn all_there(counts: &[usize], written: &[Written]) -> Vec<bool> {
    let mut left = written;
    let mut is_there = |count: &usize| {
        let (own, others) = left.split_at(left.len().min(*count));
        left = others;
        own.len() == *count && own.iter().all(|written| *written != Written::Unknown)
    };
    counts.iter().map(&mut is_there).collect()
}

#[cfg(test)]
mod tests {
    use super::Written::{Done, Refused, Unknown};
    use super::*;

    /// If the rows of one thing counted for the next, an event would get its 202 without its row.
    #[test]
    fn each_thing_is_judged_by_its_own_rows() {
        let judged = |written: &[Written]| all_there(&[3, 2, 1], written);
        assert_eq!(judged(&[Done, Refused, Done, Done, Done, Refused]), [true, true, true]);
        assert_eq!(judged(&[Unknown, Done, Done, Unknown, Done, Done]), [false, false, true]);
        assert_eq!(judged(&[Done, Unknown, Done, Done, Unknown, Unknown]), [false, false, false]);
        assert_eq!(judged(&[Unknown, Unknown, Done, Done, Done, Done]), [false, true, true]);
        assert_eq!(judged(&[Done, Done, Done, Done]), [true, false, false], "answers are missing");
    }
}
