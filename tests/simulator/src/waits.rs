//! The short waits that a job sleeps through, and the slots of rate limits.

use std::time::Duration;

use echo_shared::rate_limit::{LATE_SLOTS_WITHIN, Need, Slot, Slots};
use echo_shared::time::Timestamp;

use crate::broken::Service;
use crate::world::{Happening, Work, World, millis};

/// SQS hides and delays messages for whole seconds, and the product rounds its waits up.
pub(crate) const fn whole_seconds(ms: i64) -> i64 {
    (ms + 999) / 1_000 * 1_000
}

impl World {
    /// Takes a slot of the endpoint's rate limit; `None` when the write failed. When the write's answer is lost, the
    /// write is repeated, and one slot stays unused.
    pub(crate) fn take_slot(&mut self, work: &Work, need: Need, now: Timestamp) -> Option<Slot> {
        if self.refuses(Service::DynamoDb) {
            return None;
        }
        let writes = if self.random.once_in(self.settings.chaos.answer_lost) { 2 } else { 1 };
        let endpoint = &mut self.endpoints[usize::from(work.message.endpoint)];
        let limit = endpoint.state.rate_limit?;
        let now_micros = now.as_millis() * 1_000;
        let next = |taken_until: Option<i64>| taken_until.map_or(now_micros, |until| until.max(now_micros));
        let last_late = now.plus(LATE_SLOTS_WITHIN).as_millis() * 1_000;
        let mut slot = None;
        for _ in 0..writes {
            let late = next(endpoint.state.late_slots_taken_until);
            let from_micros = if need == Need::LateSlot && late <= last_late {
                endpoint.state.late_slots_taken_until = Some(late + limit.length_micros(1));
                late
            } else {
                let usual = next(endpoint.state.slots_taken_until);
                endpoint.state.slots_taken_until = Some(usual + limit.length_micros(1));
                usual
            };
            slot = Some(Slots { limit, from_micros }.nth(0));
        }
        slot
    }

    /// Lets a job sleep through a short wait.
    pub(crate) fn sleep(&mut self, id: u32, wait: Duration) {
        self.work.at(id).asleep = true;
        self.at(self.now + millis(wait), Happening::SleptThrough { work: id });
    }

    /// Reads the row of a job again that has slept through a wait, and decides anew.
    pub(crate) fn slept_through(&mut self, id: u32) {
        let Work { invocation, message, .. } = *self.work.at(id);
        if !self.invocations.at(invocation).alive {
            return self.close(id);
        }
        let work = self.work.at(id);
        work.asleep = false;
        work.seen = self.rows[message.delivery as usize];
        self.wake(id);
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
}
