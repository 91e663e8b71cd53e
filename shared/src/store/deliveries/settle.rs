//! Pending deliveries. Almost all of them are a few seconds old, and nothing marks those: an index of all pending deliveries
//! would cost each delivery two write units, half of the four that it costs now. Three rules find them all the same, at a price
//! that does not depend on how many deliveries are stored.
//!
//! 1. A write that leaves a delivery pending puts it into the sparse index, unless the delivery is young and soon due
//!    ([`Delivery::attention_at`]). A wait for a slot, a retry by hand and a replay make that write anyhow.
//! 2. The endpoint's state says up to which time its deliveries are settled: no older one is pending outside the index. Rule 1
//!    keeps that true, and only [`Store::settle`] moves the time on. It reads each delivery once, from a minute after it was
//!    made, and enters it into the index if it is still pending: a job that waits in a crowded queue leaves no trace on its
//!    row.
//! 3. A page reads the newer deliveries in their partitions and the older ones in the index.
//!
//! One delivery in 128 settles its endpoint, so a page reads some hundred rows and those of the last minute. That costs each
//! delivery a quarter of a read unit for each KB of its row, and an 128th of a write unit.
//!
//! (Rejected: pages move the time on. The first page after a month would have to read the month. Rejected: the age of a
//! queue's oldest message as proof that nothing older is pending. SQS gives it approximately and leaves out messages that were
//! received often: docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html.)

use futures_util::future::try_join_all;

use super::id_of;
use crate::delivery::{Delivery, DeliveryStatus, attention};
use crate::endpoint::{Endpoint, SETTLES_AFTER};
use crate::id::DeliveryId;
use crate::partition::Partition;
use crate::store::ranges::{Range, query_page};
use crate::store::{Store, StoreError, if_condition_held, text, value};
use crate::time::Timestamp;

/// How many rows of a partition are read at once: three times as many as are made between two settlings, on average.
const READ_AT_ONCE: usize = 400;

/// How many deliveries are entered into the index at once. Where more are pending among so few rows, a page finds them soon
/// without the index, and most of them are about to have their attempt.
const ENTERED_AT_ONCE: usize = 25;

/// What settling has read of a partition.
struct Looked {
    /// Deliveries that are pending and not in the index.
    pending: Vec<DeliveryId>,
    /// The time before which every row was read.
    to: Timestamp,
}

impl Store {
    /// Moves the time on up to which the endpoint's deliveries are settled, or stops at the first delivery that is pending
    /// outside the index and enters it. The next call passes it: by then the index shows it.
    ///
    /// # Errors
    /// After an error the time is as true as before.
    pub async fn settle(&self, endpoint: &Endpoint, now: Timestamp) -> Result<(), StoreError> {
        let (from, to) = (endpoint.settled_to(), now.minus(SETTLES_AFTER));
        let partitions = Partition::all(endpoint.buckets_ever.iter().copied(), endpoint.shards).into_iter();
        let looked = try_join_all(partitions.map(|of| self.look(endpoint, of, from, to))).await?;
        let settled = looked.iter().map(|looked| looked.to).min().unwrap_or(from);
        let pending: Vec<_> = looked.into_iter().flat_map(|looked| looked.pending).collect();
        if pending.len() <= ENTERED_AT_ONCE {
            try_join_all(pending.iter().map(|id| self.enter(endpoint, id))).await?;
        }
        if settled > from { self.note_settled(endpoint, settled).await } else { Ok(()) }
    }

    /// Reads a partition from where it is settled. The projection keeps the answer small; the price is that of the rows.
    async fn look(
        &self,
        endpoint: &Endpoint,
        of: Partition,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Looked, StoreError> {
        let Some(range) = Range::new(from, Some(to), None) else {
            return Ok(Looked { pending: Vec::new(), to: from });
        };
        let query = self
            .client
            .query()
            .table_name(&self.tables.deliveries)
            .key_condition_expression("#of = :of AND id BETWEEN :from AND :to")
            .filter_expression("#status = :pending AND attribute_not_exists(attention)")
            .projection_expression("id")
            .expression_attribute_names("#of", "partition")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":of", text(of.key(&endpoint.id)))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(&range.to))
            .expression_attribute_values(":pending", value(&DeliveryStatus::Pending)?)
            .consistent_read(true);
        let (items, next) = query_page(query, READ_AT_ONCE, None).await?;
        let pending = items.iter().map(id_of).collect::<Result<Vec<_>, _>>()?;
        let read_to = next.as_ref().map(id_of).transpose()?;
        let stops = [pending.first().copied(), read_to];
        let to = stops.into_iter().flatten().map(|id| id.created_at()).fold(to, Timestamp::min);
        Ok(Looked { pending, to })
    }

    /// Enters a delivery into the index, if it is still pending outside of it.
    async fn enter(&self, endpoint: &Endpoint, id: &DeliveryId) -> Result<(), StoreError> {
        let key = attention(&endpoint.id, Partition::of(id).shard, DeliveryStatus::Pending);
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.deliveries)
            .set_key(Some(super::delivery_key(&endpoint.id, id)))
            .update_expression("SET attention = :key")
            .condition_expression("#status = :pending AND attribute_not_exists(attention)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", value(&DeliveryStatus::Pending)?)
            .expression_attribute_values(":key", text(key));
        if_condition_held(update.send().await)?;
        Ok(())
    }
}

/// The delivery with its place in the index, for its first write. Only a first write that comes late has one.
pub(super) fn entered(delivery: &Delivery, now: Timestamp) -> std::borrow::Cow<'_, Delivery> {
    match delivery.attention_at(now) {
        None => std::borrow::Cow::Borrowed(delivery),
        attention => std::borrow::Cow::Owned(Delivery { attention, ..delivery.clone() }),
    }
}
