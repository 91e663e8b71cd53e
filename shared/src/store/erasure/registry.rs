//! The erasure within a request. The request first closes the project or the account for a minute: no key, portal link, project or session
//! is added meanwhile, so the request lists all rows. The row that was closed goes last, and only if no other request has closed
//! it since. A request that dies leaves a row that opens again by itself, and its caller can send it again.

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, TransactWriteItem, Update};
use serde::Deserialize;

use super::{Ended, STAYS};
use crate::account::{Account, EmailKey};
use crate::id::{AccountId, PortalLinkId, ProjectId, SessionId};
use crate::portal_link::PortalLink;
use crate::shards::Shards;
use crate::store::deletions::delete_all;
use crate::store::projects::{count_key, project_key};
use crate::store::sessions::session_key;
use crate::store::transactions::{any_condition_failed, transact};
use crate::store::{
    Item, Registry, StoreError, if_condition_held, key, number, portal_links, routes, rows, text,
};
use crate::time::Timestamp;

fn account_key(email: &EmailKey) -> Item {
    key([("email_key", text(email.as_str()))])
}

impl Registry {
    /// The check that an account is there and is not about to be erased, for a transaction that adds to it.
    pub(in crate::store) fn account_stays(
        &self,
        email: &EmailKey,
        id: &AccountId,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.tables.accounts)
            .set_key(Some(account_key(email)))
            .condition_expression(format!("id = :account AND {STAYS}"))
            .expression_attribute_values(":account", text(id))
            .expression_attribute_values(":now", number(now.as_millis()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The same for a project and what is added to it.
    pub(in crate::store) fn project_stays(
        &self,
        account_id: &AccountId,
        id: &ProjectId,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.tables.projects)
            .set_key(Some(project_key(account_id, id)))
            .condition_expression(format!("attribute_exists(id) AND {STAYS}"))
            .expression_attribute_values(":now", number(now.as_millis()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Keeps new keys and portal links out of a project until then; false when there is no such project.
    pub async fn close_project(
        &self,
        account_id: &AccountId,
        id: &ProjectId,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let closed = self
            .client
            .update_item()
            .table_name(&self.tables.projects)
            .set_key(Some(project_key(account_id, id)))
            .update_expression("SET closing_until = :until")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":until", number(until.as_millis()))
            .send()
            .await;
        Ok(if_condition_held(closed)?.is_some())
    }

    /// Deletes all keys of a project. What opens it goes first.
    pub async fn erase_api_keys(&self, project_id: &ProjectId) -> Result<(), StoreError> {
        let keys = self.api_keys(project_id).await?;
        let hashes = keys.iter().map(|one| key([("key_hash", text(one.key_hash.as_str()))])).collect();
        delete_all(&self.client, &self.tables.api_key_hashes, hashes).await?;
        let listed = keys.iter().map(|one| key([("project_id", text(project_id)), ("id", text(one.id))]));
        delete_all(&self.client, &self.tables.api_keys, listed.collect()).await
    }

    /// Deletes all portal links of a project, ends their sessions, and deletes the counts of tries at them.
    pub async fn erase_portal_links(&self, project_id: &ProjectId) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Row {
            id: PortalLinkId,
        }
        let table = &self.tables.sessions;
        let links: Vec<Row> =
            rows(&self.client, table, "account_id", PortalLink::partition(project_id)).await?;
        let keys = links.iter().map(|row| portal_links::link_key(project_id, &row.id)).collect();
        delete_all(&self.client, table, keys).await?;
        // Without its row a link gets no more tries.
        self.erase_portal_tries(project_id).await
    }

    /// Deletes a project's row and marks its routing row, in one transaction. From then on there is no such project.
    pub async fn erase_project(
        &self,
        account_id: &AccountId,
        id: &ProjectId,
        shards: Shards,
        closed_until: Timestamp,
    ) -> Result<Ended, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables.projects)
            .set_key(Some(project_key(account_id, id)))
            .condition_expression("closing_until = :until")
            .expression_attribute_values(":until", number(closed_until.as_millis()))
            .build()?;
        // The first project is not in this count, so that the count is -1 when no project is left.
        let count = Update::builder()
            .table_name(&self.tables.projects)
            .set_key(Some(count_key(account_id)))
            .update_expression("ADD added :less")
            .expression_attribute_values(":less", number(-1))
            .build()?;
        let mut writes = vec![
            TransactWriteItem::builder().delete(delete).build(),
            TransactWriteItem::builder().update(count).build(),
        ];
        writes.extend(routes::mark_erased(&self.tables.routes, id, shards)?);
        self.end(writes).await
    }

    /// Keeps new sessions and projects out of an account until then; false when it is gone, or has another password.
    pub async fn close_account(&self, account: &Account, until: Timestamp) -> Result<bool, StoreError> {
        let closed = self
            .client
            .update_item()
            .table_name(&self.tables.accounts)
            .set_key(Some(account_key(&account.email_key)))
            .update_expression("SET closing_until = :until")
            .condition_expression("id = :id AND password_hash = :password")
            .expression_attribute_values(":until", number(until.as_millis()))
            .expression_attribute_values(":id", text(account.id))
            .expression_attribute_values(":password", text(&account.password_hash.0))
            .send()
            .await;
        Ok(if_condition_held(closed)?.is_some())
    }

    /// Deletes all sessions of an account but the caller's own, with which it can send the request again.
    pub async fn erase_other_sessions(
        &self,
        account_id: &AccountId,
        own: &SessionId,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Row {
            id: SessionId,
        }
        let sessions: Vec<Row> = rows(&self.client, &self.tables.sessions, "account_id", account_id).await?;
        let others = sessions.iter().filter(|row| row.id != *own);
        let keys = others.map(|row| session_key(account_id, &row.id)).collect();
        delete_all(&self.client, &self.tables.sessions, keys).await
    }

    /// Deletes an account's row with the rest of what is its own: the caller's session and the count of its projects. The e-mail
    /// is free again.
    pub async fn erase_account(
        &self,
        account: &Account,
        own: &SessionId,
        closed_until: Timestamp,
    ) -> Result<Ended, StoreError> {
        let delete = |table: &str, key: Item| Delete::builder().table_name(table).set_key(Some(key));
        let row = delete(&self.tables.accounts, account_key(&account.email_key))
            .condition_expression("closing_until = :until AND id = :id")
            .expression_attribute_values(":until", number(closed_until.as_millis()))
            .expression_attribute_values(":id", text(account.id))
            .build()?;
        let session = delete(&self.tables.sessions, session_key(&account.id, own)).build()?;
        let count = delete(&self.tables.projects, count_key(&account.id)).build()?;
        let writes = [row, session, count].map(|delete| TransactWriteItem::builder().delete(delete).build());
        self.end(writes.to_vec()).await
    }

    async fn end(&self, writes: Vec<TransactWriteItem>) -> Result<Ended, StoreError> {
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Ended::Done),
            Err(error) if any_condition_failed(&error) => Ok(Ended::Overtaken),
            Err(error) => Err(error.into()),
        }
    }
}
