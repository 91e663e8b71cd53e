//! Erases what people ask to have erased: an event's payload, a project, an account (contract §2).
//!
//! [`registry`] is the part that a request does itself, with the tables that only the api function may change.
//! [`project`] is the part that a job does.
//!
//! An endpoint that is deleted leaves a row, in a partition of the replays table for each project. With it the erasure of the
//! project finds the endpoint's replays, its streams, and the deliveries whose event was never accepted: no event lists them.
//! In another partition of the table for each endpoint stand the streams of its customers ([`streams`]).

mod project;
mod registry;
mod streams;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};

use super::events::event_key;
use super::update::Changes;
use super::{Item, Store, StoreError, audit, if_condition_held, key, number, text, to_item};
use crate::audit::AuditEntry;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::id::{EndpointId, EventId, ProjectId};
use crate::shards::{Shard, Shards};
use crate::stream::LINGERS;
use crate::time::Timestamp;

/// The condition that no request is at work that erases the row's project or account; `:now` in milliseconds.
pub(super) const STAYS: &str = "(attribute_not_exists(closing_until) OR closing_until < :now)";

/// How the erasure of a row that was closed for it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Another request is at work on the same, or has closed the row since.
    Overtaken,
}

/// An endpoint that is deleted.
#[derive(Debug, Serialize, Deserialize)]
struct FormerEndpoint {
    /// `former#<project>`
    endpoint_id: String,
    id: EndpointId,
    shards: Shards,
    /// Those of its deliveries. An erasure takes a bucket off when the deliveries in it are gone.
    #[serde(with = "serde_dynamo::number_set", default, skip_serializing_if = "BTreeSet::is_empty")]
    buckets: BTreeSet<u8>,
    expires_at: i64,
}

fn former_partition(project_id: &ProjectId) -> String {
    format!("former#{project_id}")
}

fn former_key(project_id: &ProjectId, id: &EndpointId) -> Item {
    key([("endpoint_id", text(former_partition(project_id))), ("id", text(id))])
}

/// The row of a former endpoint outlasts by a day all that it finds. The endpoint's last delivery is older than its deletion,
/// so every delivery has expired after the retention time. The last block of a stream is taken before, and its head lives
/// for the retention time and [`LINGERS`] from then on.
const AND_A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The write that an endpoint leaves behind.
pub(super) fn former(
    table: &str,
    endpoint: &Endpoint,
    kept_for: Duration,
    now: Timestamp,
) -> Result<TransactWriteItem, StoreError> {
    let former = FormerEndpoint {
        endpoint_id: former_partition(&endpoint.project_id),
        id: endpoint.id,
        shards: endpoint.shards,
        buckets: endpoint.buckets_ever.clone(),
        expires_at: now.plus(kept_for * 2 + LINGERS + AND_A_DAY).as_seconds(),
    };
    let put = Put::builder().table_name(table).set_item(Some(to_item(&former)?)).build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

impl Store {
    /// Writes down how far the erasure of a former endpoint came.
    async fn note_former(&self, former: &FormerEndpoint) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.replays)
            .set_item(Some(to_item(former)?))
            .condition_expression("attribute_exists(id)");
        // Another job of the erasure may have deleted the row.
        if_condition_held(put.send().await)?;
        Ok(())
    }

    /// Takes the payload off an event's row, with the hash of it, and returns the event; `None` when there is none.
    /// From then on no delivery is added to the event. Those that it lists are erased by the caller.
    pub async fn erase_payload(
        &self,
        project_id: &ProjectId,
        shard: Shard,
        id: &EventId,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Option<Event>, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.events)
            .set_key(Some(event_key(project_id, shard, id)))
            .condition_expression("attribute_exists(payload) AND expires_at > :now")
            .expression_attribute_values(":now", number(now.as_seconds()));
        let erased = Changes::default().remove(&["payload"]).set("content_hash", text(""));
        let update = erased.of_transaction(update).build()?;
        let update = TransactWriteItem::builder().update(update).build();
        // The condition does not hold for an event without a payload: it has its entry already.
        self.write_together(vec![update, audit::written(&self.tables.audit, entry)?]).await?;
        let event = self.event(project_id, shard, id, now).await?;
        Ok(event.filter(Event::is_erased))
    }
}
