//! The calls of producers, and of people who erase a payload.

use echo_shared::decision::Lane;
use echo_shared::delivery::Delivery;
use echo_shared::id::DeliveryId;
use echo_shared::stream::job_after_erasure;
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;

use super::calls::Job;
use super::{Design, Fate, Fault, State, entry, number_of, tag};

impl Job {
    /// Posts an event until it is accepted, and perhaps once more.
    pub(super) async fn post(self, n: u64, stream: usize) {
        let now = self.now();
        self.world.borrow_mut().fates.insert(n, Fate { stream, posted_at: now, ..Fate::default() });
        let again = self.world.borrow().faults.repeated;
        loop {
            if self.accept(n, stream).await.is_ok() {
                let now = self.now();
                let mut world = self.world.borrow_mut();
                if let Some(fate) = world.fates.get_mut(&n) {
                    fate.answered_at.get_or_insert(now);
                }
                if !world.random.once_in(again) {
                    return;
                }
            }
            self.sleep(300).await;
        }
    }

    async fn accept(&self, n: u64, stream: usize) -> Result<(), Fault> {
        let of = entry(n);
        let (id, clock) = (of.delivery_id, self.clock());
        let is_untried = self
            .call(|world| {
                let (event_id, updated_at) = (of.event_id, Timestamp::from_millis(clock));
                let new = Delivery { id, event_id, updated_at, ..world.untried.clone() };
                world.rows.entry(id).or_insert(new).is_untried()
            })
            .await?;
        if !is_untried {
            return Ok(());
        }
        let job = self.world.borrow().stream_job(stream, None);
        if self.design() == Design::JobBeforePlace {
            self.call(|world| world.send(Lane::FirstAttempts, job, 0)).await?;
            self.sleep(500).await;
            return self.call(|world| world.append(stream, of)).await;
        }
        self.call(|world| world.append(stream, of)).await?;
        self.call(|world| world.send(Lane::FirstAttempts, job, 0)).await
    }

    /// Erases a delivery's payload, as `DELETE …/payload` does, until the call is answered.
    pub(super) async fn erase(self, id: DeliveryId) {
        while self.erase_once(id).await.is_err() {
            self.sleep(300).await;
        }
    }

    async fn erase_once(&self, id: DeliveryId) -> Result<(), Fault> {
        self.call(|world| world.erased.insert(id)).await?;
        let row = loop {
            let row = self.call(|world| world.rows.get(&id).cloned()).await?.ok_or(Fault)?;
            if row.erased {
                break row;
            }
            let erased = Transition::erased(&row, Timestamp::from_millis(self.clock()));
            self.call(|world| world.write(&row, &erased)).await?;
        };
        let stream = self.world.borrow().fates.get(&number_of(id)).map_or(0, |fate| fate.stream);
        let Some(job) = job_after_erasure(&row, tag(stream)) else { return Ok(()) };
        let now = self.now();
        self.world.borrow_mut().fates.entry(number_of(id)).or_default().held_up_until.get_or_insert(now);
        if self.design() == Design::ErasureWakesNobody {
            return Ok(());
        }
        self.call(|world| world.send(Lane::FirstAttempts, echo_shared::job::Job::Stream(job), 0)).await
    }
}

impl State {
    /// One of the newest deliveries that have been accepted and have not ended.
    pub(super) fn choose_to_erase(&mut self) -> Option<DeliveryId> {
        let waiting: Vec<u64> = self
            .fates
            .iter()
            .filter(|(_, fate)| fate.answered_at.is_some() && fate.ended_at.is_none())
            .map(|(n, _)| *n)
            .collect();
        let chosen = self.random.below(waiting.len().max(1) as u64);
        waiting.get(usize::try_from(chosen).unwrap_or(0)).map(|n| entry(*n).delivery_id)
    }
}
