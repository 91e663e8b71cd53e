//! Turns on a delivery: `functions/delivery/src/turn/`, as far as an ordered delivery needs it.

use std::time::Duration;

use echo_shared::attempt::{Attempt, Missing, Outcome, SendFailure, Trigger};
use echo_shared::decision::{
    Decided, Lane, Next, OVERTAKEN_WAIT, Wake, Woken, Write, after_attempt, is_short, on_wake,
    without_payload,
};
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::id::{AttemptId, DeliveryId};
use echo_shared::job::{Chain, DeliveryJob, Job as Body};
use echo_shared::rate_limit::{Need, Slot, Slots};
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;

use super::calls::Job;
use super::{Design, Fate, Fault, INVOCATION_MS, Message, REQUEST_TIMEOUT, State, number_of};

/// How a turn on one delivery ended.
pub(super) enum TurnEnd {
    Ended,
    GoesOn(Disposal),
}

/// What becomes of a message.
pub(super) enum Disposal {
    Delete,
    Keep,
}

/// A message in a job's hands.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) lane: Lane,
    pub(super) receives: u32,
    pub(super) by_stream: bool,
}

pub(super) fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

impl Job {
    pub(super) async fn take_message(self, id: u64, message: Message) {
        let by_stream = matches!(message.body, Body::Stream(_));
        let held = Held { id, lane: message.lane, receives: message.receives, by_stream };
        let done = match message.body {
            Body::Stream(job) => self.run(held, job).await,
            Body::Delivery(job) => self.own_turn(held, job).await,
            _ => Ok(Disposal::Delete),
        };
        match done {
            Ok(Disposal::Delete) => {
                if self.may_die().await.is_ok() {
                    self.world.borrow_mut().messages.remove(&id);
                }
            }
            Ok(Disposal::Keep) => {}
            Err(Fault) => self.world.borrow_mut().hide(id, 5_000),
        }
    }

    /// The turn of a delivery's own job: a retry, or a first attempt that was handed on.
    async fn own_turn(&self, held: Held, job: DeliveryJob) -> Result<Disposal, Fault> {
        let row = self.call(|world| world.rows.get(&job.delivery_id).cloned()).await?.ok_or(Fault)?;
        let end = match job.stream {
            Some(_) => self.act(held, &job, row, None).await?,
            None => TurnEnd::Ended,
        };
        match (end, job.wakes()) {
            (TurnEnd::GoesOn(disposal), _) => Ok(disposal),
            (TurnEnd::Ended, Some(wakes)) => {
                let lane = if held.lane == Lane::Slow { Lane::Slow } else { Lane::FirstAttempts };
                self.call(|world| world.send(lane, Body::Stream(wakes), 0)).await?;
                Ok(Disposal::Delete)
            }
            (TurnEnd::Ended, None) => Ok(Disposal::Delete),
        }
    }

    /// One turn on a delivery. `number` is set by a runner that has taken the delivery, and holds none where the
    /// delivery is about to end without an attempt.
    pub(super) async fn act(
        &self,
        held: Held,
        job: &DeliveryJob,
        row: Delivery,
        number: Option<Option<u64>>,
    ) -> Result<TurnEnd, Fault> {
        let (endpoint, is_erased) = {
            let world = self.world.borrow();
            (world.endpoint(), world.erased.contains(&job.delivery_id))
        };
        let mut delivery = row;
        delivery.sequence = delivery.sequence.or(number.flatten());
        let now = Timestamp::from_millis(self.clock());
        let wake = if is_erased && !delivery.status.is_final() {
            without_payload()
        } else {
            let wake = on_wake(&delivery, Some(&endpoint), job, held.lane, now, REQUEST_TIMEOUT);
            if number.is_some() { wake.claimed() } else { wake }
        };
        let next_chain = Chain::from_number(u32::try_from(self.random_below(1 << 32)).unwrap_or(0));
        let woken = Woken {
            job,
            lane: held.lane,
            is_crowded: false,
            by_stream: held.by_stream && self.design() != Design::WaitsInTheStreamsMessage,
            receives: held.receives,
            request_timeout: REQUEST_TIMEOUT,
            next_chain,
        };
        if let Some(decided) = woken.without_attempt(&delivery, wake, now) {
            return self.carry_out(held, delivery, decided, now).await;
        }
        let Wake::Attempt { number, claim, need, .. } = wake else { return Err(Fault) };
        if claim {
            let claimed = woken.claim(&delivery, now);
            if !self.write(&delivery, &claimed).await? {
                return self.overtaken(held).await;
            }
            claimed.transition.apply(&mut delivery);
        }
        if need != Need::Nothing
            && let Some(slot) = self.call(|world| world.take_slot(now)).await?
        {
            let now = Timestamp::from_millis(self.clock());
            let wait = slot.at.since(now);
            if !is_short(wait) {
                let at = slot.at.as_millis();
                self.world.borrow_mut().fate(delivery.id).slot_at.get_or_insert(at);
                let decided = woken.put_off(&delivery, &endpoint, slot, now);
                return self.carry_out(held, delivery, decided, now).await;
            }
            self.sleep(millis(wait)).await;
        }
        let (outcome, took) = self.request(&delivery).await;
        let now = Timestamp::from_millis(self.clock());
        let schedule = self.world.borrow().schedule.clone();
        let step = after_attempt(number, Trigger::Auto, &outcome, &schedule, now, 0.0);
        let attempt = Attempt::new(AttemptId::new(now), Trigger::Auto, &endpoint.url, &outcome, took);
        let decided = woken.conclude(&delivery, &endpoint, attempt, step, now);
        self.carry_out(held, delivery, decided, now).await
    }

    async fn request(&self, delivery: &Delivery) -> (Outcome, Duration) {
        let (takes, is_success) = {
            let mut world = self.world.borrow_mut();
            let now = world.now;
            let fate = world.fate(delivery.id);
            fate.requests += 1;
            fate.first_request_at.get_or_insert(now);
            if fate.number.is_some_and(|number| Some(number) != delivery.sequence) {
                fate.numbers_differ = true;
            }
            fate.number = delivery.sequence;
            let takes = if world.random.once_in(40) { 15_000 } else { 5 + world.random.below(30) };
            let refuses = if world.faults.refuses_first {
                delivery.attempt_count == 0
            } else {
                world.random.once_in(8)
            };
            (takes, !refuses)
        };
        self.sleep(takes.cast_signed()).await;
        let outcome = if is_success {
            Outcome::Answered {
                status: 200,
                body: String::new(),
                truncated: false,
                location: None,
                retry_after: None,
                broken_off: None,
            }
        } else {
            Outcome::Failed { cause: SendFailure::TimedOut { missing: Missing::Answer, seconds: 15 } }
        };
        (outcome, Duration::from_millis(takes))
    }

    /// Writes a decision, and then sends, hides or deletes the message as the decision says.
    async fn carry_out(
        &self,
        held: Held,
        mut delivery: Delivery,
        Decided { write, next }: Decided,
        now: Timestamp,
    ) -> Result<TurnEnd, Fault> {
        if let Some(write) = write {
            if !self.write(&delivery, &write).await? {
                return self.overtaken(held).await;
            }
            write.transition.apply(&mut delivery);
        }
        let wait = |at: Timestamp| at.as_millis() - now.as_millis();
        match next {
            Next::Finish => {
                if delivery.uncounted {
                    self.call(|world| world.tell(&delivery)).await?;
                }
                Ok(TurnEnd::Ended)
            }
            Next::HideUntil(at) => self.hide(held, wait(at)).await,
            Next::SendOn { job, lane, at, stands_in_at } => {
                let sent = self.call(|world| world.send(lane, Body::Delivery(job), wait(at))).await;
                match (sent, self.design()) {
                    (Ok(()), Design::RetriesWaitAside) if delivery.attempt_count > 0 => Ok(TurnEnd::Ended),
                    (Ok(()), _) => Ok(TurnEnd::GoesOn(Disposal::Delete)),
                    (Err(Fault), _) => self.hide(held, wait(stands_in_at)).await,
                }
            }
        }
    }

    /// A conditional write of a delivery's row, repeated while there is time if it is the record of an attempt.
    async fn write(&self, before: &Delivery, Write { transition, claim }: &Write) -> Result<bool, Fault> {
        let write = |world: &mut State| {
            let is_as_read = !*claim || world.rows.get(&before.id) == Some(before);
            is_as_read && world.write(before, transition)
        };
        let mut written = self.call(write).await;
        while written.is_err()
            && transition.attempt.is_some()
            && self.now() < self.began + INVOCATION_MS - 2_000
        {
            self.sleep(200).await;
            written = self.call(write).await;
        }
        written
    }

    async fn overtaken(&self, held: Held) -> Result<TurnEnd, Fault> {
        self.hide(held, millis(OVERTAKEN_WAIT)).await
    }

    async fn hide(&self, held: Held, ms: i64) -> Result<TurnEnd, Fault> {
        self.call(|world| world.hide(held.id, ms)).await?;
        Ok(TurnEnd::GoesOn(Disposal::Keep))
    }

    fn random_below(&self, bound: u64) -> u64 {
        self.world.borrow_mut().random.below(bound)
    }
}

impl State {
    /// Writes a transition as the store does: on the status and the number of attempts that were read, and never after an
    /// erasure. A repeat of a write whose answer was lost counts as done.
    pub(super) fn write(&mut self, before: &Delivery, transition: &Transition) -> bool {
        let now = self.now;
        let Some(there) = self.rows.get_mut(&before.id) else { return false };
        let mut after = before.clone();
        transition.apply(&mut after);
        if *there == after {
            return true;
        }
        if there.erased || there.status != before.status || there.attempt_count != before.attempt_count {
            return false;
        }
        *there = after;
        let (attempts, is_final) = (there.attempt_count, there.status.is_final());
        let fate = self.fate(before.id);
        fate.attempts = attempts;
        if is_final {
            fate.ended_at.get_or_insert(now);
        }
        true
    }

    fn fate(&mut self, id: DeliveryId) -> &mut Fate {
        self.fates.entry(number_of(id)).or_default()
    }

    /// The next free slot of the endpoint's rate limit.
    fn take_slot(&mut self, now: Timestamp) -> Option<Slot> {
        let state = &mut self.endpoint.state;
        let (limit, now) = (state.rate_limit?, now.as_millis() * 1_000);
        let from_micros = state.slots_taken_until.map_or(now, |until| until.max(now));
        state.slots_taken_until = Some(from_micros + limit.length_micros(1));
        Some(Slots { limit, from_micros }.nth(0))
    }

    /// The endpoint has heard how a delivery ended.
    fn tell(&mut self, delivery: &Delivery) {
        if let Some(there) = self.rows.get_mut(&delivery.id) {
            there.uncounted = false;
        }
    }
}

/// What a stream's job reads of its endpoint.
pub(super) fn is_slow(endpoint: &Endpoint, clock: i64) -> bool {
    endpoint.is_slow(Timestamp::from_millis(clock))
}
