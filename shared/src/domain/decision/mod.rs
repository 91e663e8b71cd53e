//! The decisions: pure functions of a delivery's row, its endpoint, the job that woke, the attempt's outcome and the time.
//! [`on_wake`] chooses a woken job's act. [`after_attempt`] turns an attempt's outcome into the delivery's next step.
//! [`Woken`] turns either into the write to the row and the job's next place. [`given_up()`] ends the delivery of a dead
//! letter. The delivery function carries them out.

use std::time::Duration;

use crate::attempt::{Outcome, Trigger};
use crate::delivery::{Delivery, FailureReason};
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::job::DeliveryJob;
use crate::rate_limit::{Need, need};
use crate::schedule::RetrySchedule;
use crate::slowness::{Hanging, ProbeFor, next_look};
use crate::time::Timestamp;

mod given_up;
mod next;

pub use given_up::given_up;
pub use next::{
    CROWDED_ABOVE, Decided, MOST_RECEIVES, Next, OVERTAKEN_WAIT, SHORT_WAIT, Woken, Write, backoff, is_short,
    is_slept_through, time_in_queue,
};

/// The longest wait a receiver can ask for with `retry-after` (contract §5).
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long the job of a manual retry waits for its row to change before it gives up: longer than the api function can
/// run.
const MANUAL_GRACE: Duration = Duration::from_secs(60);
const MANUAL_POLL: Duration = Duration::from_secs(2);

/// A queue of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// First attempts at endpoints that answer promptly.
    FirstAttempts,
    /// Waiting retries at such endpoints.
    Retries,
    /// Everything for endpoints that are slow or hang.
    Slow,
}

impl Lane {
    pub const ALL: [Self; 3] = [Self::FirstAttempts, Self::Retries, Self::Slow];

    /// Where a retry waits.
    #[must_use]
    pub const fn for_retries(is_slow: bool) -> Self {
        if is_slow { Self::Slow } else { Self::Retries }
    }
}

/// The act of a job that has just woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Nothing is left to do: the message is deleted.
    Finished,
    /// The delivery has ended, and its endpoint, or somebody else, is still to hear of it.
    TellOfEnd,
    /// It is too early, or the row names another job: wait. No attempt is recorded.
    NotYet { until: Timestamp },
    /// The endpoint is disabled or deleted, or the event's payload is erased: the delivery ends without an attempt.
    End { reason: FailureReason },
    /// The event was never accepted: the delivery ends without an attempt and without its payload.
    EndUnaccepted,
    /// The endpoint is slow: its attempts belong in the slow lane. `claim` as for an attempt.
    MoveToSlowLane { claim: bool },
    /// The attempt is due, but the endpoint hangs and this job gets no probe: wait for another look. `claim` as for an
    /// attempt.
    WaitForProbe { until: Timestamp, claim: bool },
    /// Make attempt `number` now. First take the `probe` of an endpoint that hangs ([`crate::store::Store::take_probe`]).
    /// With `claim`, then claim the attempt on the row ([`Woken::claim`]): this job is late or a copy, so another may be about
    /// to act too. Then take the slot that the attempt needs, and make the attempt when the slot comes.
    Attempt { number: u32, claim: bool, need: Need, probe: Option<Hanging> },
}

impl Wake {
    /// The same for a job that needs no claim, because it has taken the delivery's stream.
    #[must_use]
    pub const fn claimed(self) -> Self {
        match self {
            // A probe is taken first, which takes time, so the attempt is still to be claimed.
            Self::Attempt { number, need, probe: None, .. } => {
                Self::Attempt { number, claim: false, need, probe: None }
            }
            Self::MoveToSlowLane { .. } => Self::MoveToSlowLane { claim: false },
            Self::WaitForProbe { until, .. } => Self::WaitForProbe { until, claim: false },
            other => other,
        }
    }

    /// When a job that makes no attempt now looks again.
    #[must_use]
    pub const fn waits_until(self) -> Option<Timestamp> {
        match self {
            Self::NotYet { until } | Self::WaitForProbe { until, .. } => Some(until),
            _ => None,
        }
    }
}

/// How long a copy of a job waits before it acts for the job that it repeats, counted from when the attempt was due or the
/// row last changed. A job that started its attempt at most `late_after` late has recorded it by then.
#[must_use]
pub fn stand_back(request_timeout: Duration) -> Duration {
    late_after(request_timeout) + request_timeout + Duration::from_secs(3)
}

/// How late a job may start an attempt without claiming it.
fn late_after(request_timeout: Duration) -> Duration {
    request_timeout + Duration::from_secs(2)
}

/// Chooses the act of a woken job.
#[must_use]
pub fn on_wake(
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    job: &DeliveryJob,
    lane: Lane,
    now: Timestamp,
    request_timeout: Duration,
) -> Wake {
    let row_names_it = job.chain == delivery.chain;
    if delivery.status.is_final() {
        return match job.manual_at {
            Some(asked_at) if !row_names_it && now < asked_at.plus(MANUAL_GRACE) => {
                Wake::NotYet { until: now.plus(MANUAL_POLL) }
            }
            _ if delivery.is_to_be_told() => Wake::TellOfEnd,
            _ => Wake::Finished,
        };
    }
    let Some(endpoint) = endpoint else {
        return Wake::End { reason: FailureReason::EndpointDeleted };
    };
    if endpoint.status == EndpointStatus::Disabled {
        return Wake::End { reason: FailureReason::EndpointDisabled };
    }
    let last_word = delivery.due_at().max(delivery.updated_at);
    let acts_from =
        if row_names_it { delivery.due_at() } else { last_word.plus(stand_back(request_timeout)) };
    if now < acts_from {
        return Wake::NotYet { until: acts_from };
    }
    let claim = !row_names_it || now > last_word.plus(late_after(request_timeout));
    if lane != Lane::Slow && endpoint.is_slow(now) {
        return Wake::MoveToSlowLane { claim };
    }
    let probe = endpoint.hanging();
    if let Some(hanging) = probe
        && now < hanging.opens_at(probe_for(delivery, job))
    {
        return without_probe(delivery, job, hanging, claim, now);
    }
    // To take the probe takes time and may make this job late, so the job claims the attempt.
    let claim = claim || probe.is_some();
    // Probes are rarer than any limit allows.
    let need = match probe {
        Some(_) => Need::Nothing,
        None => need(endpoint.state.rate_limit.as_ref(), delivery.slot.as_ref(), now),
    };
    Wake::Attempt { number: delivery.attempt_count + 1, claim, need, probe }
}

/// Chooses the act of a job that is due and does not get its endpoint's probe.
#[must_use]
pub fn without_probe(
    delivery: &Delivery,
    job: &DeliveryJob,
    hanging: Hanging,
    claim: bool,
    now: Timestamp,
) -> Wake {
    // A manual attempt is due since its row last changed. The row changes each time that the job is sent on, so the job
    // itself carries the time.
    let due_since = match delivery.triggered_by {
        Trigger::Manual => job.waits_since.unwrap_or(delivery.due_at()),
        Trigger::Auto => delivery.due_at(),
    };
    Wake::WaitForProbe { until: next_look(hanging, probe_for(delivery, job), due_since, now), claim }
}

const fn probe_for(delivery: &Delivery, job: &DeliveryJob) -> ProbeFor {
    // Nobody waits for the retries of a test.
    if job.by_hand && (!delivery.was_attempted() || matches!(delivery.triggered_by, Trigger::Manual)) {
        ProbeFor::Person
    } else if delivery.was_attempted() {
        ProbeFor::Retry
    } else {
        ProbeFor::FirstAttempt
    }
}

/// How often the api's timeout passes until no acceptance can still be at work. One would do if the clocks of two functions
/// showed the same time.
const API_TIMEOUTS: u32 = 8;

/// The longest time in which an acceptance, an attempt or a step of a replay can still write a row that it decided on before.
#[must_use]
pub fn longest_write(api_timeout: Duration) -> Duration {
    api_timeout * API_TIMEOUTS
}

/// The shortest and the longest wait for an event's row.
const FIRST_LOOK_AGAIN: Duration = Duration::from_millis(50);
const LONGEST_LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The act of a job whose event has no row that lists its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutEvent {
    /// The acceptance may still be writing the row.
    LookAgain { at: Timestamp },
    /// The event was never accepted, or it has expired: the message is deleted.
    Gone,
    /// The event was never accepted, and yet the delivery has a row: it ends ([`Wake::EndUnaccepted`]).
    NeverAccepted,
    /// An attempt was made, so there was an event: an internal fault.
    Lost,
}

/// Decides the act of a job whose event has no row that lists its delivery, if the delivery has not ended. An event's rows and
/// jobs are written side by side, so a job may come first. Its producer may also have got no 202, and the event must not be
/// delivered in part: no attempt is made before the event's row exists.
#[must_use]
pub fn without_event(
    job: &DeliveryJob,
    delivery: Option<&Delivery>,
    now: Timestamp,
    api_timeout: Duration,
) -> WithoutEvent {
    let age = now.since(job.delivery_id.created_at());
    match delivery {
        Some(delivery) if delivery.was_attempted() => WithoutEvent::Lost,
        _ if age < longest_write(api_timeout) => {
            WithoutEvent::LookAgain { at: now.plus(age.clamp(FIRST_LOOK_AGAIN, LONGEST_LOOK_AGAIN)) }
        }
        None => WithoutEvent::Gone,
        Some(_) => WithoutEvent::NeverAccepted,
    }
}

/// The act of a job whose event's payload is erased: nothing is left to send. An ended delivery is left as it is.
#[must_use]
pub const fn without_payload() -> Wake {
    Wake::End { reason: FailureReason::Erased }
}

/// How a delivery goes on after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Succeeded,
    RetryAt(Timestamp),
    Failed(FailureReason),
}

/// Chooses the step after attempt `number`. `jitter` is random in 0..1.
#[must_use]
pub fn after_attempt(
    number: u32,
    trigger: Trigger,
    outcome: &Outcome,
    schedule: &RetrySchedule,
    now: Timestamp,
    jitter: f64,
) -> Step {
    let retry_after = match outcome {
        Outcome::Answered { status: 200..=299, .. } => return Step::Succeeded,
        Outcome::Answered { status: 410, .. } => return Step::Failed(FailureReason::Gone),
        Outcome::Answered { status: 429 | 503, retry_after, .. } => *retry_after,
        Outcome::Answered { .. } | Outcome::Failed { .. } | Outcome::NoToken { .. } => None,
    };
    // A manual attempt is one attempt, not a new schedule (contract §6).
    let delay = match trigger {
        Trigger::Auto => schedule.delay_after(number, jitter),
        Trigger::Manual => None,
    };
    match delay {
        Some(delay) => {
            let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
            Step::RetryAt(now.plus(delay.max(asked)))
        }
        None => Step::Failed(FailureReason::Exhausted),
    }
}

/// Whether a final failure counts against the endpoint's health (contract §7).
#[must_use]
pub fn counts_against_health(reason: FailureReason, trigger: Trigger) -> bool {
    trigger == Trigger::Auto && matches!(reason, FailureReason::Exhausted | FailureReason::Gone)
}

#[cfg(test)]
mod tests;
