//! Where a job goes whose attempt is not made now: hidden until its time, or sent on as a new job, to this lane or another.

use std::time::Duration;

use echo_shared::decision::{Lane, MOST_RECEIVES, stand_back};
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::job::{Chain, DeliveryJob};
use echo_shared::rate_limit::Slot;
use echo_shared::store::{Advanced, StoreError};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;

use crate::message::{Disposal, time_in_queue};
use crate::own_fault::OwnFault;
use crate::turn::retries;
use crate::turn::{OVERTAKEN_WAIT, Turn};

impl Turn {
    /// Waits for `until` in the queue.
    pub(crate) async fn wait(&self, delivery: &Delivery, until: Timestamp) -> Result<Disposal, OwnFault> {
        // Only the job whose turn comes may name the next one: a stand-in that did would take the turn away.
        let own_turn = !delivery.status.is_final() && self.job.chain == delivery.chain;
        if own_turn && self.hops() {
            return self.pass_on(delivery, self.lane, until, false).await;
        }
        Ok(self.hide_until(until, delivery.slot).await)
    }

    /// Waits for another look at an endpoint that hangs. The attempt is due, so a stand-in may take the turn.
    pub(crate) async fn wait_for_probe(
        &self,
        delivery: &Delivery,
        until: Timestamp,
        claim: bool,
    ) -> Result<Disposal, OwnFault> {
        if self.hops() {
            return self.pass_on(delivery, self.lane, until, claim).await;
        }
        Ok(self.hide_until(until, None).await)
    }

    /// Whether what waits does so as a new message, since too many are hidden here or this one was received too often.
    fn hops(&self) -> bool {
        self.is_crowded() || self.message.receives >= MOST_RECEIVES
    }

    pub(crate) async fn hide_until(&self, until: Timestamp, slot: Option<Slot>) -> Disposal {
        let others = self.shared.as_ref().map(|shared| &shared.retries);
        retries::hide(&self.message, self.lane, others, until, slot).await
    }

    /// Whether what waits must not do so hidden in the queue that it came through.
    fn is_crowded(&self) -> bool {
        self.app.crowding.is_crowded(self.lane)
    }

    /// The lane that what waits for its time leaves this one for, or `None` when it hides where it is.
    pub(crate) fn leaves_for(&self, is_slow: bool) -> Option<Lane> {
        let leaves = self.lane == Lane::FirstAttempts || self.is_crowded();
        leaves.then_some(Lane::for_retries(is_slow))
    }

    pub(crate) async fn overtaken(&self) -> Disposal {
        tracing::warn!("another job changed the delivery meanwhile");
        self.message.hide(OVERTAKEN_WAIT).await
    }

    /// Hands a turn that is due at `due` to a new job in `lane`. The row names the new job before it is sent, so that this
    /// one, should it live on, stands back. With `claim` another job may be about to act: the row must be as it was read.
    pub(crate) async fn pass_on(
        &self,
        delivery: &Delivery,
        lane: Lane,
        due: Timestamp,
        claim: bool,
    ) -> Result<Disposal, OwnFault> {
        let (chain, now) = (Chain::new(), Timestamp::now());
        let renamed = if claim {
            self.app.store.claim(delivery, Some(chain), now).await?
        } else {
            let renamed = Transition { chain: Some(chain), ..Transition::unchanged(delivery, now) };
            self.app.store.advance(delivery, &renamed).await?
        };
        match renamed {
            Advanced::Done => {
                let waits_since = self.job.waits_since.or(Some(delivery.due_at()));
                let job = DeliveryJob { waits_since, ..self.successor(chain) };
                Ok(self.send_job(job, lane, due, delivery.slot).await)
            }
            Advanced::Overtaken => Ok(self.overtaken().await),
        }
    }

    /// The job that comes after this one.
    fn successor(&self, chain: Chain) -> DeliveryJob {
        DeliveryJob { chain: Some(chain), manual_at: None, waits_since: None, ..self.job.clone() }
    }

    pub(crate) async fn send_on(
        &self,
        chain: Chain,
        lane: Lane,
        due: Timestamp,
        slot: Option<Slot>,
    ) -> Disposal {
        self.send_job(self.successor(chain), lane, due, slot).await
    }

    /// Sends the job that the row now names. When it is not certain to be in the queue, this one stays behind it.
    async fn send_job(&self, job: DeliveryJob, lane: Lane, due: Timestamp, slot: Option<Slot>) -> Disposal {
        let others = self.shared.as_ref().map(|shared| &shared.retries);
        if retries::send(&self.app, lane, others, job, time_in_queue(due, slot)).await {
            return Disposal::Delete;
        }
        tracing::info!("the job before one that was perhaps not queued stands in");
        self.hide_until(due.plus(self.stand_back()), None).await.by_our_fault()
    }

    /// Leaves an attempt for its slot, where retries wait. That is no attempt, and the caller sees nothing of it.
    pub(crate) async fn put_off(
        &self,
        delivery: &Delivery,
        endpoint: &Endpoint,
        slot: Slot,
    ) -> Result<Disposal, StoreError> {
        let now = Timestamp::now();
        let successor = self.leaves_for(endpoint.is_slow(now)).map(|lane| (lane, Chain::new()));
        let chain = successor.map(|(_, chain)| chain).or(self.job.chain);
        let put_off = Transition { chain, slot: Some(slot), ..Transition::unchanged(delivery, now) };
        Ok(match (self.app.store.advance(delivery, &put_off).await?, successor) {
            (Advanced::Overtaken, _) => self.overtaken().await,
            (Advanced::Done, Some((lane, chain))) => self.send_on(chain, lane, slot.at, Some(slot)).await,
            (Advanced::Done, None) => self.hide_until(slot.at, Some(slot)).await,
        })
    }

    fn stand_back(&self) -> Duration {
        stand_back(self.app.settings.request_timeout)
    }
}
