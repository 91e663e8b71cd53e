//! Links to the portal. A link and its session are one row, so one write redeems a link, and one ends both.

use aws_sdk_dynamodb::types::builders::DeleteBuilder;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};

use super::ranges::all_pages;
use super::transactions::{put_new, transact_if};
use super::{Registry, StoreError, audit, from_item, key, number, row, text, to_item};
use crate::audit::AuditEntry;
use crate::id::{PortalLinkId, ProjectId};
use crate::portal_link::{Nonce, PortalCode, PortalLink, PortalSession, PortalToken, Redeem};
use crate::time::Timestamp;

/// How many links are listed, the newest ones.
const MOST_LISTED: usize = 1_000;

/// How redeeming a code ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    To(PortalSession),
    Used,
    Expired,
    /// The code is wrong, or the link has been ended.
    Unknown,
}

impl Registry {
    /// Makes a link; false when its project is gone, or about to be. A link that came after the erasure of its project
    /// would bring rows of it back when it is redeemed.
    pub async fn create_portal_link(
        &self,
        link: &PortalLink,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let writes = vec![
            self.project_stays(&link.owner_id, &link.project_id, now)?,
            put_new(&self.tables.sessions, "id", to_item(link)?)?,
            audit::written(&self.tables.audit, entry)?,
        ];
        transact_if(&self.client, writes).await
    }

    /// Carries out a write of a link's row with its entry; false when its condition does not hold.
    async fn change_link(&self, write: TransactWriteItem, entry: &AuditEntry) -> Result<bool, StoreError> {
        transact_if(&self.client, vec![write, audit::written(&self.tables.audit, entry)?]).await
    }

    pub async fn portal_link(
        &self,
        project_id: &ProjectId,
        id: &PortalLinkId,
    ) -> Result<Option<PortalLink>, StoreError> {
        row(&self.client, &self.tables.sessions, link_key(project_id, id)).await
    }

    /// The project's links that can still be redeemed or whose session lasts, newest first.
    pub async fn portal_links(
        &self,
        project_id: &ProjectId,
        now: Timestamp,
    ) -> Result<Vec<PortalLink>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.sessions)
            .key_condition_expression("account_id = :links")
            // DynamoDB may delete an expired row days later.
            .filter_expression("expires_at >= :now")
            .expression_attribute_values(":links", text(PortalLink::partition(project_id)))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .scan_index_forward(false)
            .consistent_read(true);
        let links = all_pages(query, Some(MOST_LISTED)).await?.into_iter().map(from_item);
        let links = links.collect::<Result<Vec<PortalLink>, _>>()?;
        Ok(links.into_iter().filter(|link| link.lives(now)).collect())
    }

    /// Redeems a code. Of several callers at once one gets the session, and its repeats get it again.
    pub async fn redeem_portal_link(
        &self,
        link: PortalLink,
        code: &PortalCode,
        nonce: &Nonce,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Redeemed, StoreError> {
        let session = match link.redeem(code, nonce, now) {
            Redeem::Open(session) => session,
            decided => return Ok(without_write(decided)),
        };
        let update = Update::builder()
            .table_name(&self.tables.sessions)
            .set_key(Some(link_key(&link.project_id, &link.id)))
            .update_expression(
                "SET token_hash = :token, redeemed_at = :now, ends_at = :ends, expires_at = :expires",
            )
            .condition_expression("attribute_exists(id) AND attribute_not_exists(token_hash)")
            .expression_attribute_values(":token", text(session.token_hash.as_str()))
            .expression_attribute_values(":now", number(session.redeemed_at.as_millis()))
            .expression_attribute_values(":ends", number(session.ends_at.as_millis()))
            .expression_attribute_values(":expires", number(session.ends_at.as_seconds()))
            .build()?;
        if self.change_link(TransactWriteItem::builder().update(update).build(), entry).await? {
            return Ok(Redeemed::To(session));
        }
        // Another caller came first, or this one's own first answer was lost, or the link has been ended.
        let present = self.portal_link(&link.project_id, &link.id).await?;
        Ok(present.map_or(Redeemed::Unknown, |link| without_write(link.redeem(code, nonce, now))))
    }

    /// Ends a link and its session. It gives false when the project has no such link, or one that is over.
    pub async fn end_portal_link(
        &self,
        project_id: &ProjectId,
        id: &PortalLinkId,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        // The row of a link that is over expires by itself.
        let link = self.portal_link(project_id, id).await?;
        if !link.is_some_and(|link| link.lives(now)) {
            return Ok(false);
        }
        let delete = self.delete_link(project_id, id).condition_expression("attribute_exists(id)").build()?;
        self.change_link(TransactWriteItem::builder().delete(delete).build(), entry).await
    }

    /// Ends the session of a token, and its link; false when it has ended. Ending it again changes nothing.
    pub async fn end_portal_session(
        &self,
        token: &PortalToken,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let delete = self
            .delete_link(&token.project_id(), &token.link_id())
            .condition_expression("token_hash = :token AND ends_at > :now")
            .expression_attribute_values(":token", text(token.hash().as_str()))
            .expression_attribute_values(":now", number(now.as_millis()))
            .build()?;
        self.change_link(TransactWriteItem::builder().delete(delete).build(), entry).await
    }

    fn delete_link(&self, project_id: &ProjectId, id: &PortalLinkId) -> DeleteBuilder {
        Delete::builder().table_name(&self.tables.sessions).set_key(Some(link_key(project_id, id)))
    }
}

/// How redeeming ends where nothing was written: a session opens by a write alone.
fn without_write(decided: Redeem) -> Redeemed {
    match decided {
        Redeem::Repeat(session) => Redeemed::To(session),
        Redeem::Open(_) | Redeem::Used => Redeemed::Used,
        Redeem::Expired => Redeemed::Expired,
        Redeem::Unknown => Redeemed::Unknown,
    }
}

pub(super) fn link_key(project_id: &ProjectId, id: &PortalLinkId) -> super::Item {
    key([("account_id", text(PortalLink::partition(project_id))), ("id", text(id))])
}
