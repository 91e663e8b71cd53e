//! Budgets of failed logins: a small one for each caller at each account, and a larger one for each account. A stranger
//! who tries passwords spends a budget of its own, and the account's owner still gets in.
//!
//! A caller whose own budget is spent takes nothing from the account's. So one stranger cannot lock the owner out; a
//! stranger with ten networks can.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::future::try_join;
use serde::Deserialize;

use crate::account::{
    CallerNetwork, EmailKey, LOGIN_WINDOW, MAX_LOGIN_FAILURES, MAX_LOGIN_FAILURES_OF_CALLER,
};
use crate::id::PortalLinkId;
use crate::store::{Registry, StoreError, if_condition_held, number, row_in_the_way, text};
use crate::time::Timestamp;

/// What a caller tries to guess. Each has budgets of its own, so that people who forgot their password, and tried many, can
/// still use the token that the operator gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guessed {
    Password,
    ResetToken,
}

impl Guessed {
    const fn rows(self) -> [&'static str; 2] {
        match self {
            Self::Password => ["from", "all"],
            Self::ResetToken => ["reset-from", "reset-all"],
        }
    }
}

/// Whether another password may be tried for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginBudget {
    Allowed,
    /// There were too many failures. The window ends at `until`.
    Spent {
        until: Timestamp,
    },
}

/// The failures of one window, as a row counts them.
#[derive(Debug, Default, Deserialize)]
struct Window {
    #[serde(default)]
    failures: u32,
    /// Unix seconds.
    expires_at: Option<i64>,
}

/// The text of a network contains no `|`, so no spelling of an e-mail leads to another account's row.
fn row_of_caller(of: Guessed, email: &EmailKey, from: &CallerNetwork) -> String {
    let [name, _] = of.rows();
    format!("{name}|{from}|{}", email.as_str())
}

fn row_of_all(of: Guessed, email: &EmailKey) -> String {
    let [_, name] = of.rows();
    format!("{name}|{}", email.as_str())
}

impl Registry {
    /// Takes one try from both budgets before the secret is checked, so that parallel tries cannot overrun the budgets.
    /// Tries for an unknown e-mail are counted too, so the answer does not show whether an account exists.
    pub async fn take_login_try(
        &self,
        of: Guessed,
        email: &EmailKey,
        from: &CallerNetwork,
        now: Timestamp,
    ) -> Result<LoginBudget, StoreError> {
        // The caller's own budget comes first: a caller without tries left takes none from the account's budget.
        let own = row_of_caller(of, email, from);
        match self.take_try(&own, MAX_LOGIN_FAILURES_OF_CALLER, now).await? {
            LoginBudget::Allowed => self.take_try(&row_of_all(of, email), MAX_LOGIN_FAILURES, now).await,
            spent @ LoginBudget::Spent { .. } => Ok(spent),
        }
    }

    /// Takes one try of a portal link's code, as for logins. A link's id is no e-mail, so its rows are no account's.
    pub async fn take_portal_try(
        &self,
        link: &PortalLinkId,
        from: &CallerNetwork,
        now: Timestamp,
    ) -> Result<LoginBudget, StoreError> {
        match self.take_try(&format!("portal-from|{from}|{link}"), MAX_LOGIN_FAILURES_OF_CALLER, now).await? {
            LoginBudget::Allowed => {
                self.take_try(&format!("portal-all|{link}"), MAX_LOGIN_FAILURES, now).await
            }
            spent @ LoginBudget::Spent { .. } => Ok(spent),
        }
    }

    async fn take_try(&self, row: &str, max: u32, now: Timestamp) -> Result<LoginBudget, StoreError> {
        let window_ends = now.plus(LOGIN_WINDOW).as_seconds();
        let within = self
            .client
            .update_item()
            .table_name(&self.tables.login_failures)
            .key("email_key", text(row))
            .update_expression("ADD failures :one")
            .condition_expression("expires_at > :now AND failures < :max")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .expression_attribute_values(":max", number(max))
            .send()
            .await;
        if if_condition_held(within)?.is_some() {
            return Ok(LoginBudget::Allowed);
        }
        // Either no window is open, or the open one has no tries left.
        let opened = self
            .client
            .update_item()
            .table_name(&self.tables.login_failures)
            .key("email_key", text(row))
            .update_expression("SET failures = :one, expires_at = :ends")
            .condition_expression("attribute_not_exists(email_key) OR expires_at <= :now")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":ends", number(window_ends))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = opened else { return Ok(LoginBudget::Allowed) };
        let window: Window = row_in_the_way(error)?.unwrap_or_default();
        if window.failures < max {
            // Another try opened the window in between.
            return Box::pin(self.take_try(row, max, now)).await;
        }
        let until = window.expires_at.unwrap_or(window_ends);
        Ok(LoginBudget::Spent { until: Timestamp::from_millis(until * 1_000) })
    }

    /// After the right secret: forgets the caller's failures and gives the caller's try back to the account's budget.
    /// The failures of other callers stay counted there.
    pub async fn clear_login_failures(
        &self,
        of: Guessed,
        email: &EmailKey,
        from: &CallerNetwork,
    ) -> Result<(), StoreError> {
        let own = async {
            let row = text(row_of_caller(of, email, from));
            let table = &self.tables.login_failures;
            self.client.delete_item().table_name(table).key("email_key", row).send().await?;
            Ok(())
        };
        let of_all = async {
            let given = self
                .client
                .update_item()
                .table_name(&self.tables.login_failures)
                .key("email_key", text(row_of_all(of, email)))
                .update_expression("ADD failures :back")
                .condition_expression("failures > :none")
                .expression_attribute_values(":back", number(-1))
                .expression_attribute_values(":none", number(0))
                .send()
                .await;
            // Without the row there is no count to give the try back to.
            if_condition_held(given)?;
            Ok(())
        };
        try_join(own, of_all).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_email_names_anothers_row() {
        let here = CallerNetwork::of("203.0.113.7".parse().ok());
        let ada = EmailKey::of("ada@example.com");
        let rows = |email: &EmailKey| {
            [Guessed::Password, Guessed::ResetToken]
                .map(|of| [row_of_all(of, email), row_of_caller(of, email, &here)])
                .concat()
        };
        let adas = rows(&ada);
        for crafted in
            ["203.0.113.7|ada@example.com", "from|203.0.113.7|ada@example.com", "all|ada@example.com"]
        {
            assert!(rows(&EmailKey::of(crafted)).iter().all(|row| !adas.contains(row)), "{crafted}");
        }
        assert!((1..adas.len()).all(|n| !adas[n..].contains(&adas[n - 1])), "{adas:?}");
    }
}
