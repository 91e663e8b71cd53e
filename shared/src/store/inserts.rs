//! New rows. Each is written unless its key is taken, and an existing row stays as it is. So a late repeat of a write does
//! not undo later changes.

use std::collections::HashSet;
use std::hash::Hash;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::BatchStatementRequest;
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;

use super::statements::{MAX_STATEMENTS, Written, execute, or_unknown, statement};
use super::{StoreError, if_condition_held, to_item};

/// Writes a row that has an `id`.
pub(super) async fn put_new(client: &Client, table: &str, row: &impl Serialize) -> Result<(), StoreError> {
    let put = client.put_item().table_name(table).set_item(Some(to_item(row)?));
    if_condition_held(put.condition_expression("attribute_not_exists(id)").send().await)?;
    Ok(())
}

/// Writes rows that have an `id`, in as few requests as possible.
pub(super) async fn put_all_new<T: Serialize>(
    client: &Client,
    table: &str,
    rows: &[T],
) -> Result<(), StoreError> {
    if let [row] = rows {
        return put_new(client, table, row).await;
    }
    try_join_all(rows.chunks(MAX_STATEMENTS).map(|rows| put_together(client, table, rows))).await?;
    Ok(())
}

async fn put_together<T: Serialize>(client: &Client, table: &str, rows: &[T]) -> Result<(), StoreError> {
    let written = match insert(client, table, rows).await {
        Err(unavailable @ StoreError::Unavailable(_)) => return Err(unavailable),
        inserted => or_unknown(inserted, rows.len()),
    };
    // A row that could not be written with the others is put by itself, and its error names the reason.
    let left = rows.iter().zip(written).filter(|(_, written)| *written == Written::Unknown);
    try_join_all(left.map(|(row, _)| put_new(client, table, row))).await?;
    Ok(())
}

/// Writes rows in as few requests as possible and says for each whether it was written. `key` tells the rows apart. Of
/// several rows with the same key only the first is written.
pub(super) async fn insert_each<T: Serialize, K: Hash + Eq>(
    client: &Client,
    table: &str,
    rows: &[T],
    key: impl Fn(&T) -> K,
) -> Vec<Written> {
    let mut keys = HashSet::new();
    let is_first: Vec<bool> = rows.iter().map(|row| keys.insert(key(row))).collect();
    let firsts: Vec<&T> = rows.iter().zip(&is_first).filter_map(|(row, is)| is.then_some(row)).collect();
    let requests = firsts
        .chunks(MAX_STATEMENTS)
        .map(|rows| async { or_unknown(insert(client, table, rows).await, rows.len()) });
    let mut results = join_all(requests).await.into_iter().flatten();
    let written = |is_first: bool| is_first.then(|| results.next()).flatten().unwrap_or(Written::Unknown);
    is_first.into_iter().map(written).collect()
}

async fn insert<T: Serialize>(client: &Client, table: &str, rows: &[T]) -> Result<Vec<Written>, StoreError> {
    let insertions = rows.iter().map(|row| insertion(table, row)).collect::<Result<_, _>>()?;
    execute(client, insertions).await
}

fn insertion(table: &str, row: &impl Serialize) -> Result<BatchStatementRequest, StoreError> {
    let (names, values): (Vec<_>, Vec<_>) = to_item(row)?.into_iter().unzip();
    let fields: Vec<String> = names.iter().map(|name| format!("'{name}': ?")).collect();
    let text = format!("INSERT INTO \"{table}\" VALUE {{{}}}", fields.join(", "));
    statement(text, values)
}
