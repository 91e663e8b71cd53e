//! New rows. Each is written unless its key is taken, and an existing row stays as it is. So a late repeat of a write does
//! not undo later changes.

use std::collections::HashSet;
use std::hash::Hash;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::BatchStatementRequest;
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;

use super::statements::{MAX_STATEMENTS, Written, execute, or_unknown, statement};
use super::{Item, StoreError, if_condition_held, to_item};

/// A row whose key is new.
#[derive(Debug)]
pub(super) struct NewRow<'a> {
    pub(super) table: &'a str,
    /// An attribute of the key.
    pub(super) key: &'static str,
    pub(super) item: Item,
}

/// Writes a row.
pub(super) async fn put_new(client: &Client, row: NewRow<'_>) -> Result<(), StoreError> {
    let put = client
        .put_item()
        .table_name(row.table)
        .set_item(Some(row.item))
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", row.key);
    if_condition_held(put.send().await)?;
    Ok(())
}

/// Writes rows, of one table or several, in as few requests as possible.
pub(super) async fn put_all_new(client: &Client, mut rows: Vec<NewRow<'_>>) -> Result<(), StoreError> {
    if rows.len() == 1 {
        return try_join_all(rows.into_iter().map(|row| put_new(client, row))).await.map(drop);
    }
    let mut requests = Vec::new();
    while !rows.is_empty() {
        let later = rows.split_off(rows.len().min(MAX_STATEMENTS));
        requests.push(put_together(client, std::mem::replace(&mut rows, later)));
    }
    try_join_all(requests).await?;
    Ok(())
}

async fn put_together(client: &Client, rows: Vec<NewRow<'_>>) -> Result<(), StoreError> {
    let insertions = rows.iter().map(|row| insertion(row.table, row.item.clone()));
    let written = match execute(client, insertions.collect::<Result<_, _>>()?).await {
        Err(unavailable @ StoreError::Unavailable(_)) => return Err(unavailable),
        inserted => or_unknown(inserted, rows.len()),
    };
    // A row that could not be written with the others is put by itself, and its error names the reason.
    let left = rows.into_iter().zip(written).filter(|(_, written)| *written == Written::Unknown);
    try_join_all(left.map(|(row, _)| put_new(client, row))).await?;
    Ok(())
}

/// As [`put_all_new`], but says how each row ended.
pub(super) async fn insert_all_new(client: &Client, rows: Vec<NewRow<'_>>) -> Vec<Written> {
    let requests = rows.chunks(MAX_STATEMENTS).map(|rows| async {
        let insertions = rows.iter().map(|row| insertion(row.table, row.item.clone()));
        let executed = match insertions.collect::<Result<_, _>>() {
            Ok(insertions) => execute(client, insertions).await,
            Err(error) => Err(error),
        };
        or_unknown(executed, rows.len())
    });
    join_all(requests).await.concat()
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
    let insertions = rows.iter().map(|row| insertion(table, to_item(row)?)).collect::<Result<_, _>>()?;
    execute(client, insertions).await
}

fn insertion(table: &str, item: Item) -> Result<BatchStatementRequest, StoreError> {
    let (names, values): (Vec<_>, Vec<_>) = item.into_iter().unzip();
    let fields: Vec<String> = names.iter().map(|name| format!("'{name}': ?")).collect();
    let text = format!("INSERT INTO \"{table}\" VALUE {{{}}}", fields.join(", "));
    statement(text, values)
}
