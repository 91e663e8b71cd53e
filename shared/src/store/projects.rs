//! Projects of an account.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::audit;
use super::transactions::{first_refused, put_new, transact};
use super::{Created, Item, Registry, StoreError, key, number, row, rows, text, to_item};
use crate::account::EmailKey;
use crate::api_key::ApiKeyRecord;
use crate::audit::AuditEntry;
use crate::id::{AccountId, ProjectId};
use crate::project::Project;
use crate::time::Timestamp;

impl Registry {
    /// The writes that make a project with its routing row, its first key, and the entry of that. They belong into one
    /// transaction.
    pub(super) fn project_with_key(
        &self,
        project: &Project,
        key: &ApiKeyRecord,
        entry: &AuditEntry,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut writes = vec![put_new(&self.tables.projects, "id", to_item(project)?)?];
        writes.extend(self.new_routes(project)?);
        writes.extend(self.new_key(key)?);
        writes.push(audit::written(&self.tables.audit, entry)?);
        Ok(writes)
    }

    /// Makes a project with its first key, unless its account has `cap` projects already, or is gone: all rows or none.
    pub async fn create_project(
        &self,
        project: &Project,
        key: &ApiKeyRecord,
        email: &EmailKey,
        cap: u32,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Created, StoreError> {
        // Signing up made the first project, which is not in this count. If one was erased since, the count may be below zero.
        let most_added = cap.saturating_sub(1);
        let is_below =
            if most_added > 0 { "attribute_not_exists(added) OR added < :most" } else { "added < :most" };
        // The count has a partition of its own, so that the account's list of projects does not contain it.
        let count = Update::builder()
            .table_name(&self.tables.projects)
            .set_key(Some(count_key(&project.account_id)))
            .update_expression("ADD added :one")
            .condition_expression(is_below)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(most_added))
            .build()?;
        let mut writes = vec![
            TransactWriteItem::builder().update(count).build(),
            self.account_stays(email, &project.account_id, now)?,
        ];
        writes.extend(self.project_with_key(project, key, entry)?);
        let Err(error) = transact(&self.client, writes).await else { return Ok(Created::Done) };
        match first_refused(&error) {
            Some(0) => Ok(Created::CapReached),
            Some(1) => Ok(Created::OwnerGone),
            _ => Err(error.into()),
        }
    }

    /// An account's projects, oldest first.
    pub async fn projects(&self, account_id: &AccountId) -> Result<Vec<Project>, StoreError> {
        rows(&self.client, &self.tables.projects, "account_id", account_id).await
    }

    /// The project, if it is this account's.
    pub async fn project(
        &self,
        account_id: &AccountId,
        id: &ProjectId,
    ) -> Result<Option<Project>, StoreError> {
        row(&self.client, &self.tables.projects, project_key(account_id, id)).await
    }
}

/// The key of an account's count of projects beside the first.
pub(super) fn count_key(account_id: &AccountId) -> Item {
    key([("account_id", text(format_args!("count|{account_id}"))), ("id", text("added"))])
}

pub(super) fn project_key(account_id: &AccountId, id: &ProjectId) -> Item {
    key([("account_id", text(account_id)), ("id", text(id))])
}
