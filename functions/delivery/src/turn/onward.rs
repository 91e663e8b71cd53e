//! Carries out a decision of `echo_shared::decision`: first the write to the delivery's row, then the job's next step.

use std::time::Duration;

use echo_shared::decision::{Decided, Lane, Next, OVERTAKEN_WAIT, Write, time_in_queue};
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::job::DeliveryJob;
use echo_shared::rate_limit::Slot;
use echo_shared::stats::CountsAs;
use echo_shared::store::{Advanced, StoreError};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;

use crate::message::Disposal;
use crate::own_fault::OwnFault;
use crate::turn::{HAND_BACK_TIME, Turn, TurnEnd, health, records, retries};

impl Turn {
    /// Writes a decision, and lets the job go where it says if the row was still as it was read.
    pub(super) async fn carry_out(
        &self,
        mut delivery: Delivery,
        endpoint: Option<&Endpoint>,
        Decided { write, next }: Decided,
        now: Timestamp,
    ) -> Result<TurnEnd, OwnFault> {
        if let Some(write) = write {
            if self.write(&delivery, &write).await? == Advanced::Overtaken {
                return Ok(TurnEnd::GoesOn(self.overtaken().await));
            }
            self.count(&delivery, endpoint, &write.transition);
            write.transition.apply(&mut delivery);
        }
        match next {
            Next::Finish => {
                let is_counted = delivery.uncounted;
                if delivery.is_to_be_told() {
                    health::tell(&self.app, &delivery, endpoint, now).await?;
                }
                Ok(TurnEnd::Ended { is_counted })
            }
            Next::HideUntil(at) => Ok(TurnEnd::GoesOn(self.hide_until(at, delivery.slot).await)),
            Next::SendOn { job, lane, at, stands_in_at } => {
                let sent = self.send_on(job, lane, at, stands_in_at, delivery.slot).await;
                Ok(TurnEnd::GoesOn(sent))
            }
        }
    }

    pub(super) async fn write(&self, before: &Delivery, write: &Write) -> Result<Advanced, StoreError> {
        let Write { transition, claim } = write;
        let store = &self.app.store;
        if *claim {
            return store.claim(before, transition).await;
        }
        if transition.attempt.is_none() {
            return store.advance(before, transition).await;
        }
        let others = self.shared.as_ref().map(|shared| &shared.records);
        records::record(store, others, before, transition, self.deadline - HAND_BACK_TIME).await
    }

    /// Counts a recorded attempt and the delivery's end, in the batch's metrics and for its endpoint. Nobody asks for
    /// the counts of an endpoint that is gone.
    fn count(&self, before: &Delivery, endpoint: Option<&Endpoint>, written: &Transition) {
        self.tally.add(|counts| {
            match CountsAs::of(written) {
                Some(CountsAs::Delivered) => counts.delivered += 1,
                Some(CountsAs::Failed) => counts.failed += 1,
                Some(CountsAs::Retried) => counts.retried += 1,
                None => {}
            }
            if let Some(endpoint) = endpoint {
                counts.by_endpoint.add(endpoint, written);
            }
        });
        if let (Some(reason), None) = (written.failure_reason, &written.attempt) {
            tracing::info!(?reason, "a delivery ended without an attempt");
        }
        let Some(attempt) = &written.attempt else { return };
        self.tally.add(|counts| {
            counts.attempt_duration.push(Duration::from_millis(attempt.duration_ms));
            if !before.was_attempted() {
                counts.first_attempt_latency.push(attempt.id.created_at().since(before.id.created_at()));
            }
        });
    }

    /// Sends the job that the row now names. When it is not certain to be in the queue, this one waits behind it.
    async fn send_on(
        &self,
        job: DeliveryJob,
        lane: Lane,
        at: Timestamp,
        stands_in_at: Timestamp,
        slot: Option<Slot>,
    ) -> Disposal {
        let others = self.shared.as_ref().map(|shared| &shared.retries);
        let delay = time_in_queue(at, slot, Timestamp::now());
        if retries::send(&self.app, lane, others, job, delay).await {
            return Disposal::Delete;
        }
        tracing::info!("the next job was perhaps not queued: this job waits and stands in for it");
        self.hide_until(stands_in_at, slot).await.by_our_fault()
    }

    async fn hide_until(&self, until: Timestamp, slot: Option<Slot>) -> Disposal {
        let others = self.shared.as_ref().map(|shared| &shared.retries);
        retries::hide(&self.message, self.lane, others, until, slot).await
    }

    pub(super) async fn overtaken(&self) -> Disposal {
        tracing::warn!("another job changed the delivery in the meantime");
        self.message.hide(OVERTAKEN_WAIT).await
    }
}
