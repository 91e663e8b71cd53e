//! A delivery's row, and the delivery as the decisions see it.

use echo_shared::attempt::Trigger;
use echo_shared::delivery::{Delivery, DeliveryStatus};
use echo_shared::id::DeliveryId;
use echo_shared::job::{Chain, DeliveryJob};
use echo_shared::rate_limit::Slot;

use crate::world::{Work, since_start, timestamp};

/// A delivery's row, small enough for a million of them, and the requests that the delivery really made.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub endpoint: u16,
    pub accepted_at: i64,
    /// When the event's row and this one were written; `None` if the api function died before.
    pub written_at: Option<i64>,
    pub status: DeliveryStatus,
    pub attempts: u32,
    pub next_retry_at: Option<i64>,
    pub chain: Option<u32>,
    pub slot: Option<Slot>,
    pub updated_at: i64,
    /// Requests that arrived at the receiver.
    pub sends: u32,
    /// Requests whose record was lost in a crash or refused by the table.
    pub unrecorded: u32,
    pub first_sent_at: Option<i64>,
    /// The longest delay of one of its retries.
    pub late_ms: i64,
}

impl Row {
    /// Whether the row can be read at that moment.
    pub(crate) fn exists(&self, now: i64) -> bool {
        self.written_at.is_some_and(|at| at <= now)
    }

    /// Copies the row into a delivery that may still have another row's values.
    fn read_into(&self, delivery: &mut Delivery) {
        delivery.id = DeliveryId::first_at(timestamp(self.accepted_at));
        delivery.status = self.status;
        delivery.attempt_count = self.attempts;
        delivery.attempts.clear();
        delivery.next_retry_at = self.next_retry_at.map(timestamp);
        delivery.failure_reason = None;
        delivery.chain = self.chain.map(Chain::from_number);
        delivery.slot = self.slot;
        delivery.uncounted = false;
        delivery.updated_at = timestamp(self.updated_at);
        delivery.triggered_by = Trigger::Auto;
    }

    /// The row after a write that made its values equal to `delivery`.
    pub(crate) fn written(self, delivery: &Delivery) -> Self {
        Self {
            status: delivery.status,
            attempts: delivery.attempt_count,
            next_retry_at: delivery.next_retry_at.map(since_start),
            chain: delivery.chain.map(Chain::number),
            slot: delivery.slot,
            updated_at: since_start(delivery.updated_at),
            ..self
        }
    }
}

/// The first job of a delivery without rows, which says only when the delivery was made.
pub(crate) fn before_its_rows(job: &DeliveryJob, accepted_at: i64) -> DeliveryJob {
    DeliveryJob { delivery_id: DeliveryId::first_at(timestamp(accepted_at)), ..job.clone() }
}

/// The delivery and the job for a decision, as the invocation read them.
pub(crate) fn as_seen<'a>(
    scratch: &'a mut (Delivery, DeliveryJob),
    work: &Work,
) -> (&'a mut Delivery, &'a DeliveryJob) {
    as_read(scratch, &work.seen, work.message.chain)
}

/// The delivery of a row, and one of its jobs by its chain.
pub(crate) fn as_read<'a>(
    (delivery, job): &'a mut (Delivery, DeliveryJob),
    row: &Row,
    chain: Option<u32>,
) -> (&'a mut Delivery, &'a DeliveryJob) {
    row.read_into(delivery);
    job.chain = chain.map(Chain::from_number);
    (delivery, job)
}
