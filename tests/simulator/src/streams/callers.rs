//! The calls of producers, and of people who erase a payload.

use echo_shared::decision::Lane;
use echo_shared::delivery::Delivery;
use echo_shared::id::DeliveryId;
use echo_shared::stream::{Entry, FULL, job_after_erasure, without_place};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;

use super::calls::Job;
use super::{Design, Fate, Fault, State, entry, number_of, tag};

impl Job {
    /// Posts a batch of events until all are accepted, and perhaps once more.
    pub(super) async fn post(self, batch: Vec<u64>, stream: usize) {
        let posted_at = self.now();
        for n in &batch {
            self.world.borrow_mut().fates.insert(*n, Fate { stream, posted_at, ..Fate::default() });
        }
        let again = self.world.borrow().faults.repeated;
        loop {
            let accepted = self.accept(&batch, stream).await.unwrap_or_default();
            {
                let now = self.now();
                let mut world = self.world.borrow_mut();
                for n in accepted {
                    world.fates.entry(n).or_default().answered_at.get_or_insert(now);
                }
                let is_accepted = |n| world.fates.get(n).is_some_and(|fate| fate.answered_at.is_some());
                let all_are = batch.iter().all(is_accepted);
                if all_are && !world.random.once_in(again) {
                    return;
                }
            }
            self.sleep(300).await;
        }
    }

    /// Accepts the events whose rows can be written, and gives them.
    async fn accept(&self, batch: &[u64], stream: usize) -> Result<Vec<u64>, Fault> {
        let (mut durable, mut untried) = (Vec::new(), Vec::new());
        for n in batch {
            let of = entry(*n);
            let (id, clock) = (of.delivery_id, self.clock());
            let written = self.call(|world| {
                let (event_id, updated_at) = (of.event_id, Timestamp::from_millis(clock));
                let new = Delivery { id, event_id, updated_at, ..world.untried.clone() };
                world.rows.entry(id).or_insert(new).is_untried()
            });
            // The others of the batch are accepted without an event whose row cannot be written.
            let Ok(is_untried) = written.await else { continue };
            durable.push(*n);
            if is_untried {
                untried.push(of);
            }
        }
        if untried.is_empty() {
            return Ok(durable);
        }
        let job = self.world.borrow().stream_job(stream, None);
        if self.design() == Design::JobBeforePlace {
            self.call(|world| world.send(Lane::FirstAttempts, job, 0)).await?;
            self.sleep(500).await;
            self.append(stream, untried).await?;
        } else {
            self.append(stream, untried).await?;
            self.call(|world| world.send(Lane::FirstAttempts, job, 0)).await?;
        }
        Ok(durable)
    }

    async fn append(&self, stream: usize, new: Vec<Entry>) -> Result<(), Fault> {
        let (mut chunk, mut left) = (self.world.borrow().tail(stream), new);
        while !left.is_empty() {
            let Some(there) = self.call(|world| world.append(stream, chunk, &left)).await? else { break };
            chunk += u64::from(there.len() >= FULL);
            left = match left.last() {
                Some(last) if self.design() == Design::LastProvesAll && there.contains(last) => Vec::new(),
                _ => without_place(left, &there),
            };
        }
        Ok(())
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
