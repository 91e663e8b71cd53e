//! Accounts: signing up, looking one up, and ending all of its sessions.

mod logins;

pub use self::logins::{Guessed, LoginBudget};

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use crate::account::{Account, EmailKey, PasswordHash};
use crate::api_key::ApiKeyRecord;
use crate::audit::AuditEntry;
use crate::id::SessionSetId;
use crate::project::Project;
use crate::session::Session;
use crate::store::transactions::{first_condition_failed, put_new, transact};
use crate::store::{Registry, StoreError, if_condition_held, key, row, row_in_the_way, text, to_item};

/// How a sign-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUp {
    Done,
    EmailTaken,
}

impl Registry {
    /// Makes an account with its first session, project and key: all rows or none.
    pub async fn sign_up(
        &self,
        account: &Account,
        session: &Session,
        project: &Project,
        key: &ApiKeyRecord,
        entry: &AuditEntry,
    ) -> Result<SignedUp, StoreError> {
        let account_put = Put::builder()
            .table_name(&self.tables.accounts)
            .set_item(Some(to_item(account)?))
            .condition_expression("attribute_not_exists(email_key)")
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().put(account_put).build()];
        writes.push(put_new(&self.tables.sessions, "id", to_item(session)?)?);
        writes.extend(self.project_with_key(project, key, entry)?);
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

    /// Ends all sessions of `account`'s set. One write does it, however many sessions there are.
    pub async fn end_all_sessions(&self, account: &Account, next: SessionSetId) -> Result<(), StoreError> {
        let ended = self
            .client
            .update_item()
            .table_name(&self.tables.accounts)
            .key("email_key", text(account.email_key.as_str()))
            .update_expression("SET session_set = :next")
            .condition_expression("session_set = :ended")
            .expression_attribute_values(":next", text(next))
            .expression_attribute_values(":ended", text(account.session_set))
            .send()
            .await;
        // With another set, or without the row, these sessions have ended already. A write that arrives late ends no
        // later ones.
        if_condition_held(ended).map(|_| ())
    }

    /// Changes the password from the one of `account`'s row, and ends all sessions in the same write. It gives false when the
    /// account has another password by now.
    pub async fn change_password(
        &self,
        account: &Account,
        password: &PasswordHash,
        next: SessionSetId,
    ) -> Result<bool, StoreError> {
        let changed = self
            .client
            .update_item()
            .table_name(&self.tables.accounts)
            .key("email_key", text(account.email_key.as_str()))
            .update_expression("SET password_hash = :new, session_set = :next")
            .condition_expression("id = :id AND password_hash = :old")
            .expression_attribute_values(":id", text(account.id))
            .expression_attribute_values(":old", text(&account.password_hash.0))
            .expression_attribute_values(":new", text(&password.0))
            .expression_attribute_values(":next", text(next))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = changed else { return Ok(true) };
        // A hash has a salt of its own, so a row that has the new one was written by this call, whose first answer was lost.
        let now: Option<Account> = row_in_the_way(error)?;
        Ok(now.is_some_and(|now| now.password_hash == *password))
    }
}
