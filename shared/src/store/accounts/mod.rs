//! Accounts: signing up, and looking one up.

mod logins;

pub use self::logins::LoginBudget;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use crate::account::{Account, EmailKey};
use crate::api_key::ApiKeyRecord;
use crate::project::Project;
use crate::store::transactions::{first_condition_failed, transact};
use crate::store::{Registry, StoreError, key, row, text, to_item};

/// How a sign-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUp {
    Done,
    EmailTaken,
}

impl Registry {
    /// Makes an account with its first project and key: all three rows or none.
    pub async fn sign_up(
        &self,
        account: &Account,
        project: &Project,
        key: &ApiKeyRecord,
    ) -> Result<SignedUp, StoreError> {
        let account_put = Put::builder()
            .table_name(&self.tables.accounts)
            .set_item(Some(to_item(account)?))
            .condition_expression("attribute_not_exists(email_key)")
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().put(account_put).build()];
        writes.extend(self.project_with_key(project, key)?);
        match transact(&self.client, writes).await {
            Ok(()) => Ok(SignedUp::Done),
            Err(error) => {
                if first_condition_failed(&error) {
                    // A repeat whose first answer was lost finds its own rows.
                    let existing = self.account(&account.email_key).await?;
                    let is_ours = existing.is_some_and(|existing| existing.id == account.id);
                    return Ok(if is_ours { SignedUp::Done } else { SignedUp::EmailTaken });
                }
                Err(error.into())
            }
        }
    }

    /// The account with this e-mail.
    pub async fn account(&self, email: &EmailKey) -> Result<Option<Account>, StoreError> {
        row(&self.client, &self.tables.accounts, key([("email_key", text(email.as_str()))])).await
    }
}
