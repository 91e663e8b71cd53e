//! A limit on how many requests an endpoint gets a second. Its time is cut into slots. Each attempt takes the next free
//! slot and is made when the slot comes. A batch takes its slots in one conditional update of the endpoint's row.
//! (Rejected: counting each second and sending the rest back for a random time. A backlog would wake over and over. A row
//! of its own for slots: one more to read.)
//!
//! A slot is good for two seconds. A job that misses its slot may use the late line, which covers only the next second,
//! for jobs that are ready to go. So an endpoint gets at most its limit each second; when jobs wake late, as many again
//! from the late line, and the slots of the last two seconds that are used late.
//!
//! A wait for a slot is no attempt: a caller sees the delivery `pending`, or `retrying` with the time at which it was
//! due. Deliveries leave the line in no particular order, and one that expires while it waits is dropped.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub const MAX_PER_SECOND: u16 = 1_000;

/// How late an attempt may use its slot. If a slot were good for ever, all attempts that an outage held up would go at
/// once.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// How far ahead the slots for late attempts are given out.
pub const LATE_SLOTS_WITHIN: Duration = Duration::from_secs(1);

/// The limit that the endpoint's owner set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    pub per_second: u16,
    /// When the limit was set. Slots of an earlier limit are void, and both lines of slots begin again.
    pub since: Timestamp,
}

/// When one attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub at: Timestamp,
    /// The `since` of the slot's limit.
    pub limit_since: Timestamp,
}

/// The slot that a due attempt must take first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// There is no limit, or the attempt's own slot has come.
    Nothing,
    Slot,
    /// The attempt missed its slot. In the usual line it might miss the next slot too, and so on for ever. So there is a
    /// second line, only for attempts that can go within a second.
    LateSlot,
}

/// Slots that were taken together, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    pub limit: RateLimit,
    /// When the first begins, in microseconds since the epoch.
    pub from_micros: i64,
}

/// The slot that an attempt must take under a limit, given the slot that its delivery has.
#[must_use]
pub fn need(limit: Option<&RateLimit>, held: Option<&Slot>, now: Timestamp) -> Need {
    let Some(limit) = limit else { return Need::Nothing };
    match held.filter(|slot| slot.limit_since == limit.since) {
        None => Need::Slot,
        Some(slot) if now > slot.at.plus(GOOD_FOR) => Need::LateSlot,
        Some(_) => Need::Nothing,
    }
}

impl RateLimit {
    /// How long this number of slots lasts, in microseconds. A slot is rounded up, so that the limit is never exceeded.
    #[must_use]
    pub fn length_micros(&self, slots: u32) -> i64 {
        let slot = 1_000_000_u32.div_ceil(u32::from(self.per_second.max(1)));
        i64::from(slot) * i64::from(slots)
    }
}

impl Slots {
    /// The `n`th slot, from 0.
    #[must_use]
    pub fn nth(&self, n: u32) -> Slot {
        let at_micros = self.from_micros + self.limit.length_micros(n);
        // Rounded up: no attempt is early.
        Slot { at: Timestamp::from_millis((at_micros + 999) / 1_000), limit_since: self.limit.since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn at(millis: u64) -> Timestamp {
        T0.plus(Duration::from_millis(millis))
    }

    fn limit(per_second: u16) -> RateLimit {
        RateLimit { per_second, since: T0 }
    }

    #[test]
    fn slots_follow_one_another_and_never_add_up_to_more_than_the_limit() {
        for (per_second, begin) in [
            (1, [0, 1_000, 2_000, 3_000]),
            (3, [0, 334, 667, 1_001]),
            (5, [0, 200, 400, 600]),
            (1_000, [0, 1, 2, 3]),
        ] {
            let slots = Slots { limit: limit(per_second), from_micros: T0.as_millis() * 1_000 };
            let found = [0, 1, 2, 3].map(|n| slots.nth(n).at);
            assert_eq!(found, begin.map(at), "{per_second} a second");
        }
        for per_second in 1..=MAX_PER_SECOND {
            assert!(limit(per_second).length_micros(per_second.into()) >= 1_000_000, "{per_second} a second");
        }
    }

    #[test]
    fn an_attempt_needs_a_slot_of_the_limit_as_it_is_and_in_time() {
        let limit = limit(5);
        let slot = |at| Slot { at, limit_since: T0 };
        let of_another = Slot { at: at(10), limit_since: T0.minus(Duration::from_millis(1)) };
        let cases = [
            (None, None, at(0), Need::Nothing),
            (None, Some(slot(at(10))), at(9_000), Need::Nothing),
            (Some(&limit), None, at(0), Need::Slot),
            (Some(&limit), Some(of_another), at(10), Need::Slot),
            (Some(&limit), Some(of_another), at(9_000), Need::Slot),
            (Some(&limit), Some(slot(at(10))), at(10), Need::Nothing),
            (Some(&limit), Some(slot(at(10))), at(2_010), Need::Nothing),
            (Some(&limit), Some(slot(at(10))), at(2_011), Need::LateSlot),
        ];
        for (limit, held, now, expected) in cases {
            assert_eq!(need(limit, held.as_ref(), now), expected, "{limit:?} {held:?} {now}");
        }
    }
}
