//! Sessions. A session lives while its row exists, its account's row names its set, and its time is not over.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::future::try_join;

use super::transactions::{put_new, transact_if};
use super::{Registry, StoreError, key, number, row, row_in_the_way, text, to_item};
use crate::account::{Account, EmailKey};
use crate::id::{AccountId, SessionId};
use crate::session::{Refresh, Session};
use crate::time::Timestamp;

/// How a refresh ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The session whose newest token is the answer.
    To(Session),
    /// The session has ended.
    Ended,
}

impl Registry {
    /// The session with its account, if it lives.
    pub async fn session(
        &self,
        email: &EmailKey,
        account_id: &AccountId,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<(Account, Session)>, StoreError> {
        let session = row(&self.client, &self.tables.sessions, session_key(account_id, id));
        let (account, session) = try_join(self.account(email), session).await?;
        let found: Option<(Account, Session)> = account.zip(session);
        Ok(found.filter(|(account, session)| session.lives(account, now)))
    }

    /// Begins a session of an account; false when the account is gone, or about to be erased. The session lives once the
    /// account's row names its set. A session that came after the account's erasure would leave a row that nothing
    /// erases, so one transaction checks that the account stays.
    pub async fn begin_session(
        &self,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let writes = vec![
            self.account_stays(&account.email_key, &account.id, now)?,
            put_new(&self.tables.sessions, "id", to_item(session)?)?,
        ];
        transact_if(&self.client, writes).await
    }

    /// Answers a refresh token of this generation. A token that shows a copy ends the session.
    pub async fn refresh_session(
        &self,
        mut session: Session,
        generation: u32,
        now: Timestamp,
    ) -> Result<Refreshed, StoreError> {
        loop {
            let next = match session.refresh(generation, now) {
                Refresh::Advance(next) => next,
                Refresh::Repeat => return Ok(Refreshed::To(session)),
                Refresh::End => {
                    self.end_session(&session.account_id, &session.id).await?;
                    return Ok(Refreshed::Ended);
                }
            };
            let advanced = self
                .client
                .update_item()
                .table_name(&self.tables.sessions)
                .set_key(Some(session_key(&session.account_id, &session.id)))
                .update_expression("SET generation = :next, issued_at = :now")
                .condition_expression("generation = :generation")
                .expression_attribute_values(":next", number(next.generation))
                .expression_attribute_values(":now", number(next.issued_at.as_millis()))
                .expression_attribute_values(":generation", number(generation))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let Err(error) = advanced else { return Ok(Refreshed::To(next)) };
            // Another refresh came first, or this one's own first answer was lost. Generations only grow, so the token is no
            // longer the newest.
            match row_in_the_way(error)? {
                Some(present) => session = present,
                None => return Ok(Refreshed::Ended),
            }
        }
    }

    /// Ends a session. Ending it again changes nothing.
    pub async fn end_session(&self, account_id: &AccountId, id: &SessionId) -> Result<(), StoreError> {
        let table = &self.tables.sessions;
        let key = session_key(account_id, id);
        self.client.delete_item().table_name(table).set_key(Some(key)).send().await?;
        Ok(())
    }
}

pub(super) fn session_key(account_id: &AccountId, id: &SessionId) -> super::Item {
    key([("account_id", text(account_id)), ("id", text(id))])
}
