//! The entries of a project's activity list. Each is written in the transaction that makes its change, so there is no
//! change without its entry and no entry without its change.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use tokio::time::Instant;

use super::deletions::delete_all;
use super::ranges::{Range, all_pages, query_page};
use super::{Store, StoreError, from_item, number, text, to_item};
use crate::audit::AuditEntry;
use crate::id::{AuditId, ProjectId};
use crate::time::Timestamp;

/// How many rows a query of the erasure reads at most.
const PAGE: usize = 100;

/// Which entries a page shows; `None` means all.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter {
    /// Changes at this moment or later.
    pub since: Option<Timestamp>,
    /// Changes before this moment.
    pub until: Option<Timestamp>,
}

/// The write of an entry, for the transaction that makes its change. It has no condition: those of the change hold for it too.
pub(super) fn written(table: &str, entry: &AuditEntry) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(to_item(entry)?)).build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

impl Store {
    /// Up to `limit` entries older than `after`, newest first. Fewer mean that there are no more.
    pub async fn audit(
        &self,
        project_id: &ProjectId,
        filter: AuditFilter,
        after: Option<AuditId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let since = filter.since.unwrap_or(Timestamp::from_millis(0));
        let Some(range) = Range::new(since, filter.until, after.map(|id| id.as_uuid())) else {
            return Ok(Vec::new());
        };
        let query = self
            .client
            .query()
            .table_name(&self.tables.audit)
            .key_condition_expression("project_id = :project AND id BETWEEN :from AND :to")
            // DynamoDB may delete an expired row days later.
            .filter_expression("expires_at > :now")
            .expression_attribute_values(":project", text(project_id))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to))
            .expression_attribute_values(":now", number(now.as_seconds()))
            .consistent_read(true)
            .scan_index_forward(false);
        all_pages(query, Some(limit)).await?.into_iter().map(from_item).collect()
    }

    /// Deletes the entries of a project that is being erased, until none is left or the time is over. True when none is left.
    pub async fn erase_audit(&self, project_id: &ProjectId, end: Instant) -> Result<bool, StoreError> {
        while Instant::now() < end {
            let query = self
                .client
                .query()
                .table_name(&self.tables.audit)
                .key_condition_expression("project_id = :project")
                .expression_attribute_values(":project", text(project_id))
                .projection_expression("project_id, id")
                .consistent_read(true);
            let (keys, next) = query_page(query, PAGE, None).await?;
            delete_all(&self.client, &self.tables.audit, keys).await?;
            if next.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
