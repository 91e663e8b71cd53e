//! Projects of an account.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};

use super::transactions::{first_condition_failed, transact};
use super::{Created, Item, Registry, StoreError, key, number, row, rows, text, to_item};
use crate::api_key::ApiKeyRecord;
use crate::id::{AccountId, ProjectId};
use crate::project::Project;

impl Registry {
    /// The writes that make a project with its routing row and its first key. They belong into one transaction.
    pub(super) fn project_with_key(
        &self,
        project: &Project,
        key: &ApiKeyRecord,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut writes = vec![put_new(&self.tables.projects, "id", to_item(project)?)?];
        writes.extend(self.new_routes(project)?);
        writes.extend(self.new_key(key)?);
        Ok(writes)
    }

    /// Makes a project with its first key, unless its account has `cap` projects already: all rows or none.
    pub async fn create_project(
        &self,
        project: &Project,
        key: &ApiKeyRecord,
        cap: u32,
    ) -> Result<Created, StoreError> {
        // Signing up made the first project, which is not in this count.
        let Some(most_added) = cap.checked_sub(1).filter(|most| *most > 0) else {
            return Ok(Created::CapReached);
        };
        // The count has a partition of its own, so that the account's list of projects does not contain it.
        let count = Update::builder()
            .table_name(&self.tables.projects)
            .key("account_id", text(format_args!("count|{}", project.account_id)))
            .key("id", text("added"))
            .update_expression("ADD added :one")
            .condition_expression("attribute_not_exists(added) OR added < :most")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(most_added))
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().update(count).build()];
        writes.extend(self.project_with_key(project, key)?);
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Created::Done),
            Err(error) if first_condition_failed(&error) => Ok(Created::CapReached),
            Err(error) => Err(error.into()),
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
        let key = key([("account_id", text(account_id)), ("id", text(id))]);
        row(&self.client, &self.tables.projects, key).await
    }
}

/// A put of a row whose key is new, so that an id can never overwrite another.
pub(super) fn put_new(table: &str, key: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", key)
        .build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}
