//! Signing up and logging in.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{Put, ReturnValue, TransactWriteItem};

use super::transactions::failed_conditions;
use super::{Registry, StoreError, key, number, row, text, to_item};
use crate::account::{Account, EmailKey, LOGIN_WINDOW, MAX_LOGIN_FAILURES};
use crate::api_key::ApiKeyRecord;
use crate::project::Project;
use crate::time::Timestamp;

/// How a sign-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUp {
    Done,
    EmailTaken,
}

/// Whether another password may be tried for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginBudget {
    Allowed,
    /// Too many failures; the window ends then.
    Spent {
        until: Timestamp,
    },
}

impl Registry {
    /// Makes an account with its first project and key: all three rows or none.
    ///
    /// # Errors
    /// When DynamoDB did not do it.
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
            .build()
            .map_err(|error| StoreError::Broken(error.to_string()))?;
        let mut writes = vec![TransactWriteItem::builder().put(account_put).build()];
        writes.extend(self.project_with_key(project, key)?);
        match self.transact(writes).await {
            Ok(()) => Ok(SignedUp::Done),
            Err(error) => {
                if failed_conditions(&error).first() == Some(&true) {
                    // A repeat whose first answer was lost finds its own rows.
                    let existing = self.account(&account.email_key).await?;
                    let is_ours = existing.is_some_and(|existing| existing.id == account.id);
                    return Ok(if is_ours { SignedUp::Done } else { SignedUp::EmailTaken });
                }
                Err(error.into())
            }
        }
    }

    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn account(&self, email: &EmailKey) -> Result<Option<Account>, StoreError> {
        row(&self.client, &self.tables.accounts, key([("email_key", text(email.as_str()))])).await
    }

    /// Takes one try from an account's budget of failures, before its password is looked at: tries made side by
    /// side cannot overrun it. E-mails that nobody has are counted alike, so the answer does not tell them apart.
    ///
    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn take_login_try(&self, email: &EmailKey, now: Timestamp) -> Result<LoginBudget, StoreError> {
        let window_ends = now.plus(LOGIN_WINDOW).as_seconds();
        let within = self
            .client
            .update_item()
            .table_name(&self.tables.login_failures)
            .key("email_key", text(email.as_str()))
            .update_expression("ADD failures :one")
            .condition_expression("expires_at > :now AND failures < :max")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .expression_attribute_values(":max", number(MAX_LOGIN_FAILURES))
            .send()
            .await;
        match within {
            Ok(_) => return Ok(LoginBudget::Allowed),
            Err(error) if !is_condition(&error) => return Err(error.into()),
            Err(_) => {}
        }
        // Either no window is open, or this one is spent.
        let opened = self
            .client
            .update_item()
            .table_name(&self.tables.login_failures)
            .key("email_key", text(email.as_str()))
            .update_expression("SET failures = :one, expires_at = :ends")
            .condition_expression("attribute_not_exists(email_key) OR expires_at <= :now")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":ends", number(window_ends))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .send()
            .await;
        match opened {
            Ok(_) => Ok(LoginBudget::Allowed),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let row = failed.item().cloned().unwrap_or_default();
                    let stored = |name: &str| row.get(name)?.as_n().ok()?.parse::<i64>().ok();
                    if stored("failures").unwrap_or(0) < i64::from(MAX_LOGIN_FAILURES) {
                        // Another try opened the window in between.
                        return Box::pin(self.take_login_try(email, now)).await;
                    }
                    let until = stored("expires_at").unwrap_or(window_ends);
                    Ok(LoginBudget::Spent { until: Timestamp::from_millis(until * 1_000) })
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Forgets an account's failures, after the right password.
    ///
    /// # Errors
    /// When DynamoDB did not answer.
    pub async fn clear_login_failures(&self, email: &EmailKey) -> Result<(), StoreError> {
        self.client
            .delete_item()
            .table_name(&self.tables.login_failures)
            .key("email_key", text(email.as_str()))
            .send()
            .await?;
        Ok(())
    }
}

fn is_condition<R>(error: &aws_sdk_dynamodb::error::SdkError<UpdateItemError, R>) -> bool {
    matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_)))
}
