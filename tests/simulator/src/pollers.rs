//! An event source mapping's pollers, as AWS documents them
//! (docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html and services-sqs-errorhandling.html): how many
//! batches they handle at the same time, and how they hold batches for which Lambda has no room.

use crate::queue::Message;

/// 'Lambda starts processing five batches at a time'.
const FIRST: usize = 5;
const MINUTE_MS: i64 = 60_000;

/// 'If messages are still available, Lambda increases the number of processes that are reading batches by up to 300
/// more instances per minute.' AWS does not document how the increase is spread over the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ramp {
    Evenly,
    AtTheMinutesEnd,
}

impl Ramp {
    /// How many batches more are allowed, and after how many milliseconds each time.
    const fn step(self) -> (usize, i64) {
        match self {
            Self::Evenly => (1, MINUTE_MS / 300),
            Self::AtTheMinutesEnd => (300, MINUTE_MS),
        }
    }
}

/// How often a poller offers a batch to Lambda again while there is no room for it.
pub(crate) const AGAIN_MS: i64 = 1_000;

/// A batch that a poller has received and Lambda has not accepted.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) messages: Vec<Message>,
    pub(crate) received_at: i64,
    pub(crate) next_offer: i64,
}

#[derive(Debug)]
pub(crate) struct Pollers {
    /// The concurrent batches that are allowed at present.
    allowed: usize,
    /// The concurrent batches that are allowed at most: `MaximumConcurrency`.
    ceiling: usize,
    ramp: Ramp,
    /// The time since which messages have been waiting although all allowed batches are in use. Each allowed increase
    /// moves this time on.
    full_since: Option<i64>,
    /// The time since which no more than the first few batches have been in use.
    low_since: Option<i64>,
    pub(crate) held: Vec<Held>,
    woken_at: i64,
}

impl Pollers {
    pub(crate) fn new(ceiling: usize, ramp: Ramp) -> Self {
        let allowed = FIRST.min(ceiling);
        Self { allowed, ceiling, ramp, full_since: None, low_since: None, held: Vec::new(), woken_at: -1 }
    }

    /// Whether a poller may receive another batch while `running` invocations run.
    pub(crate) const fn has_room(&self, running: usize) -> bool {
        running + self.held.len() < self.allowed
    }

    /// Lowers the limit after Lambda had no room for a batch: 'gradually backs off retries by reducing the amount of
    /// concurrency allocated'.
    pub(crate) fn throttled(&mut self) {
        self.allowed = (self.allowed - 1).max(FIRST.min(self.ceiling));
        self.full_since = None;
    }

    /// Adjusts the limit after a receive. Returns the time of the next check, if a check must be planned.
    pub(crate) fn adjust(&mut self, now: i64, running: usize, has_visible: bool) -> Option<i64> {
        let is_full = has_visible && !self.has_room(running) && self.allowed < self.ceiling;
        self.full_since = is_full.then(|| self.full_since.unwrap_or(now));
        let (more, each_ms) = self.ramp.step();
        if let Some(since) = self.full_since.as_mut().filter(|since| now - **since >= each_ms) {
            *since += each_ms;
            self.allowed = (self.allowed + more).min(self.ceiling);
            return Some(now);
        }
        let is_low = running + self.held.len() <= FIRST;
        self.low_since = is_low.then(|| self.low_since.unwrap_or(now));
        if self.low_since.is_some_and(|since| now - since >= MINUTE_MS) {
            self.allowed = self.allowed.min(FIRST);
        }
        let next_offer = self.held.iter().map(|held| held.next_offer).min();
        let grows = self.full_since.map(|since| since + each_ms);
        let next = next_offer.into_iter().chain(grows).min()?;
        // Each check is planned only once.
        let is_planned = self.woken_at == next;
        self.woken_at = next;
        (!is_planned).then_some(next)
    }
}
