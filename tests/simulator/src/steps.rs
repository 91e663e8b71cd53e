//! Carrying out decisions, step by step as the delivery function does, with a fault possible between any two.

use std::time::Duration;

use echo_shared::attempt::{Missing, Outcome, SendFailure, Trigger};
use echo_shared::decision::{Lane, MOST_RECEIVES, Step, Wake, after_attempt, on_wake, without_probe};
use echo_shared::delivery::DeliveryStatus;
use echo_shared::rate_limit::{LATE_SLOTS_WITHIN, Need, Slot, Slots};
use echo_shared::slowness::SLOW_AFTER;
use echo_shared::time::Timestamp;

use crate::broken::Service;
use crate::chaos::Design;
use crate::metrics::{Function, Metric};
use crate::queue::Message;
use crate::world::{Happening, Receiver, Row, Work, World, index, timestamp};

/// As in the delivery function: past so many hidden messages a wait hops instead.
const HOP_ABOVE: u64 = 60_000;
const OWN_FAULT_BACKOFF_MS: i64 = 5_000;
/// A slot this soon is slept for.
const SHORT_WAIT_MS: i64 = 1_000;

/// What became of a conditional write.
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
        let mut work = *self.work.at(id);
        if self.spoils(id) {
            return;
        }
        if self.refuses(Service::DynamoDb) {
            return self.hide(id, OWN_FAULT_BACKOFF_MS << work.message.receives.min(7));
        }
        let now = self.clock(&work);
        let timeout = self.settings.request_timeout;
        let (lane, endpoint) = (work.lane, self.endpoints[usize::from(work.message.endpoint)].clone());
        let (delivery, job) = self.as_seen(&work);
        let mut wake = on_wake(delivery, Some(&endpoint), job, lane, now, timeout);
        if self.settings.design == Design::NoDueCheck && matches!(wake, Wake::NotYet { .. }) {
            wake = Wake::Attempt {
                number: work.seen.attempts + 1,
                claim: false,
                need: Need::Nothing,
                probe: None,
            };
        }
        match wake {
            Wake::Finished | Wake::CountFailure => self.delete(id),
            Wake::NotYet { until } => {
                let wait = until.as_millis() - now.as_millis();
                self.wait(id, wait);
            }
            Wake::End { .. } => {
                let row = Row { status: DeliveryStatus::Failed, next_retry_at: None, ..work.seen };
                match self.write(&work, row) {
                    Written::Done | Written::Overtaken => self.delete(id),
                    Written::Failed => self.hide(id, OWN_FAULT_BACKOFF_MS),
                }
            }
            Wake::MoveToSlowLane { claim } => self.pass_on(id, Lane::Slow, 0, claim),
            Wake::WaitForProbe { until, claim } => {
                self.wait_for_probe(id, until.as_millis() - now.as_millis(), claim);
            }
            Wake::Attempt { number, claim, need, probe } => {
                if let Some(hanging) = probe
                    && !self.take_probe(&work, hanging, now)
                {
                    let (delivery, job) = self.as_seen(&work);
                    let Wake::WaitForProbe { until, claim } =
                        without_probe(delivery, job, hanging, claim, now)
                    else {
                        return;
                    };
                    return self.wait_for_probe(id, until.as_millis() - now.as_millis(), claim);
                }
                if claim {
                    match self.claim(&work) {
                        Written::Done => work.seen = self.rows[work.message.delivery as usize],
                        Written::Overtaken | Written::Failed => return self.hide(id, OWN_FAULT_BACKOFF_MS),
                    }
                    self.work.at(id).seen = work.seen;
                }
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
                    return self.hide(id, OWN_FAULT_BACKOFF_MS);
                };
                if self.crashes(id) {
                    return;
                }
                let wait = slot.at.as_millis() - now.as_millis();
                if wait > SHORT_WAIT_MS {
                    return self.put_off(id, slot, wait);
                }
                self.work.at(id).asleep = true;
                self.at(self.now + wait.max(0), Happening::SlotComes { work: id, number });
            }
        }
    }

    /// A slot of the endpoint's rate limit; `None` when that write failed. When its answer is lost it is made again.
    fn take_slot(&mut self, work: &Work, need: Need, now: Timestamp) -> Option<Slot> {
        if self.refuses(Service::DynamoDb) {
            return None;
        }
        let writes = if self.random.once_in(self.settings.chaos.answer_lost) { 2 } else { 1 };
        let endpoint = &mut self.endpoints[usize::from(work.message.endpoint)];
        let limit = endpoint.rate_limit?;
        let now_micros = now.as_millis() * 1_000;
        let next = |taken_until: Option<i64>| taken_until.map_or(now_micros, |until| until.max(now_micros));
        let last_late = now.plus(LATE_SLOTS_WITHIN).as_millis() * 1_000;
        let mut slot = None;
        for _ in 0..writes {
            let late = next(endpoint.late_slots_taken_until);
            let from_micros = if need == Need::LateSlot && late <= last_late {
                endpoint.late_slots_taken_until = Some(late + limit.length_micros(1));
                late
            } else {
                let usual = next(endpoint.slots_taken_until);
                endpoint.slots_taken_until = Some(usual + limit.length_micros(1));
                usual
            };
            slot = Some(Slots { limit, from_micros }.nth(0));
        }
        slot
    }

    /// Leaves an attempt for its slot, in the slow lane.
    fn put_off(&mut self, id: u32, slot: Slot, wait: i64) {
        let work = *self.work.at(id);
        let leaves_for = self.leaves_for(&work);
        let chain = if leaves_for.is_some() { Some(self.new_chain()) } else { work.message.chain };
        match self.write(&work, Row { slot: Some(slot), chain, ..work.seen }) {
            Written::Overtaken | Written::Failed => self.hide(id, OWN_FAULT_BACKOFF_MS),
            Written::Done => match leaves_for {
                Some(lane) => {
                    let job = Message { chain, ..work.message };
                    self.hand_over(id, lane, job, wait, wait + stand_back_ms(self));
                }
                None => self.hide(id, wait),
            },
        }
    }

    pub(crate) fn slot_comes(&mut self, id: u32, number: u32) {
        let mut work = *self.work.at(id);
        if !self.invocations.at(work.invocation).alive {
            return self.close(id);
        }
        self.work.at(id).asleep = false;
        work.seen.attempts = number - 1;
        self.request(id, &work);
    }

    /// The request goes out.
    fn request(&mut self, id: u32, work: &Work) {
        let skew = self.settings.chaos.skew_ms;
        let row = &mut self.rows[work.message.delivery as usize];
        if work.seen.next_retry_at.is_some_and(|due| self.now + skew < due) {
            self.violations.push(format!("delivery {} was sent early", work.message.delivery));
        }
        if let Some(due) = row.next_retry_at {
            row.late_ms = row.late_ms.max(self.now - due);
        }
        row.sends += 1;
        if self.endpoints[usize::from(work.message.endpoint)].rate_limit.is_some() {
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
            Outcome::Answered { status: 200, body: String::new(), retry_after: None, broken_off: None }
        } else {
            Outcome::Failed { cause: SendFailure::TimedOut { missing: Missing::Answer, seconds: 15 } }
        };
        let number = work.seen.attempts + 1;
        let jitter = self.random.share();
        let step = after_attempt(number, Trigger::Auto, &outcome, &self.settings.schedule, now, jitter);
        let own_turn = work.message.chain == work.seen.chain;
        let shared_queue = self.settings.design == Design::RetriesShareTheFirstQueue;
        let leaves_for = if shared_queue { None } else { self.leaves_for(&work) };
        let in_place = leaves_for.is_none();
        let row = Row { attempts: number, next_retry_at: None, slot: None, ..work.seen };
        let row = match step {
            Step::Succeeded => Row { status: DeliveryStatus::Success, ..row },
            Step::Failed(_) => Row { status: DeliveryStatus::Failed, ..row },
            Step::RetryAt(at) => Row {
                status: DeliveryStatus::Retrying,
                next_retry_at: Some(since_start(at)),
                chain: match (in_place, own_turn) {
                    (true, true) => work.seen.chain,
                    (true, false) => work.message.chain,
                    (false, _) => Some(self.new_chain()),
                },
                ..row
            },
        };
        match self.write(&work, row) {
            Written::Done => {}
            Written::Overtaken => {
                self.rows[work.message.delivery as usize].unrecorded += 1;
                self.doubled += 1;
                return self.hide(id, OWN_FAULT_BACKOFF_MS);
            }
            Written::Failed => {
                self.rows[work.message.delivery as usize].unrecorded += 1;
                return self.hide(id, OWN_FAULT_BACKOFF_MS);
            }
        }
        self.work.at(id).sent = false;
        if self.crashes(id) {
            return;
        }
        let Step::RetryAt(at) = step else { return self.delete(id) };
        let wait = at.as_millis() - now.as_millis();
        match leaves_for {
            Some(lane) => {
                let job = Message { chain: row.chain, ..work.message };
                self.hand_over(id, lane, job, wait, wait + stand_back_ms(self));
            }
            None => {
                let wander = self.wander();
                self.hide(id, wait + wander);
            }
        }
    }

    /// Waits hidden, or past the limit in hops that do not count as in flight.
    fn wait(&mut self, id: u32, wait_ms: i64) {
        let work = *self.work.at(id);
        let own_turn = work.message.chain == work.seen.chain;
        if own_turn && self.hops(&work) {
            return self.pass_on(id, work.lane, wait_ms, false);
        }
        let wander = self.wander();
        self.hide(id, wait_ms + wander);
    }

    fn wait_for_probe(&mut self, id: u32, wait_ms: i64, claim: bool) {
        let work = *self.work.at(id);
        if self.hops(&work) {
            return self.pass_on(id, work.lane, wait_ms, claim);
        }
        let wander = self.wander();
        self.hide(id, wait_ms + wander);
    }

    fn hops(&self, work: &Work) -> bool {
        self.is_crowded(work.lane) || work.message.receives >= MOST_RECEIVES
    }

    fn pass_on(&mut self, id: u32, lane: Lane, wait_ms: i64, claim: bool) {
        let work = *self.work.at(id);
        let chain = Some(self.new_chain());
        let unchanged = self.rows[work.message.delivery as usize].updated_at == work.seen.updated_at;
        let written = if claim && !unchanged {
            Written::Overtaken
        } else {
            self.write(&work, Row { chain, ..work.seen })
        };
        match written {
            Written::Done => {
                let job = Message { chain, ..work.message };
                self.hand_over(id, lane, job, wait_ms, wait_ms + stand_back_ms(self));
            }
            Written::Overtaken | Written::Failed => self.hide(id, OWN_FAULT_BACKOFF_MS),
        }
    }

    fn is_crowded(&self, lane: Lane) -> bool {
        lane != Lane::FirstAttempts && self.queues[index(lane)].hidden() > HOP_ABOVE
    }

    /// The lane that what waits for its time leaves this one for, or `None` when it hides where it is.
    fn leaves_for(&self, work: &Work) -> Option<Lane> {
        let leaves = work.lane == Lane::FirstAttempts || self.is_crowded(work.lane);
        let endpoint = &self.endpoints[usize::from(work.message.endpoint)];
        leaves.then_some(Lane::for_retries(endpoint.is_slow(timestamp(self.now))))
    }

    /// Sends `job` on to a lane in place of the current message, which stays, hidden for `fallback_ms`, when
    /// the send is not certain.
    fn hand_over(&mut self, id: u32, lane: Lane, job: Message, delay_ms: i64, fallback_ms: i64) {
        if self.crashes(id) {
            return;
        }
        if !self.send(lane, job, delay_ms) {
            return self.hide(id, fallback_ms);
        }
        if self.crashes(id) {
            return;
        }
        self.delete(id);
    }

    pub(crate) fn hide(&mut self, id: u32, wait_ms: i64) {
        let work = *self.work.at(id);
        // A lost or refused hide leaves the message to the queue's own visibility timeout.
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

    /// The conditional write of [`echo_shared::store`]: on the state that was read, recognized when repeated.
    fn write(&mut self, work: &Work, new: Row) -> Written {
        if self.refuses(Service::DynamoDb) {
            return Written::Failed;
        }
        let row = &mut self.rows[work.message.delivery as usize];
        let changes_attempts = new.attempts > row.attempts;
        if self.settings.design != Design::NumberFromReceiveCount
            && (row.status != work.seen.status || row.attempts != work.seen.attempts)
        {
            return Written::Overtaken;
        }
        let now = self.now;
        if changes_attempts && new.attempts != row.attempts + 1 {
            self.violations.push(format!(
                "delivery {}: attempt {} follows {}",
                work.message.delivery, new.attempts, row.attempts
            ));
        }
        if row.status.is_final() {
            self.violations.push(format!("delivery {} changed after it had ended", work.message.delivery));
        }
        *row = Row {
            updated_at: now,
            sends: row.sends,
            unrecorded: row.unrecorded,
            first_sent_at: row.first_sent_at,
            late_ms: row.late_ms,
            ..new
        };
        Written::Done
    }

    /// The turn, taken on the row: of two that try, one is overtaken.
    fn claim(&mut self, work: &Work) -> Written {
        let unchanged = self.rows[work.message.delivery as usize].updated_at == work.seen.updated_at;
        if unchanged {
            self.write(work, Row { chain: work.message.chain, ..work.seen })
        } else {
            Written::Overtaken
        }
    }

    /// Kills the whole invocation, now and then: its messages come back when their visibility runs out.
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
            // A request under way closes its record when its answer would have come.
            if slot == id || !(work.sent || work.asleep) {
                self.close(slot);
            }
        }
    }

    fn clock(&mut self, work: &Work) -> Timestamp {
        timestamp(self.now + self.invocations.at(work.invocation).skew_ms)
    }
}

fn since_start(at: Timestamp) -> i64 {
    at.as_millis() - timestamp(0).as_millis()
}

fn stand_back_ms(world: &World) -> i64 {
    millis(world.settings.stand_back())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
