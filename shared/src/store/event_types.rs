//! Event types. Each is a row under its account. One more row, in a partition of its own, has the names of all of them:
//! accepting an event needs the names alone, and examples may be long. Both change in one transaction.
//!
//! A process keeps the names of an account for some seconds. A name that is not among the kept ones is looked up again,
//! so a new type counts almost at once, and a type that is removed counts until the kept names are forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use serde::Deserialize;

use super::deletions::delete_all;
use super::transactions::{first_refused, transact};
use super::{Created, Item, Registry, Store, StoreError, key, number, row, rows, text, to_item};
use crate::account::EmailKey;
use crate::event_name::{EventName, OwnNames};
use crate::event_type::{EventType, MAX_TYPES};
use crate::id::AccountId;
use crate::recent::Recent;
use crate::time::Timestamp;

/// A removed type is refused within 10 s everywhere (contract §2), and a request takes a moment.
const KEPT_FOR: Duration = Duration::from_secs(8);

/// A name that is not among the kept ones is looked up again when these are older than that. So a flood of unknown names costs
/// a process one read a second.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// The names of how many accounts a process keeps. An account has 500 names of 64 characters at most.
const CAPACITY: usize = 200;

/// The names that a process keeps between its invocations.
#[derive(Debug, Clone)]
pub(super) struct KeptNames(Arc<Recent<AccountId, OwnNames>>);

impl Default for KeptNames {
    fn default() -> Self {
        Self(Arc::new(Recent::new(KEPT_FOR, CAPACITY)))
    }
}

/// How the removal of a type ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeRemoved {
    Done,
    Absent,
    /// The account is erased, or about to be.
    OwnerGone,
}

/// The row of an account's names. A set that is empty is absent.
#[derive(Deserialize)]
struct NamesRow {
    #[serde(default)]
    names: BTreeSet<EventName>,
}

impl Store {
    /// The names of an account's own types, if this process read them lately.
    #[must_use]
    pub fn kept_own_names(&self, account_id: &AccountId, now: Timestamp) -> Option<OwnNames> {
        self.names.0.get(account_id, now)
    }

    /// The names of an account's own types for a name that is not among the kept ones: read strongly consistently, unless this
    /// process has just done so.
    pub async fn own_names(&self, account_id: &AccountId, now: Timestamp) -> Result<OwnNames, StoreError> {
        match self.names.0.get_within(account_id, UNKNOWN_FOR, now) {
            Some(names) => Ok(names),
            None => self.own_names_of_now(account_id, now).await,
        }
    }

    /// The names of an account's own types, read strongly consistently: for people, who make a type and use it at once.
    pub async fn own_names_of_now(
        &self,
        account_id: &AccountId,
        now: Timestamp,
    ) -> Result<OwnNames, StoreError> {
        let found: Option<NamesRow> =
            row(&self.client, &self.tables.event_types, names_key(account_id)).await?;
        let names: OwnNames = Arc::new(found.map(|row| row.names).unwrap_or_default());
        self.names.0.put(*account_id, Arc::clone(&names), now);
        Ok(names)
    }

    /// Forgets the names that this process keeps, because it has changed them.
    pub fn forget_own_names(&self, account_id: &AccountId) {
        self.names.0.forget(account_id);
    }
}

impl Registry {
    /// Makes or replaces a type, unless it is a new one and its account has the most that it may have, or the account is gone.
    pub async fn put_event_type(
        &self,
        event_type: &EventType,
        email: &EmailKey,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let EventType { account_id, name, .. } = event_type;
        let names = self
            .names_update(account_id, name, "ADD #names :names")
            .condition_expression(
                "attribute_not_exists(#names) OR size(#names) < :cap OR contains(#names, :name)",
            )
            .expression_attribute_values(":cap", number(MAX_TYPES))
            .expression_attribute_values(":name", text(name))
            .build()?;
        let put = Put::builder()
            .table_name(&self.tables.event_types)
            .set_item(Some(to_item(event_type)?))
            .build()?;
        let writes = vec![
            TransactWriteItem::builder().update(names).build(),
            self.account_stays(email, account_id, now)?,
            TransactWriteItem::builder().put(put).build(),
        ];
        let Err(error) = transact(&self.client, writes).await else { return Ok(Created::Done) };
        match first_refused(&error) {
            Some(0) => Ok(Created::CapReached),
            Some(1) => Ok(Created::OwnerGone),
            _ => Err(error.into()),
        }
    }

    /// Removes a type, unless the account has no such type, or is gone.
    pub async fn delete_event_type(
        &self,
        account_id: &AccountId,
        name: &EventName,
        email: &EmailKey,
        now: Timestamp,
    ) -> Result<TypeRemoved, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables.event_types)
            .set_key(Some(type_key(account_id, name)))
            .condition_expression("attribute_exists(account_id)")
            .build()?;
        let names = self.names_update(account_id, name, "DELETE #names :names").build()?;
        let writes = vec![
            TransactWriteItem::builder().delete(delete).build(),
            // The row of the names would come back after the erasure of the account.
            self.account_stays(email, account_id, now)?,
            TransactWriteItem::builder().update(names).build(),
        ];
        let Err(error) = transact(&self.client, writes).await else { return Ok(TypeRemoved::Done) };
        match first_refused(&error) {
            Some(0) => Ok(TypeRemoved::Absent),
            Some(1) => Ok(TypeRemoved::OwnerGone),
            _ => Err(error.into()),
        }
    }

    pub async fn event_type(
        &self,
        account_id: &AccountId,
        name: &EventName,
    ) -> Result<Option<EventType>, StoreError> {
        row(&self.client, &self.tables.event_types, type_key(account_id, name)).await
    }

    /// An account's types, by name.
    pub async fn event_types(&self, account_id: &AccountId) -> Result<Vec<EventType>, StoreError> {
        rows(&self.client, &self.tables.event_types, "account_id", account_id).await
    }

    /// Deletes all types of an account that is closed for its erasure.
    pub async fn erase_event_types(&self, account_id: &AccountId) -> Result<(), StoreError> {
        let types = self.event_types(account_id).await?;
        let mut keys: Vec<Item> = types.iter().map(|each| type_key(account_id, &each.name)).collect();
        keys.push(names_key(account_id));
        delete_all(&self.client, &self.tables.event_types, keys).await
    }

    fn names_update(&self, account_id: &AccountId, name: &EventName, change: &str) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.tables.event_types)
            .set_key(Some(names_key(account_id)))
            .update_expression(change)
            .expression_attribute_names("#names", "names")
            .expression_attribute_values(":names", AttributeValue::Ss(vec![name.as_str().to_owned()]))
    }
}

fn type_key(account_id: &AccountId, name: &EventName) -> Item {
    key([("account_id", text(account_id)), ("name", text(name))])
}

/// No type has this name.
fn names_key(account_id: &AccountId) -> Item {
    key([("account_id", text(format_args!("names|{account_id}"))), ("name", text("*"))])
}
