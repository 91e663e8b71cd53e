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
use crate::id::{PortalLinkId, ProjectId};
use crate::store::deletions::delete_all;
use crate::store::{Item, Registry, StoreError, if_condition_held, key, number, row_in_the_way, text};
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

/// The rows of a link's tries, for a caller and for all callers. They name the project, whose erasure finds them by it. No row
/// of an e-mail begins like them.
fn rows_of_link(project: &ProjectId, link: &PortalLinkId, from: &CallerNetwork) -> [String; 2] {
    [format!("portal-from|{from}|{project}|{link}"), format!("portal-all|{project}|{link}")]
}

/// Whether a row counts tries of one of a project's links.
fn is_of_project(row: &str, project: &ProjectId) -> bool {
    row.starts_with("portal-") && row.contains(&format!("|{project}|"))
}

/// The most pages of failed logins that are looked through. Rows count for a quarter of an hour, and DynamoDB deletes most
/// expired rows within two days, so only a flood makes more.
const MOST_PAGES: usize = 20;

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

    /// Takes one try of a portal link's code, as for logins.
    pub async fn take_portal_try(
        &self,
        project: &ProjectId,
        link: &PortalLinkId,
        from: &CallerNetwork,
        now: Timestamp,
    ) -> Result<LoginBudget, StoreError> {
        let [own, all] = rows_of_link(project, link, from);
        match self.take_try(&own, MAX_LOGIN_FAILURES_OF_CALLER, now).await? {
            LoginBudget::Allowed => self.take_try(&all, MAX_LOGIN_FAILURES, now).await,
            spent @ LoginBudget::Spent { .. } => Ok(spent),
        }
    }

    /// After the right code: forgets the tries of the caller, and the count of all tries, which only the link's holder can end.
    pub async fn clear_portal_tries(
        &self,
        project: &ProjectId,
        link: &PortalLinkId,
        from: &CallerNetwork,
    ) -> Result<(), StoreError> {
        let rows = rows_of_link(project, link, from).map(|row| key([("email_key", text(row))]));
        delete_all(&self.client, &self.tables.login_failures, rows.to_vec()).await
    }

    /// Deletes the counts of tries of a project's portal links, which have their callers' networks.
    pub async fn erase_portal_tries(&self, project: &ProjectId) -> Result<(), StoreError> {
        self.erase_tries(&format!("|{project}|"), |row| is_of_project(row, project)).await
    }

    /// Deletes the counts of failed logins at an account.
    pub async fn erase_login_failures(&self, email: &EmailKey) -> Result<(), StoreError> {
        let ending = format!("|{}", email.as_str());
        self.erase_tries(&ending, |row| row.ends_with(&ending)).await
    }

    /// Deletes the counts whose rows have this part and are erased. They are kept by the callers' networks, so only a look
    /// through the table finds them. The rows that a flood puts beyond `MOST_PAGES` expire.
    async fn erase_tries(&self, part: &str, is_erased: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let table = &self.tables.login_failures;
        let is_erased = |item: &Item| {
            item.get("email_key").and_then(|row| row.as_s().ok()).is_some_and(|row| is_erased(row))
        };
        let mut keys = Vec::new();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let scan = self.client.scan().table_name(table).consistent_read(true);
            let page = scan
                .filter_expression("contains(email_key, :part)")
                .expression_attribute_values(":part", text(part))
                .projection_expression("email_key")
                .set_exclusive_start_key(after)
                .send()
                .await?;
            keys.extend(page.items.unwrap_or_default().into_iter().filter(is_erased));
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
        }
        delete_all(&self.client, table, keys).await
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

    #[test]
    fn a_projects_erasure_takes_the_tries_of_its_own_links_alone() {
        let here = CallerNetwork::of("203.0.113.7".parse().ok());
        let now = Timestamp::from_millis(1_700_000_000_000);
        let [own, other] = [1, 2].map(|n| ProjectId::new(Timestamp::from_millis(n)));
        let link = PortalLinkId::new(now);
        for row in rows_of_link(&own, &link, &here) {
            assert!(is_of_project(&row, &own) && !is_of_project(&row, &other), "{row}");
        }
        let crafted = EmailKey::of(&format!("x|{own}|{link}"));
        assert!(
            !is_of_project(&row_of_all(Guessed::Password, &crafted), &own),
            "an e-mail that somebody typed"
        );
    }
}
