//! Everything outside the lanes: the intake queue, the dead letter queue, the parked queue, the EventBridge rule, and
//! requests that the API does not accept. These queues hold few messages at a time, so they are plain lists.

use echo_shared::decision::{backoff, given_up};

use crate::broken::{Api, Rule, Service};
use crate::metrics::{DEAD, Function, INTAKE, Metric, PARKED, QUEUES, Sample};
use crate::row::as_read;
use crate::world::{Happening, World, millis, timestamp};

/// How often the pollers of these queues look for messages.
const POLL_MS: i64 = 1_000;
/// How long a caller waits before it repeats a request that got a 5xx.
pub(crate) const SEND_AGAIN_MS: i64 = 10_000;
/// EventBridge's pauses double from the first one to the last one.
const FIRST_PAUSE_MS: i64 = 1_000;
const LAST_PAUSE_MS: i64 = 600_000;

#[derive(Debug, Clone, Copy)]
struct SideMessage {
    sent_at: i64,
    visible_at: i64,
    receives: u32,
    /// The endpoint of an event, or the delivery of a dead letter.
    about: u32,
    /// The chain of a dead letter.
    chain: Option<u32>,
}

/// The queues by their index in [`QUEUES`]; the lanes' queues stay empty here.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    queues: [Vec<SideMessage>; QUEUES.len()],
    is_poll_planned: bool,
}

impl Sides {
    pub(crate) const fn is_empty(&self) -> bool {
        self.queues[INTAKE].is_empty() && self.queues[DEAD].is_empty()
    }

    pub(crate) fn sample(&self, now: i64, queue: usize) -> Sample {
        let messages = &self.queues[queue];
        let visible = messages.iter().filter(|message| message.visible_at <= now).count() as u64;
        Sample {
            oldest_sent_at: messages.iter().filter(|m| m.receives < 3).map(|m| m.sent_at).min(),
            visible,
            not_visible: messages.len() as u64 - visible,
        }
    }
}

impl World {
    /// Puts `count` events for an endpoint on the bus, one every `every_ms`.
    pub fn put_events(&mut self, endpoint: u16, every_ms: i64, count: i64) {
        for number in 0..count {
            self.at(self.now + number * every_ms, Happening::OnBus { endpoint, tries: 0 });
        }
    }

    /// Puts a dead letter for this delivery into the dead letter queue, as if SQS had given up its job of that chain.
    pub fn bury(&mut self, delivery: u32, chain: Option<u32>) {
        self.side_send(DEAD, delivery, chain);
    }

    /// The number of messages in the dead letter queue.
    #[must_use]
    pub fn dead_letters(&self) -> usize {
        self.sides.queues[DEAD].len()
    }

    pub(crate) fn side_send(&mut self, queue: usize, about: u32, chain: Option<u32>) {
        let message = SideMessage { sent_at: self.now, visible_at: self.now, receives: 0, about, chain };
        self.sides.queues[queue].push(message);
        self.plan_side_poll();
    }

    fn plan_side_poll(&mut self) {
        if !self.sides.is_poll_planned && !self.sides.is_empty() {
            self.sides.is_poll_planned = true;
            self.at(self.now + POLL_MS, Happening::SidePoll);
        }
    }

    pub(crate) fn on_bus(&mut self, endpoint: u16, tries: u32) {
        if tries > 0 {
            self.metrics.count(self.now, Metric::Repeats);
        }
        let is_unanswered = self.broken.rule == Rule::Unanswered || self.broken.refuses(Service::SqsSend);
        match self.broken.rule {
            Rule::Forbidden => self.side_send(PARKED, u32::from(endpoint), None),
            Rule::ForbiddenTwice => self.metrics.count(self.now, Metric::Lost),
            Rule::Sends | Rule::Unanswered if is_unanswered => {
                let pause = (FIRST_PAUSE_MS << tries.min(16)).min(LAST_PAUSE_MS);
                self.at(self.now + pause, Happening::OnBus { endpoint, tries: tries + 1 });
            }
            Rule::Sends | Rule::Unanswered => self.side_send(INTAKE, u32::from(endpoint), None),
        }
    }

    pub(crate) fn side_poll(&mut self) {
        self.sides.is_poll_planned = false;
        for queue in [INTAKE, DEAD] {
            if self.broken.off[queue] || self.broken.sqs {
                continue;
            }
            let mut messages = std::mem::take(&mut self.sides.queues[queue]);
            messages.retain_mut(|message| message.visible_at > self.now || !self.takes(queue, message));
            messages.append(&mut self.sides.queues[queue]);
            self.sides.queues[queue] = messages;
        }
        self.plan_side_poll();
    }

    /// Handles one message, received by itself; true when the message is done.
    fn takes(&mut self, queue: usize, message: &mut SideMessage) -> bool {
        message.receives += 1;
        if queue == INTAKE && message.receives > self.settings.max_receives {
            // The function that receives from the dead letter queue parks events.
            self.side_send(PARKED, message.about, None);
            return true;
        }
        message.visible_at = self.now + self.settings.visibility_ms;
        if !self.has_room() {
            self.metrics.count(self.now, Metric::Throttles(Function::Delivery));
            return false;
        }
        if self.broken.delivery {
            self.metrics.count(self.now, Metric::Errors(Function::Delivery));
            return false;
        }
        let cannot_be_ended = queue == DEAD && self.broken.burial;
        let cannot_be_accepted = queue == INTAKE && self.broken.refuses(Service::SqsSend);
        if self.broken.dynamodb || cannot_be_ended || cannot_be_accepted {
            self.metrics.count(self.now, Metric::HeldBack);
            message.visible_at = self.now + millis(backoff(message.receives));
            return false;
        }
        if queue == INTAKE {
            self.accept(u16::try_from(message.about).unwrap_or_default());
        } else {
            self.end(message);
            self.metrics.count(self.now, Metric::DeadLettered);
        }
        true
    }

    /// Ends the delivery of a dead letter, if the decision says so.
    fn end(&mut self, message: &SideMessage) {
        let row = self.rows[message.about as usize];
        if !row.exists(self.now) {
            return;
        }
        let (delivery, job) = as_read(&mut self.scratch, &row, message.chain);
        if let Some(ended) = given_up(delivery, job, false, timestamp(self.now)) {
            ended.apply(delivery);
            self.rows[message.about as usize] = row.written(delivery);
            self.internal += 1;
        }
    }

    /// Whether the API accepts no request now. If so, this counts the request as CloudWatch does.
    pub(crate) fn refuses_requests(&mut self) -> bool {
        let lambda = match self.broken.api {
            Api::Crashes => Some(Metric::Errors(Function::Api)),
            Api::Runs if !self.has_room() => Some(Metric::Throttles(Function::Api)),
            Api::Runs | Api::Forbidden => None,
        };
        let own = self.broken.dynamodb || self.broken.refuses(Service::SqsSend);
        if lambda.is_none() && !own && self.broken.api == Api::Runs {
            return false;
        }
        if let Some(metric) = lambda {
            self.metrics.count(self.now, metric);
        }
        self.metrics.count(self.now, Metric::Faults);
        true
    }
}
