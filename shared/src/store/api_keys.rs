//! API keys. Each has two rows: one for the list, and one that authentication finds by the key's hash. Both rows and the
//! project's count of active keys change in one transaction.

use std::time::Duration;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::audit;
use super::erasure::STAYS;
use super::projects::project_key;
use super::transactions::{first_condition_failed, put_new, transact};
use super::update::Changes;
use super::{Created, Registry, StoreError, key, number, row, rows, text, to_item, value};
use crate::api_key::{ApiKeyHash, ApiKeyRecord, ApiKeyStatus, KeyGrant, MAX_ACTIVE_KEYS};
use crate::audit::AuditEntry;
use crate::id::{AccountId, ApiKeyId, ProjectId};
use crate::time::Timestamp;

impl Registry {
    pub(super) fn new_key(&self, key: &ApiKeyRecord) -> Result<[TransactWriteItem; 2], StoreError> {
        let grant = KeyGrant {
            key_hash: key.key_hash.clone(),
            project_id: key.project_id,
            account_id: key.account_id,
            shards: key.shards,
            api_key_id: key.id,
            status: key.status,
            reach: key.reach,
        };
        Ok([
            put_new(&self.tables.api_keys, "id", to_item(key)?)?,
            put_new(&self.tables.api_key_hashes, "key_hash", to_item(&grant)?)?,
        ])
    }

    /// Makes a key, unless its project has the most active keys that it may have, or is gone.
    pub async fn create_api_key(
        &self,
        key: &ApiKeyRecord,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Created, StoreError> {
        let count = self
            .count_key(&key.account_id, &key.project_id, 1)
            .condition_expression(format!("attribute_exists(id) AND active_key_count < :cap AND {STAYS}"))
            .expression_attribute_values(":cap", number(MAX_ACTIVE_KEYS))
            .expression_attribute_values(":now", number(now.as_millis()))
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().update(count).build()];
        writes.extend(self.new_key(key)?);
        writes.push(audit::written(&self.tables.audit, entry)?);
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Created::Done),
            Err(error) if first_condition_failed(&error) => {
                let project = self.project(&key.account_id, &key.project_id).await?;
                let stays =
                    project.is_some_and(|project| project.closing_until.is_none_or(|until| until < now));
                Ok(if stays { Created::CapReached } else { Created::OwnerGone })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn count_key(&self, account_id: &AccountId, project_id: &ProjectId, change: i8) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.tables.projects)
            .set_key(Some(project_key(account_id, project_id)))
            .update_expression("ADD active_key_count :change")
            .expression_attribute_values(":change", number(change))
    }

    /// The project that a key opens; a revoked key has a grant too, which says so.
    pub async fn grant(&self, hash: &ApiKeyHash) -> Result<Option<KeyGrant>, StoreError> {
        row(&self.client, &self.tables.api_key_hashes, key([("key_hash", text(hash.as_str()))])).await
    }

    /// A project's keys, oldest first.
    pub async fn api_keys(&self, project_id: &ProjectId) -> Result<Vec<ApiKeyRecord>, StoreError> {
        rows(&self.client, &self.tables.api_keys, "project_id", project_id).await
    }

    /// Revokes a key and returns it; `None` when the project has no such key. Revoking again changes nothing. DynamoDB
    /// deletes the key's rows after `kept_for`.
    pub async fn revoke_api_key(
        &self,
        project_id: &ProjectId,
        id: &ApiKeyId,
        now: Timestamp,
        kept_for: Duration,
        entry: &AuditEntry,
    ) -> Result<Option<ApiKeyRecord>, StoreError> {
        let row_key = || key([("project_id", text(project_id)), ("id", text(id))]);
        let Some(mut key) = self.api_key(row_key()).await? else {
            return Ok(None);
        };
        if key.status == ApiKeyStatus::Revoked {
            return Ok(Some(key));
        }
        key.status = ApiKeyStatus::Revoked;
        key.updated_at = now;
        let revoke = |update: UpdateBuilder| {
            let changes = Changes::default()
                .set("status", value(&ApiKeyStatus::Revoked)?)
                .set("updated_at", number(now.as_millis()))
                .set("expires_at", number(now.plus(kept_for).as_seconds()));
            let update = changes
                .of_transaction(update)
                .condition_expression("#status = :active")
                .expression_attribute_values(":active", value(&ApiKeyStatus::Active)?);
            written(update)
        };
        let listed = Update::builder().table_name(&self.tables.api_keys).set_key(Some(row_key()));
        let grant = Update::builder()
            .table_name(&self.tables.api_key_hashes)
            .key("key_hash", text(key.key_hash.as_str()));
        let count =
            self.count_key(&key.account_id, project_id, -1).condition_expression("attribute_exists(id)");
        let entry = audit::written(&self.tables.audit, entry)?;
        let writes = vec![revoke(listed)?, revoke(grant)?, written(count)?, entry];
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Some(key)),
            // Another call has revoked the key meanwhile, and has counted that.
            Err(error) if first_condition_failed(&error) => self.api_key(row_key()).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn api_key(&self, row_key: super::Item) -> Result<Option<ApiKeyRecord>, StoreError> {
        row(&self.client, &self.tables.api_keys, row_key).await
    }
}

fn written(update: UpdateBuilder) -> Result<TransactWriteItem, StoreError> {
    let update = update.build()?;
    Ok(TransactWriteItem::builder().update(update).build())
}
