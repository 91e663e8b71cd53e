//! Reads of many rows by their keys, of one table or several.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::{Item, Store, StoreError};

impl Store {
    /// A batch read that asks again for the keys that DynamoDB left unprocessed.
    pub(super) async fn batch_get(
        &self,
        mut wanted: HashMap<String, KeysAndAttributes>,
    ) -> Result<HashMap<String, Vec<Item>>, StoreError> {
        let mut found: HashMap<String, Vec<Item>> = HashMap::new();
        for round in 0..5_u32 {
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(25 << round)).await;
            }
            let answer = self.client.batch_get_item().set_request_items(Some(wanted)).send().await?;
            for (table, items) in answer.responses.unwrap_or_default() {
                found.entry(table).or_default().extend(items);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("a batch read was left unprocessed".into()))
    }
}

/// The rows of these keys, read strongly consistently.
pub(super) fn keys(keys: impl Iterator<Item = Item>) -> Result<KeysAndAttributes, StoreError> {
    let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true);
    Ok(wanted.build()?)
}
