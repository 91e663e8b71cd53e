//! How messages get into invocations: a mapping's pollers offer them to Lambda, and hold them while the account has no
//! room.

use echo_shared::decision::{Lane, backoff};

use crate::broken::Service;
use crate::metrics::{DEAD, Function, INTAKE, LANES, Metric, PARKED, Sample};
use crate::pollers::{AGAIN_MS, Held};
use crate::queue::Message;
use crate::world::{Happening, Invocation, Work, World, index, millis};

const BATCH: usize = 10;
/// How often pollers look for messages.
const POLL_MS: i64 = 100;
const MINUTE_MS: i64 = 60_000;

impl World {
    /// Lets a lane's pollers receive visible messages, ten at a time.
    pub(crate) fn receive(&mut self, lane: Lane) {
        let at = index(lane);
        // Pollers collect messages for a moment, as SQS long polling does. A new invocation for each message would
        // never fill a batch.
        if self.now % POLL_MS != 0 {
            let next = self.now + POLL_MS - self.now % POLL_MS;
            let has_work = self.queues[at].has_visible() || !self.pollers[at].held.is_empty();
            if has_work && !self.queues[at].poll_planned(next) {
                self.at(next, Happening::Poll);
            }
            return;
        }
        self.offer_held(lane);
        while !self.broken.off[at] && !self.broken.sqs && self.pollers[at].has_room(self.busy[at]) {
            let messages = self.queues[at].receive(BATCH);
            if messages.is_empty() {
                break;
            }
            let messages = self.count_receives(lane, messages);
            if !messages.is_empty() {
                self.offer(lane, messages, self.now);
            }
        }
        let has_visible = self.queues[at].has_visible() && !self.broken.off[at];
        if let Some(next) = self.pollers[at].adjust(self.now, self.busy[at], has_visible) {
            self.at(next, Happening::Poll);
        }
    }

    /// Moves messages that were received too often to the dead letter queue.
    fn count_receives(&mut self, lane: Lane, mut messages: Vec<Message>) -> Vec<Message> {
        let at = index(lane);
        messages.retain(|message| {
            self.ages[at].received(message.sent_at, message.receives);
            self.most_receives = self.most_receives.max(message.receives);
            let is_dead = message.receives > self.settings.max_receives;
            if is_dead {
                self.queues[at].release(message.endpoint);
                self.side_send(DEAD, message.delivery, message.chain);
            }
            !is_dead
        });
        messages
    }

    /// Whether the account has room for one more invocation of either function.
    pub(crate) fn has_room(&self) -> bool {
        let running: usize = self.busy.iter().sum();
        running + self.broken.taken_by_others < self.settings.account_concurrency
    }

    /// Asks Lambda for an invocation. If there is no room, the poller holds the batch.
    fn offer(&mut self, lane: Lane, messages: Vec<Message>, received_at: i64) {
        if self.has_room() {
            return self.invoke(lane, messages, received_at);
        }
        self.metrics.count(self.now, Metric::Throttles(Function::Delivery));
        let pollers = &mut self.pollers[index(lane)];
        pollers.throttled();
        pollers.held.push(Held { messages, received_at, next_offer: self.now + AGAIN_MS });
    }

    /// Offers batches again for which Lambda had no room. 'Lambda continues to retry the message until the message's
    /// timestamp exceeds your queue's visibility timeout, at which point Lambda drops the message.'
    fn offer_held(&mut self, lane: Lane) {
        let (now, at) = (self.now, index(lane));
        for held in std::mem::take(&mut self.pollers[at].held) {
            if now >= held.received_at + self.settings.visibility_ms {
                held.messages.into_iter().for_each(|message| self.later(lane, message, 0, true));
            } else if now >= held.next_offer {
                self.offer(lane, held.messages, held.received_at);
            } else {
                self.pollers[at].held.push(held);
            }
        }
    }

    fn invoke(&mut self, lane: Lane, messages: Vec<Message>, received_at: i64) {
        if self.broken.delivery {
            self.metrics.count(self.now, Metric::Errors(Function::Delivery));
            let wait = received_at + self.settings.visibility_ms - self.now;
            return messages.into_iter().for_each(|message| self.later(lane, message, wait, true));
        }
        self.busy[index(lane)] += 1;
        let skew = self.settings.chaos.skew_ms;
        let skew_ms = if skew == 0 {
            0
        } else {
            i64::try_from(self.random.below(2 * skew.unsigned_abs())).unwrap_or(0) - skew
        };
        let open = u32::try_from(messages.len()).unwrap_or(0);
        let began_at = self.now;
        let invocation = self.invocations.put(Invocation { lane, began_at, open, skew_ms, alive: true });
        let mut started = Vec::with_capacity(messages.len());
        for message in messages {
            if self.random.once_in(self.settings.chaos.duplicate) {
                self.ages[index(lane)].sent(message.sent_at);
                self.later(lane, message, 0, false);
            }
            let seen = self.rows[message.delivery as usize];
            let work = Work {
                message,
                lane,
                received_at,
                invocation,
                seen,
                sent: false,
                sent_at: 0,
                sent_while_slow: false,
                asleep: false,
                settled: false,
            };
            started.push(self.work.put(work));
        }
        for work in started {
            // A crash at an earlier record ended the whole invocation.
            if !self.work.at(work).settled {
                self.wake(work);
            }
        }
    }

    /// Whether a call fails, by chance or in an outage. A failed call also counts the message that the function holds
    /// back.
    pub(crate) fn refuses(&mut self, service: Service) -> bool {
        let refuses = self.random.once_in(self.settings.chaos.refused) || self.broken.refuses(service);
        if refuses {
            self.metrics.count(self.now, Metric::HeldBack);
        }
        refuses
    }

    /// Whether an attempt cannot open the endpoint's secrets. Chance does not refuse the keys: a process reads them once.
    pub(crate) fn lacks_keys(&mut self) -> bool {
        let lacks = self.broken.refuses(Service::SecretsManager);
        if lacks {
            self.metrics.count(self.now, Metric::HeldBack);
        }
        lacks
    }

    /// Whether a record's task fails because its delivery makes the function's code panic or crash.
    pub(crate) fn spoils(&mut self, id: u32) -> bool {
        let message = self.work.at(id).message;
        if self.broken.kills == Some(message.delivery) {
            self.kill(id);
            return true;
        }
        let panics = self.broken.panics == Some(message.delivery);
        if panics {
            self.back_off(id);
        }
        panics
    }

    /// Whether the function holds a job back because its delivery failed and EventBridge refuses the operational
    /// event.
    pub(crate) fn keeps_untold(&mut self, id: u32) -> bool {
        let delivery = self.work.at(id).message.delivery;
        let status = self.rows[delivery as usize].status;
        let keeps = self.broken.bus && status == echo_shared::delivery::DeliveryStatus::Failed;
        if keeps {
            self.back_off(id);
        }
        keeps
    }

    fn back_off(&mut self, id: u32) {
        self.metrics.count(self.now, Metric::HeldBack);
        let receives = self.work.at(id).message.receives;
        self.hide(id, millis(backoff(receives)));
    }

    /// Lets CloudWatch sample the queues, and the API refuse sign-ins, at each minute up to `until`.
    pub(crate) fn sample_until(&mut self, until: i64) {
        while self.metrics.next_sample <= until {
            let at = self.metrics.next_sample;
            for _ in 0..=self.broken.refused_logins {
                self.metrics.count(at, Metric::AuthRefused);
            }
            for lane in 0..LANES {
                let queue = &self.queues[lane];
                let sample = Sample {
                    oldest_sent_at: self.ages[lane].oldest(),
                    visible: queue.visible(),
                    not_visible: queue.hidden(),
                };
                self.metrics.sample(at, lane, sample);
            }
            for side in [INTAKE, DEAD, PARKED] {
                let sample = self.sides.sample(at, side);
                self.metrics.sample(at, side, sample);
            }
            self.metrics.next_sample = at + MINUTE_MS;
        }
    }
}
