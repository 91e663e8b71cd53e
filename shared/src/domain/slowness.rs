//! The lane for endpoints that answer slowly, and the few attempts that an endpoint gets while it does not answer at all.
//! `store/endpoints/slowness.rs` writes the marks that these functions decide.
//!
//! The slow lane serves slow endpoints, so that their long requests do not delay the short requests of others. An endpoint
//! that hangs would fill even that lane, because each attempt lasts for the whole timeout. So it gets one attempt now and
//! then, a *probe*. Other jobs for the endpoint look at it and wait again without a request. The first probe that is
//! answered opens the endpoint for all. (Rejected: fewer attempts for each endpoint that fails. One that answers 500 at once
//! costs no more than one that works.)
//!
//! A probe takes no slot of the endpoint's rate limit, so in the second of its first answer an endpoint can get one
//! request more than its limit.

use std::time::Duration;

use crate::time::Timestamp;

/// An attempt without an answer for this long is slow.
pub const SLOW_AFTER: Duration = Duration::from_secs(2);

/// How long a first slow answer keeps the endpoint in the slow lane. One slow answer alone shows little.
const FIRST_MARK: Duration = Duration::from_secs(30);

/// How long another slow answer keeps it there, during a mark or within this time after its end.
const NEXT_MARK: Duration = Duration::from_secs(5 * 60);

/// How often an answer of a slow endpoint is written down.
const ANSWER_NOTED_EVERY: Duration = Duration::from_secs(5);

/// The least and the most time between two probes. Between these limits the pause equals the time from the start of the hang
/// to the last probe: probes come after 5, 10, 20, 40 s.
const LEAST_SPACING: Duration = Duration::from_secs(5);
const MOST_SPACING: Duration = Duration::from_secs(5 * 60);

/// A retry gets a probe after a quarter of the pause. If first attempts came equally soon, none of many waiting deliveries
/// would reach its last attempt, and an endpoint that hangs for days would never be disabled (contract §7).
const RETRIES_COME_SOONER: u32 = 4;

/// The pause before a probe that a person waits for. It keeps to one probe a second, which is the lowest rate limit.
const BY_HAND_SPACING: Duration = Duration::from_secs(1);

/// The longest wait between two looks at a delivery whose endpoint hangs: the longest that a queue delays a message.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Since when an endpoint hangs, and when it was last tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hanging {
    pub since: Timestamp,
    pub tried_at: Timestamp,
}

/// The kind of attempt that asks for a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFor {
    FirstAttempt,
    Retry,
    /// A test or a manual retry, for which a person waits.
    Person,
}

impl Hanging {
    /// When the next probe of this kind may be made.
    #[must_use]
    pub fn opens_at(&self, purpose: ProbeFor) -> Timestamp {
        let spacing = self.tried_at.since(self.since).clamp(LEAST_SPACING, MOST_SPACING);
        self.tried_at.plus(match purpose {
            ProbeFor::FirstAttempt => spacing,
            ProbeFor::Retry => (spacing / RETRIES_COME_SOONER).max(LEAST_SPACING),
            ProbeFor::Person => BY_HAND_SPACING,
        })
    }
}

/// When a delivery that is due since `due_since` and got no probe is looked at again. The wait doubles: an outage of a day
/// costs about a hundred looks, and a delivery that waited for ten minutes goes out within ten minutes of the endpoint's
/// recovery. An attempt that a person waits for is looked at when the next probe is due.
#[must_use]
pub fn next_look(hanging: Hanging, purpose: ProbeFor, due_since: Timestamp, now: Timestamp) -> Timestamp {
    match purpose {
        ProbeFor::Person => hanging.opens_at(purpose).max(now.plus(BY_HAND_SPACING / 2)),
        ProbeFor::FirstAttempt | ProbeFor::Retry => {
            now.plus(now.since(due_since).clamp(LEAST_SPACING, LONGEST_WAIT))
        }
    }
}

/// Until when the slow lane serves an endpoint that was just slow; `None` when its present mark lasts long enough.
#[must_use]
pub fn slow_until(known: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let again = known.is_some_and(|until| now < until.plus(NEXT_MARK));
    let lasts = if again { NEXT_MARK } else { FIRST_MARK };
    let left = known.map_or(Duration::ZERO, |until| until.since(now));
    // The mark is written again when a fifth of it is over: once a minute for an endpoint that is always slow.
    (left < lasts - lasts / 5).then(|| now.plus(lasts))
}

/// Whether to write an answer of a slow endpoint down, given the last one that was. Answers are written often enough for
/// each attempt that times out to find one that came while it ran.
#[must_use]
pub fn is_answer_noted(noted: Option<Timestamp>, now: Timestamp, request_timeout: Duration) -> bool {
    let every = ANSWER_NOTED_EVERY.min(request_timeout / 3);
    noted.is_none_or(|noted| now >= noted.plus(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn at(seconds: u64) -> Timestamp {
        T0.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn probes_come_after_twice_the_time_of_the_one_before_up_to_five_minutes() {
        let mut hanging = Hanging { since: T0, tried_at: T0 };
        let probes = [(); 9].map(|()| {
            hanging.tried_at = hanging.opens_at(ProbeFor::FirstAttempt);
            hanging.tried_at.since(T0).as_secs()
        });
        assert_eq!(probes, [5, 10, 20, 40, 80, 160, 320, 620, 920]);
    }

    #[test]
    fn a_person_waits_a_second_and_a_retry_a_quarter_of_a_first_attempts_time() {
        let hanging = Hanging { since: T0, tried_at: at(160) };
        assert_eq!(hanging.opens_at(ProbeFor::FirstAttempt), at(320));
        assert_eq!(hanging.opens_at(ProbeFor::Retry), at(200));
        assert_eq!(hanging.opens_at(ProbeFor::Person), at(161));
        let fresh = Hanging { since: T0, tried_at: T0 };
        assert_eq!(fresh.opens_at(ProbeFor::Retry), at(5));
    }

    #[test]
    fn a_wait_is_as_long_as_the_delivery_has_been_due() {
        let hanging = Hanging { since: T0, tried_at: at(100_000) };
        let look = |purpose, due_for| {
            let now = at(100_000);
            let due_since = now.minus(Duration::from_secs(due_for));
            next_look(hanging, purpose, due_since, now).since(now).as_millis()
        };
        let waits = [0, 4, 7, 600, 90_000].map(|due_for| look(ProbeFor::FirstAttempt, due_for));
        assert_eq!(waits, [5_000, 5_000, 7_000, 600_000, 900_000]);
        assert_eq!(look(ProbeFor::Person, 90_000), 1_000);
    }

    #[test]
    fn one_slow_answer_marks_for_half_a_minute_and_the_next_for_five() {
        assert_eq!(slow_until(None, T0), Some(at(30)));
        assert_eq!(slow_until(Some(at(30)), at(3)), Some(at(303)));
        assert_eq!(slow_until(Some(at(300)), at(59)), None, "most of it is left");
        assert_eq!(slow_until(Some(at(300)), at(61)), Some(at(361)));
        assert_eq!(slow_until(Some(at(30)), at(329)), Some(at(629)), "lately it was slow");
        assert_eq!(slow_until(Some(at(30)), at(331)), Some(at(361)), "that is long ago");
    }

    #[test]
    fn answers_are_noted_several_times_within_a_timeout() {
        let timeout = Duration::from_secs(15);
        assert!(is_answer_noted(None, T0, timeout));
        assert!(!is_answer_noted(Some(T0), at(4), timeout));
        assert!(is_answer_noted(Some(T0), at(5), timeout));
        assert!(
            is_answer_noted(Some(T0), at(1), Duration::from_secs(3)),
            "three times within a short timeout"
        );
    }
}
