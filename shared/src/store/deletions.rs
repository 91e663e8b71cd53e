//! Deletes rows by their keys, many in a request. A row that is gone already counts as deleted.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::statements::{MAX_STATEMENTS, Written, execute, statement};
use super::{Item, StoreError};

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// A statement of a batch needs the right to delete alone, where `BatchWriteItem` would need the right to write any row
/// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html).
///
/// # Errors
/// After an error some of the rows may be deleted.
pub(super) async fn delete_all(client: &Client, table: &str, keys: Vec<Item>) -> Result<(), StoreError> {
    let requests = keys.chunks(MAX_STATEMENTS).map(|keys| async move {
        let deletions = keys.iter().map(|key| {
            let (names, values): (Vec<&String>, Vec<AttributeValue>) =
                key.iter().map(|(name, value)| (name, value.clone())).unzip();
            let tests: Vec<String> = names.iter().map(|name| format!("\"{name}\" = ?")).collect();
            statement(format!("DELETE FROM \"{table}\" WHERE {}", tests.join(" AND ")), values)
        });
        let deleted = execute(client, deletions.collect::<Result<_, _>>()?).await?;
        if deleted.contains(&Written::Unknown) {
            return Err(StoreError::Unavailable("some rows were not deleted".into()));
        }
        Ok(())
    });
    let requests: Vec<_> = requests.collect();
    stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await
}
