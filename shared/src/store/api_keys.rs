//! API keys: a row to list, and a row that authentication finds by hash. They change together.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::projects::put_new;
use super::{Registry, Store, StoreError, key, number, row, rows, text, to_item, value};
use crate::api_key::{ApiKeyHash, ApiKeyRecord, ApiKeyStatus, KeyGrant};
use crate::id::{ApiKeyId, ProjectId};
use crate::time::Timestamp;

impl Store {
    /// Whether there is such a project: each has a key from its creation on, and none is ever deleted.
    ///
    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn has_project(&self, project_id: &ProjectId) -> Result<bool, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.api_keys)
            .key_condition_expression("project_id = :project")
            .expression_attribute_values(":project", text(project_id))
            .projection_expression("id")
            .consistent_read(true)
            .limit(1)
            .send()
            .await?;
        Ok(answer.count > 0)
    }
}

impl Registry {
    pub(super) fn new_key(&self, key: &ApiKeyRecord) -> Result<[TransactWriteItem; 2], StoreError> {
        let grant = KeyGrant {
            key_hash: key.key_hash.clone(),
            project_id: key.project_id,
            account_id: key.account_id,
            api_key_id: key.id,
            status: key.status,
        };
        Ok([
            put_new(&self.tables.api_keys, "id", to_item(key)?)?,
            put_new(&self.tables.api_key_hashes, "key_hash", to_item(&grant)?)?,
        ])
    }

    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn create_api_key(&self, key: &ApiKeyRecord) -> Result<(), StoreError> {
        let writes = self.new_key(key)?.to_vec();
        self.transact(writes).await?;
        Ok(())
    }

    /// What a key opens, revoked or not.
    ///
    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn grant(&self, hash: &ApiKeyHash) -> Result<Option<KeyGrant>, StoreError> {
        row(&self.client, &self.tables.api_key_hashes, key([("key_hash", text(hash.as_str()))])).await
    }

    /// A project's keys, oldest first.
    ///
    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn api_keys(&self, project_id: &ProjectId) -> Result<Vec<ApiKeyRecord>, StoreError> {
        rows(&self.client, &self.tables.api_keys, "project_id", project_id).await
    }

    /// Revokes a key and returns it; `None` when the project has no such key. Revoking again changes nothing.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
    pub async fn revoke_api_key(
        &self,
        project_id: &ProjectId,
        id: &ApiKeyId,
        now: Timestamp,
    ) -> Result<Option<ApiKeyRecord>, StoreError> {
        let row_key = key([("project_id", text(project_id)), ("id", text(id))]);
        let found: Option<ApiKeyRecord> = row(&self.client, &self.tables.api_keys, row_key).await?;
        let Some(mut key) = found else {
            return Ok(None);
        };
        if key.status == ApiKeyStatus::Revoked {
            return Ok(Some(key));
        }
        key.status = ApiKeyStatus::Revoked;
        key.updated_at = now;
        let revoke = |update: aws_sdk_dynamodb::types::builders::UpdateBuilder| {
            update
                .update_expression("SET #status = :revoked, updated_at = :now")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":now", number(now.as_millis()))
                .build()
                .map(|update| TransactWriteItem::builder().update(update).build())
                .map_err(|error| StoreError::Broken(error.to_string()))
        };
        let revoked = value(&ApiKeyStatus::Revoked)?;
        let listed = Update::builder()
            .table_name(&self.tables.api_keys)
            .key("project_id", text(project_id))
            .key("id", text(id))
            .expression_attribute_values(":revoked", revoked.clone());
        let grant = Update::builder()
            .table_name(&self.tables.api_key_hashes)
            .key("key_hash", text(key.key_hash.as_str()))
            .expression_attribute_values(":revoked", revoked);
        let writes = vec![revoke(grant)?, revoke(listed)?];
        self.transact(writes).await?;
        Ok(Some(key))
    }
}
