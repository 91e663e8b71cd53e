//! A decision's write to the delivery's row, and the job's next place after the write. The delivery function and the
//! simulator carry both out, and decide nothing of it again.

use std::time::Duration;

use super::{Lane, Step, Wake, counts_against_health, stand_back};
use crate::attempt::Attempt;
use crate::delivery::{Delivery, DeliveryStatus, FailureReason};
use crate::endpoint::Endpoint;
use crate::job::{Chain, DeliveryJob};
use crate::rate_limit::Slot;
use crate::slowness::SLOW_AFTER;
use crate::time::Timestamp;
use crate::transition::Transition;

/// A standard queue holds about 120,000 messages in flight, hidden ones included, and past that it hands out nothing and
/// reports no error (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>).
/// Past half of it a job that waits is sent again with a delay, because a delayed message is not in flight.
pub const CROWDED_ABOVE: u64 = 60_000;

/// After this many receives a new message takes the place of a waiting one. Its queue would give it up after 960 receives
/// (template.yaml), or drop it at an age of 14 days. A job that is looked at every 15 minutes thus reaches neither.
pub const MOST_RECEIVES: u32 = 100;

/// A job sleeps through a wait this short. A hidden message would take a whole second and a new invocation.
pub const SHORT_WAIT: Duration = Duration::from_secs(1);

/// A job that waits for its slot wakes this much before it, because queues are often late by a part of a second.
const EARLY: Duration = Duration::from_millis(500);

/// A shorter wait, rounded up to SQS's whole seconds, would be longer by more than a tenth.
const ROUNDED_UP_FROM: Duration = Duration::from_secs(10);

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// How long a job waits before it looks again after another job changed its row.
pub const OVERTAKEN_WAIT: Duration = Duration::from_secs(5);

const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(900);

/// How long a message waits after an internal fault: 5 s, doubled with each receive, up to 15 min.
#[must_use]
pub fn backoff(receives: u32) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF)
}

/// Whether a job sleeps through a wait for its event's row, or for a slot that it has just taken, instead of going back to its
/// queue, if its invocation has the time.
#[must_use]
pub fn is_short(wait: Duration) -> bool {
    wait <= SHORT_WAIT
}

/// The same for a wait until the attempt of a delivery is due. A delivery with a slot comes back up to `EARLY` sooner than
/// others.
#[must_use]
pub fn is_slept_through(delivery: &Delivery, wait: Duration) -> bool {
    wait <= if delivery.slot.is_some() { SHORT_WAIT + EARLY } else { SHORT_WAIT }
}

/// How long the queue keeps a job that may act from `due`, which may be the time of its delivery's slot.
#[must_use]
pub fn time_in_queue(due: Timestamp, slot: Option<Slot>, now: Timestamp) -> Duration {
    let wait = due.since(now);
    if slot.is_some_and(|slot| slot.at == due) { slot_wait(wait) } else { queue_wait(wait) }
}

/// How long the queue keeps a job that has to wait for `wait`. A short wait is rounded to the nearest second; a job that
/// wakes a little early sleeps through the rest.
fn queue_wait(wait: Duration) -> Duration {
    if wait < ROUNDED_UP_FROM { Duration::from_secs((wait + HALF_A_SECOND).as_secs()) } else { wait }
}

/// As [`queue_wait`], for a job that waits for its slot. It wakes up to a second and [`EARLY`] before its slot and sleeps
/// through the rest. Rounded up, jobs with different slots in one second would all be sent at its end.
const fn slot_wait(wait: Duration) -> Duration {
    Duration::from_secs(wait.saturating_sub(EARLY).as_secs())
}

/// A job that has woken, and how it got here.
#[derive(Debug, Clone, Copy)]
pub struct Woken<'a> {
    pub job: &'a DeliveryJob,
    /// The lane of the queue that handed the job out.
    pub lane: Lane,
    /// Whether more than [`CROWDED_ABOVE`] messages are hidden in that queue. Never so for first attempts: no delivery
    /// waits in their queue for its retry or its slot.
    pub is_crowded: bool,
    /// Whether the job's message is a stream's. Such a message goes on with the stream's next deliveries. If it also waited for
    /// them, its queue would in the end give it up or drop it ([`MOST_RECEIVES`]). So a delivery that waits gets its own job.
    pub by_stream: bool,
    /// How often the job's message was received.
    pub receives: u32,
    pub request_timeout: Duration,
    /// The chain of the job that this one sends on, if it sends one: random, and new for each turn.
    pub next_chain: Chain,
}

/// One decision: the write comes first, and the job goes on only when the write is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decided {
    pub write: Option<Write>,
    pub next: Next,
}

/// A change of the delivery's row, written if the row still has the status and the number of attempts that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub transition: Transition,
    /// Another job may be about to act too: write only if the row has not changed at all
    /// ([`crate::store::Store::claim`]). Such a transition changes the row's chain and time, and its number in a stream.
    pub claim: bool,
}

/// Where a job goes once its decision is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Its work is done. If somebody is still to hear of the delivery's end, that comes first; then the message is deleted.
    Finish,
    /// A new job takes its place in `lane` and may act from `at`; then the message is deleted. When it is not certain
    /// that the new job is in the queue, the message hides until `stands_in_at` and acts for it.
    SendOn { job: DeliveryJob, lane: Lane, at: Timestamp, stands_in_at: Timestamp },
    /// The same message waits, hidden.
    HideUntil(Timestamp),
}

impl Woken<'_> {
    /// The write and the next place of a job that makes no attempt now. `None` for [`Wake::Attempt`].
    #[must_use]
    pub fn without_attempt(&self, delivery: &Delivery, wake: Wake, now: Timestamp) -> Option<Decided> {
        Some(match wake {
            Wake::Attempt { .. } => return None,
            Wake::Finished | Wake::TellOfEnd => Decided { write: None, next: Next::Finish },
            Wake::End { reason } => {
                Decided { write: Some(Transition::ended(delivery, reason, now).into()), next: Next::Finish }
            }
            Wake::EndUnaccepted => {
                Decided { write: Some(Transition::unaccepted(delivery, now).into()), next: Next::Finish }
            }
            Wake::MoveToSlowLane { claim } => self.pass_on(delivery, Lane::Slow, now, claim, now),
            Wake::NotYet { until } => {
                // Only the job that the row names may put another in its place: a copy that did would take the attempt from it.
                let row_names_it = !delivery.status.is_final() && self.job.chain == delivery.chain;
                self.wait(delivery, until, row_names_it.then_some(false), now)
            }
            // The attempt is due, so a copy may claim it.
            Wake::WaitForProbe { until, claim } => self.wait(delivery, until, Some(claim), now),
        })
    }

    /// Waits hidden, or as a new message where too many are hidden, or where this one is a stream's or was received too
    /// often. `claim` says whether the write that names the new job is a claim. With `None` no new job may be named.
    fn wait(&self, delivery: &Delivery, until: Timestamp, claim: Option<bool>, now: Timestamp) -> Decided {
        match claim {
            Some(claim) if self.is_crowded || self.by_stream || self.receives >= MOST_RECEIVES => {
                self.pass_on(delivery, self.lane, until, claim, now)
            }
            _ => Decided { write: None, next: Next::HideUntil(until) },
        }
    }

    /// Leaves the attempt to a new job. The row names the new job before it is sent, so that this one, should it live on,
    /// stands back.
    fn pass_on(
        &self,
        delivery: &Delivery,
        lane: Lane,
        at: Timestamp,
        claim: bool,
        now: Timestamp,
    ) -> Decided {
        let transition = Transition::named(delivery, Some(self.next_chain), now);
        let waits_since = self.job.waits_since.or(Some(delivery.due_at()));
        let job = DeliveryJob { waits_since, ..self.successor() };
        Decided { write: Some(Write { transition, claim }), next: self.send_on(job, lane, at) }
    }

    /// Claims the attempt for this job, which is late or a copy: another may be about to act too.
    #[must_use]
    pub fn claim(&self, delivery: &Delivery, now: Timestamp) -> Write {
        Write { transition: Transition::named(delivery, self.job.chain, now), claim: true }
    }

    /// Leaves an attempt for its slot, where retries wait. No attempt is recorded, and the caller sees nothing of it.
    pub fn put_off(&self, delivery: &Delivery, endpoint: &Endpoint, slot: Slot, now: Timestamp) -> Decided {
        let lane = self.leaves_for(endpoint.is_slow(now));
        let put_off =
            Transition { slot: Some(slot), ..Transition::named(delivery, self.chain_in(lane), now) };
        Decided { write: Some(put_off.into()), next: self.wait_in(lane, slot.at) }
    }

    /// Records an attempt, and names the job's next place.
    pub fn conclude(
        &self,
        delivery: &Delivery,
        endpoint: &Endpoint,
        attempt: Attempt,
        step: Step,
        now: Timestamp,
    ) -> Decided {
        let is_slow = endpoint.is_slow(now) || Duration::from_millis(attempt.duration_ms) >= SLOW_AFTER;
        let (status, next_retry_at, failure_reason) = match step {
            Step::Succeeded => (DeliveryStatus::Success, None, None),
            Step::RetryAt(at) => (DeliveryStatus::Retrying, Some(at), None),
            Step::Failed(reason) => (DeliveryStatus::Failed, None, Some(reason)),
        };
        let lane = next_retry_at.and_then(|_| self.leaves_for(is_slow));
        let mut recorded = Transition {
            status,
            next_retry_at,
            failure_reason,
            slot: None,
            attempt: Some(attempt),
            ..Transition::named(delivery, self.chain_in(lane), now)
        };
        recorded.uncounted = is_news(&recorded, endpoint);
        let next = next_retry_at.map_or(Next::Finish, |at| self.wait_in(lane, at));
        Decided { write: Some(recorded.into()), next }
    }

    /// The lane that a job leaves its own for to wait until its time, or `None` when it hides where it is. A first retry
    /// leaves the lane of first attempts; a later one hides, unless too many do or its message is a stream's.
    fn leaves_for(&self, is_slow: bool) -> Option<Lane> {
        let leaves = self.lane == Lane::FirstAttempts || self.is_crowded || self.by_stream;
        leaves.then_some(Lane::for_retries(is_slow))
    }

    /// The chain of the job that waits, in that lane or here.
    fn chain_in(&self, lane: Option<Lane>) -> Option<Chain> {
        if lane.is_some() { Some(self.next_chain) } else { self.job.chain }
    }

    fn wait_in(&self, lane: Option<Lane>, at: Timestamp) -> Next {
        match lane {
            Some(lane) => self.send_on(self.successor(), lane, at),
            None => Next::HideUntil(at),
        }
    }

    fn send_on(&self, job: DeliveryJob, lane: Lane, at: Timestamp) -> Next {
        Next::SendOn { job, lane, at, stands_in_at: at.plus(stand_back(self.request_timeout)) }
    }

    /// The job that comes after this one.
    fn successor(&self) -> DeliveryJob {
        DeliveryJob { chain: Some(self.next_chain), manual_at: None, waits_since: None, ..self.job.clone() }
    }
}

impl From<Transition> for Write {
    fn from(transition: Transition) -> Self {
        Self { transition, claim: false }
    }
}

/// Whether its endpoint must hear how a delivery ended.
fn is_news(ending: &Transition, endpoint: &Endpoint) -> bool {
    let state = &endpoint.state;
    match (ending.status, ending.failure_reason) {
        (DeliveryStatus::Success, _) => {
            state.consecutive_failures > 0 || state.first_failure_at.is_some() || state.is_down
        }
        // The 410 of a manual attempt disables the endpoint too, though it is not counted.
        (DeliveryStatus::Failed, Some(reason)) => {
            reason == FailureReason::Gone || counts_against_health(reason, ending.triggered_by)
        }
        _ => false,
    }
}
