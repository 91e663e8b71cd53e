//! Carries decisions out, step by step as the delivery function does. A fault can happen between any two steps.

use std::time::Duration;

use echo_shared::attempt::{Attempt, Missing, Outcome, SendFailure};
use echo_shared::decision::{
    CROWDED_ABOVE, Decided, Lane, Next, OVERTAKEN_WAIT, Wake, WithoutEvent, Woken, Write, after_attempt,
    backoff, is_short, is_slept_through, on_wake, time_in_queue, without_event, without_probe,
};
use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::id::AttemptId;
use echo_shared::job::Chain;
use echo_shared::rate_limit::Need;
use echo_shared::slowness::SLOW_AFTER;
use echo_shared::time::Timestamp;

use crate::broken::Service;
use crate::chaos::Design;
use crate::metrics::{Function, Metric};
use crate::queue::Message;
use crate::row::{as_seen, before_its_rows};
use crate::waits::whole_seconds;
use crate::world::{Happening, Receiver, Work, World, index, millis, timestamp};

/// How a conditional write ended.
enum Written {
    Done,
    Overtaken,
    Failed,
}

impl World {
    pub(crate) fn wake(&mut self, id: u32) {
        if self.crashes(id) {
            return;
        }
        let work = *self.work.at(id);
        if self.spoils(id) {
            return;
        }
        if self.refuses(Service::DynamoDb) {
            return self.hide(id, millis(backoff(work.message.receives)));
        }
        let now = self.clock(&work);
        let row = self.rows[work.message.delivery as usize];
        if !row.exists(self.now) {
            return self.before_its_rows(id, row.accepted_at, now);
        }
        let wake = self.wake_of(&work, now);
        let (delivery, _) = as_seen(&mut self.scratch, &work);
        let wait = wake.waits_until().map(|until| until.since(now));
        if let Some(wait) = wait.filter(|wait| is_slept_through(delivery, *wait)) {
            return self.sleep(id, wait);
        }
        match wake {
            Wake::Attempt { .. } if self.lacks_keys() => {
                self.hide(id, millis(backoff(work.message.receives)))
            }
            Wake::Attempt { number, claim, need, .. } => self.attempt(id, number, claim, need, now),
            wake => {
                let decide =
                    |woken: Woken<'_>, delivery: &_, _: &_| woken.without_attempt(delivery, wake, now);
                if let Some(decided) = self.decide(&work, decide) {
                    self.carry_out(id, decided, now);
                }
            }
        }
    }

    /// Lets a job wait for its event's row.
    fn before_its_rows(&mut self, id: u32, accepted_at: i64, now: Timestamp) {
        let job = before_its_rows(&self.scratch.1, accepted_at);
        match without_event(&job, None, now, self.settings.api_timeout) {
            WithoutEvent::LookAgain { at } if self.settings.design != Design::NoLookAgain => {
                let wait = at.since(now);
                if is_short(wait) { self.sleep(id, wait) } else { self.hide(id, whole_seconds(millis(wait))) }
            }
            _ => self.delete(id),
        }
    }

    /// Chooses a job's act, after trying to take a probe if the job needs one.
    fn wake_of(&mut self, work: &Work, now: Timestamp) -> Wake {
        let timeout = self.settings.request_timeout;
        let endpoint = &self.endpoints[usize::from(work.message.endpoint)];
        let (delivery, job) = as_seen(&mut self.scratch, work);
        match on_wake(delivery, Some(endpoint), job, work.lane, now, timeout) {
            Wake::NotYet { .. } if self.settings.design == Design::NoDueCheck => Wake::Attempt {
                number: work.seen.attempts + 1,
                claim: false,
                need: Need::Nothing,
                probe: None,
            },
            Wake::Attempt { probe: Some(hanging), claim, .. } if !self.take_probe(work, hanging, now) => {
                let (delivery, job) = as_seen(&mut self.scratch, work);
                without_probe(delivery, job, hanging, claim, now)
            }
            wake => wake,
        }
    }

    /// Asks for a decision with the same values as the delivery function.
    fn decide<T>(&mut self, work: &Work, ask: impl FnOnce(Woken<'_>, &Delivery, &Endpoint) -> T) -> T {
        let next_chain = Chain::from_number(self.new_chain());
        let (lane, is_crowded) = match self.settings.design {
            Design::RetriesShareTheFirstQueue => (Lane::Retries, false),
            _ => (work.lane, self.is_crowded(work.lane)),
        };
        let endpoint = &self.endpoints[usize::from(work.message.endpoint)];
        let (delivery, job) = as_seen(&mut self.scratch, work);
        let receives = work.message.receives;
        let request_timeout = self.settings.request_timeout;
        let by_stream = false;
        let woken = Woken { job, lane, is_crowded, by_stream, receives, request_timeout, next_chain };
        ask(woken, delivery, endpoint)
    }

    /// Writes a decision, and then sends, hides or deletes the job as the decision says.
    fn carry_out(&mut self, id: u32, Decided { write, next }: Decided, now: Timestamp) {
        let slot = write.as_ref().map_or(self.work.at(id).seen.slot, |write| write.transition.slot);
        if let Some(write) = write {
            match self.write(id, &write) {
                Written::Done => {}
                Written::Overtaken => return self.hide(id, millis(OVERTAKEN_WAIT)),
                Written::Failed => return self.back_off_from_write(id),
            }
            if self.crashes(id) {
                return;
            }
        }
        let wait_until = |at: Timestamp| millis(time_in_queue(at, slot, now));
        match next {
            Next::Finish => self.delete(id),
            Next::HideUntil(at) => {
                let wander = self.wander();
                self.hide(id, whole_seconds(wait_until(at)) + wander);
            }
            Next::SendOn { job, lane, at, stands_in_at } => {
                let lane = match (self.settings.design, lane) {
                    (Design::OneLane, Lane::Slow) => Lane::Retries,
                    (_, lane) => lane,
                };
                let message = Message { chain: job.chain.map(Chain::number), ..self.work.at(id).message };
                if !self.send(lane, message, whole_seconds(wait_until(at))) {
                    return self.hide(id, whole_seconds(wait_until(stands_in_at)));
                }
                if !self.crashes(id) {
                    self.delete(id);
                }
            }
        }
    }

    /// Makes a due attempt. First it claims the attempt and takes a slot, if the attempt needs them.
    fn attempt(&mut self, id: u32, number: u32, claim: bool, need: Need, now: Timestamp) {
        if claim {
            let work = *self.work.at(id);
            let claimed = self.decide(&work, |woken, delivery, _| woken.claim(delivery, now));
            match self.write(id, &claimed) {
                Written::Done => {}
                Written::Overtaken => return self.hide(id, millis(OVERTAKEN_WAIT)),
                Written::Failed => return self.back_off_from_write(id),
            }
            let work = self.work.at(id);
            work.seen = self.rows[work.message.delivery as usize];
        }
        let mut work = *self.work.at(id);
        let number = match self.settings.design {
            Design::NumberFromReceiveCount => work.message.receives,
            _ => number,
        };
        let need = match (self.settings.design, need) {
            (Design::SlotsAreGoodForEver, Need::LateSlot) => Need::Nothing,
            (Design::NoLateSlots, Need::LateSlot) => Need::Slot,
            (_, need) => need,
        };
        if need == Need::Nothing {
            work.seen.attempts = number - 1;
            return self.request(id, &work);
        }
        let Some(slot) = self.take_slot(&work, need, now) else {
            return self.back_off_from_write(id);
        };
        if self.crashes(id) {
            return;
        }
        let wait = slot.at.since(now);
        if !is_short(wait) {
            let decided =
                self.decide(&work, |woken, delivery, endpoint| woken.put_off(delivery, endpoint, slot, now));
            return self.carry_out(id, decided, now);
        }
        self.work.at(id).asleep = true;
        self.at(self.now + millis(wait), Happening::SlotComes { work: id, number });
    }

    /// Hides the message after a failed write. `refuses` has already counted the failure.
    fn back_off_from_write(&mut self, id: u32) {
        let receives = self.work.at(id).message.receives;
        self.hide(id, millis(backoff(receives)));
    }

    /// Sends the request.
    pub(crate) fn request(&mut self, id: u32, work: &Work) {
        let skew = self.settings.chaos.skew_ms;
        let row = &mut self.rows[work.message.delivery as usize];
        if work.seen.next_retry_at.is_some_and(|due| self.now + skew < due) {
            self.violations.push(format!("delivery {} was sent early", work.message.delivery));
        }
        if let Some(due) = row.next_retry_at {
            row.late_ms = row.late_ms.max(self.now - due);
        }
        row.sends += 1;
        if self.endpoints[usize::from(work.message.endpoint)].state.rate_limit.is_some() {
            self.limited.push(self.now);
        }
        row.first_sent_at.get_or_insert(self.now);
        self.work.at(id).sent = true;
        self.work.at(id).sent_at = self.now;
        self.work.at(id).sent_while_slow =
            self.endpoints[usize::from(work.message.endpoint)].is_slow(timestamp(self.now));
        self.work.at(id).seen.attempts = work.seen.attempts;
        let timeout = millis(self.settings.request_timeout);
        let (ms, ok) = match self.receivers[usize::from(work.message.endpoint)] {
            Receiver::Healthy { ms } => (ms, true),
            Receiver::Failing { ms } => (ms, false),
            Receiver::Hanging => (timeout, false),
            Receiver::Flaky { once_in, ms } => (ms, !self.random.once_in(once_in)),
            Receiver::Lossy { once_in, .. } if self.random.once_in(once_in) => (timeout, false),
            Receiver::HangsUntil { at, .. } if self.now < at => (timeout, false),
            Receiver::Lossy { ms, .. } | Receiver::HangsUntil { ms, .. } => (ms, true),
        };
        if ms > millis(SLOW_AFTER) {
            let endpoint = work.message.endpoint;
            self.at(self.now + millis(SLOW_AFTER), Happening::StillNoAnswer { endpoint });
        }
        self.at(self.now + ms, Happening::Answered { work: id, ok });
    }

    pub(crate) fn answered(&mut self, id: u32, ok: bool) {
        let work = *self.work.at(id);
        if !self.invocations.at(work.invocation).alive {
            return self.close(id);
        }
        let took = self.now - work.sent_at;
        if took >= millis(self.settings.request_timeout) {
            self.mark_slow(work.message.endpoint);
            if work.sent_while_slow {
                self.mark_hanging(work.message.endpoint, work.sent_at);
            }
        } else {
            self.note_answer(work.message.endpoint);
        }
        if self.crashes(id) {
            return;
        }
        let now = self.clock(&work);
        let outcome = if ok {
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
        let jitter = self.random.share();
        let schedule = self.settings.schedule.clone();
        let took = Duration::from_millis(took.unsigned_abs());
        let decided = self.decide(&work, |woken, delivery, endpoint| {
            let (number, trigger) = (delivery.attempt_count + 1, delivery.triggered_by);
            let step = after_attempt(number, trigger, &outcome, &schedule, now, jitter);
            let attempt = Attempt::new(AttemptId::new(now), trigger, &endpoint.url, &outcome, took);
            woken.conclude(delivery, endpoint, attempt, step, now)
        });
        self.carry_out(id, decided, now);
    }

    fn is_crowded(&self, lane: Lane) -> bool {
        lane != Lane::FirstAttempts && self.queues[index(lane)].hidden() > CROWDED_ABOVE
    }

    pub(crate) fn hide(&mut self, id: u32, wait_ms: i64) {
        let work = *self.work.at(id);
        // If hiding the message fails, the message comes back after the queue's own visibility timeout.
        let wait = if self.refuses(Service::Sqs) {
            work.received_at + self.settings.visibility_ms - self.now
        } else {
            wait_ms.max(0)
        };
        self.later(work.lane, work.message, wait, true);
        self.close(id);
    }

    fn delete(&mut self, id: u32) {
        let work = *self.work.at(id);
        if self.keeps_untold(id) {
            return;
        }
        self.ages[index(work.lane)].deleted(work.message.sent_at, work.message.receives);
        self.queues[index(work.lane)].release(work.message.endpoint);
        self.close(id);
    }

    /// Makes a conditional write as [`echo_shared::store`] does: the row must have the state that was read, and for a
    /// claim the row must not have changed at all.
    fn write(&mut self, id: u32, write: &Write) -> Written {
        let written = self.write_row(id, write);
        if write.transition.attempt.is_some() {
            let delivery = self.work.at(id).message.delivery;
            match written {
                Written::Done => self.work.at(id).sent = false,
                Written::Failed => self.rows[delivery as usize].unrecorded += 1,
                Written::Overtaken => {
                    self.rows[delivery as usize].unrecorded += 1;
                    self.doubled += 1;
                }
            }
        }
        written
    }

    fn write_row(&mut self, id: u32, Write { transition, claim }: &Write) -> Written {
        if self.refuses(Service::DynamoDb) {
            return Written::Failed;
        }
        let work = *self.work.at(id);
        let row = &mut self.rows[work.message.delivery as usize];
        if *claim && row.updated_at != work.seen.updated_at {
            return Written::Overtaken;
        }
        if self.settings.design != Design::NumberFromReceiveCount
            && (row.status != work.seen.status || row.attempts != work.seen.attempts)
        {
            return Written::Overtaken;
        }
        let (delivery, _) = as_seen(&mut self.scratch, &work);
        transition.apply(delivery);
        let new = row.written(delivery);
        if new.attempts > row.attempts && new.attempts != row.attempts + 1 {
            self.violations.push(format!(
                "delivery {}: attempt {} follows {}",
                work.message.delivery, new.attempts, row.attempts
            ));
        }
        if row.status.is_final() {
            self.violations.push(format!("delivery {} changed after it had ended", work.message.delivery));
        }
        *row = new;
        Written::Done
    }

    /// Sometimes ends the whole invocation by a crash. Its messages come back when their visibility timeout is over.
    fn crashes(&mut self, id: u32) -> bool {
        let crashes = self.random.once_in(self.settings.chaos.crash);
        if crashes {
            self.kill(id);
        }
        crashes
    }

    pub(crate) fn kill(&mut self, id: u32) {
        self.metrics.count(self.now, Metric::Errors(Function::Delivery));
        let invocation = self.work.at(id).invocation;
        self.invocations.at(invocation).alive = false;
        let lost: Vec<(u32, Work)> = self
            .work
            .iter()
            .filter(|(_, work)| work.invocation == invocation && !work.settled)
            .map(|(slot, work)| (slot, *work))
            .collect();
        for (slot, work) in lost {
            if work.sent {
                self.rows[work.message.delivery as usize].unrecorded += 1;
            }
            let wait = work.received_at + self.settings.visibility_ms - self.now;
            self.later(work.lane, work.message, wait, true);
            // The record of a request under way closes when its answer would have come.
            if slot == id || !(work.sent || work.asleep) {
                self.close(slot);
            }
        }
    }

    fn clock(&mut self, work: &Work) -> Timestamp {
        timestamp(self.now + self.invocations.at(work.invocation).skew_ms)
    }
}
