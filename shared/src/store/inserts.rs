//! New rows: each is written unless its key is taken, and a row that is there stays as it is. So a repeat that comes
//! late sets nothing back.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse};
use futures_util::future::try_join_all;
use serde::Serialize;

use super::{MAX_STATEMENTS, StoreError, statement, to_item};

/// Writes a row that has an `id`.
pub(super) async fn put_new(client: &Client, table: &str, row: &impl Serialize) -> Result<(), StoreError> {
    let put = client.put_item().table_name(table).set_item(Some(to_item(row)?));
    match put.condition_expression("attribute_not_exists(id)").send().await {
        Ok(_) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(error.into()),
        },
    }
}

/// Writes rows that have an `id`, as few requests as it takes. For AWS it is as many writes, and for us a fraction of
/// the work.
pub(super) async fn put_all_new<T: Serialize>(
    client: &Client,
    table: &str,
    rows: &[T],
) -> Result<(), StoreError> {
    if let [row] = rows {
        return put_new(client, table, row).await;
    }
    try_join_all(rows.chunks(MAX_STATEMENTS).map(|rows| insert(client, table, rows))).await?;
    Ok(())
}

async fn insert<T: Serialize>(client: &Client, table: &str, rows: &[T]) -> Result<(), StoreError> {
    // What is not written together is put by itself, and says why.
    let answers = match answers(client, table, rows).await {
        Ok(answers) => answers,
        Err(StoreError::Broken(error)) => {
            tracing::warn!(error, "rows could not be inserted together");
            Vec::new()
        }
        Err(unavailable) => return Err(unavailable),
    };
    let left = rows.iter().enumerate().filter(|(n, _)| !answers.get(*n).is_some_and(is_there));
    try_join_all(left.map(|(_, row)| put_new(client, table, row))).await?;
    Ok(())
}

/// Writes rows in one request, at most [`MAX_STATEMENTS`], and says of each whether it is certain that this wrote it.
pub(super) async fn inserted<T: Serialize>(client: &Client, table: &str, rows: &[T]) -> Vec<bool> {
    let answers = answers(client, table, rows).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "rows could not be inserted together");
        Vec::new()
    });
    let is_written = |n: usize| answers.get(n).is_some_and(|answer| answer.error().is_none());
    (0..rows.len()).map(is_written).collect()
}

/// What becomes of each row, in their order. BatchWriteItem takes no conditions, and a transaction costs twice as much.
async fn answers<T: Serialize>(
    client: &Client,
    table: &str,
    rows: &[T],
) -> Result<Vec<BatchStatementResponse>, StoreError> {
    let statements = rows.iter().map(|row| insertion(table, row)).collect::<Result<_, _>>()?;
    let answer = client.batch_execute_statement().set_statements(Some(statements)).send().await?;
    Ok(answer.responses.unwrap_or_default())
}

fn insertion(table: &str, row: &impl Serialize) -> Result<BatchStatementRequest, StoreError> {
    let (names, values): (Vec<_>, Vec<_>) = to_item(row)?.into_iter().unzip();
    let fields: Vec<String> = names.iter().map(|name| format!("'{name}': ?")).collect();
    let text = format!("INSERT INTO \"{table}\" VALUE {{{}}}", fields.join(", "));
    statement(text, values)
}

fn is_there(answer: &BatchStatementResponse) -> bool {
    let refusal = answer.error();
    refusal.is_none_or(|error| error.code() == Some(&BatchStatementErrorCodeEnum::DuplicateItem))
}
