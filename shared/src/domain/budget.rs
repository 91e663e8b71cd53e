//! A project's budgets of events and of test events, which only a loop exceeds (contract §5). Each is a number of permits for
//! each minute of the clock.
//!
//! A process leases permits in blocks and hands them out from memory. A lease is one conditional update of the row for the
//! project and the minute. A block has half as many permits as the process has handed out in this minute. So a busy process
//! leases rarely (a dozen times for 1,500 events), and at most a third of the leased permits stay unused: a project can
//! always spend two thirds of its budget. Each process gives away the first
//! permits of a minute without a lease: 20 of the default budget of events, so a quiet project costs no write, and none of
//! the default budget of test events, which is too small. When the row cannot be written, the block counts as leased,
//! because a budget must not cost an event.
//!
//! The defaults: a steady 1,000 events a second are 60,000 a minute, less than two thirds of 100,000. People make test events,
//! and hardly one a second. A loop of test events through a relay was measured at nine a second, and the budget lets one of
//! these pass.
//!
//! (Rejected: a count on each event, which costs a write each. A row that all requests read, which shows a loop too late.)

use std::time::Duration;

use crate::time::Timestamp;

const MINUTE_SECONDS: i64 = 60;

/// The most permits that a process hands out in a minute without a lease.
const MOST_FREE: u32 = 20;

/// The kinds of events that have a budget of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Budgeted {
    Events,
    TestEvents,
}

/// The numbers of events that a project may post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// 0 means no limit, here and below.
    pub events_per_minute: u32,
    pub test_events_per_minute: u32,
}

impl Limits {
    /// The permits of one minute; `None` without a limit.
    #[must_use]
    pub fn per_minute(&self, of: Budgeted) -> Option<u32> {
        let permits = match of {
            Budgeted::Events => self.events_per_minute,
            Budgeted::TestEvents => self.test_events_per_minute,
        };
        Some(permits).filter(|permits| *permits > 0)
    }
}

/// One process's part of one project's budget.
#[derive(Debug, Default)]
pub struct Lease {
    minute: Minute,
    /// Leased permits that are left.
    left: u32,
    /// Permits handed out in this minute.
    taken: u32,
    /// No more permits can be leased in this minute.
    is_spent: bool,
}

/// A minute of the clock, counted from the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute(i64);

impl Minute {
    #[must_use]
    pub const fn of(now: Timestamp) -> Self {
        Self(now.as_seconds().div_euclid(MINUTE_SECONDS))
    }

    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_millis((self.0 + 1) * MINUTE_SECONDS * 1_000)
    }
}

/// The answer to a request for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitAnswer {
    Taken,
    /// The caller must first lease this many permits for this minute.
    LeaseMore(u32, Minute),
    /// The minute's budget is spent. The next minute begins at this time.
    RefusedUntil(Timestamp),
}

impl Lease {
    /// Takes a permit of a budget of `per_minute`. The caller wants `wanted` permits one after another, this one included.
    pub fn take(&mut self, per_minute: u32, wanted: u32, now: Timestamp) -> PermitAnswer {
        let minute = Minute::of(now);
        if self.minute != minute {
            *self = Self { minute, left: MOST_FREE.min(per_minute / 100), ..Self::default() };
        }
        if self.left > 0 {
            self.left -= 1;
            self.taken += 1;
            PermitAnswer::Taken
        } else if self.is_spent {
            PermitAnswer::RefusedUntil(minute.end())
        } else {
            // At most this part of the budget for one process at once, so that its unused permits are few.
            let most = (per_minute / 64).max(1);
            // Permits that are wanted at once do not stay unused.
            let block = (self.taken / 2).clamp(1, most).max(wanted.min(per_minute));
            PermitAnswer::LeaseMore(block, minute)
        }
    }

    /// Adds the permits that were leased after [`PermitAnswer::LeaseMore`]. 0 permits mean that the minute's budget is spent.
    pub const fn add(&mut self, permits: u32) {
        self.left += permits;
        self.is_spent = permits == 0;
    }
}

/// An event that was received this often waits no longer. That takes about two and a half days. Its queue gives an event up
/// after 960 receives (template.yaml), and the remaining ones are reserved for internal faults.
const WAITS_FOR_RECEIVES: u32 = 500;

/// How long an event is hidden in its queue when its project's budget is spent: until the next minute, and then for a random
/// part of a time that grows with the number of receives, so that a backlog does not come back all at once. `jitter` is random
/// in 0..1. `None` lets the event pass, because it has waited long enough, or because the queue hides so many messages that
/// it would soon hand out none.
#[must_use]
pub fn wait(
    until: Timestamp,
    receives: u32,
    is_crowded: bool,
    jitter: f64,
    now: Timestamp,
) -> Option<Duration> {
    const FIRST: Duration = Duration::from_secs(8);
    const LONGEST: Duration = Duration::from_secs(14 * 60);
    if is_crowded || receives >= WAITS_FOR_RECEIVES {
        return None;
    }
    let within = (FIRST * 2_u32.pow(receives.min(16))).min(LONGEST);
    Some(until.since(now) + within.mul_f64(jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a minute.
    const START: i64 = 1_776_009_120_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(START + millis)
    }

    /// Lets processes with one shared row take permits in turn, until each is refused or has had `each`. Returns the permits
    /// of each process and the number of leases.
    fn share(per_minute: u32, processes: usize, each: u32) -> (Vec<u32>, usize) {
        let mut row = 0;
        let mut leases = 0;
        let mut all: Vec<Lease> = (0..processes).map(|_| Lease::default()).collect();
        let mut got = vec![0; processes];
        for _ in 0..each {
            for (lease, got) in all.iter_mut().zip(&mut got) {
                loop {
                    match lease.take(per_minute, 1, at(0)) {
                        PermitAnswer::Taken => break *got += 1,
                        PermitAnswer::RefusedUntil(until) => break assert_eq!(until, at(60_000)),
                        PermitAnswer::LeaseMore(block, _) => {
                            let permits = block.min(per_minute - row);
                            row += permits;
                            leases += 1;
                            lease.add(permits);
                        }
                    }
                }
            }
        }
        (got, leases)
    }

    #[test]
    fn a_quiet_process_leases_nothing_and_a_busy_one_ever_more_rarely() {
        assert_eq!(share(100_000, 1, 20), (vec![20], 0));
        // 1,000 events a second by 40 processes.
        let (got, leases) = share(100_000, 40, 1_500);
        assert_eq!(got, [1_500; 40]);
        assert!(leases <= 40 * 12, "{leases} leases");
    }

    #[test]
    fn two_thirds_of_a_budget_can_be_spent_however_many_share_it_and_no_more_than_all_of_it() {
        for (per_minute, processes) in
            [(60, 1), (60, 16), (99, 16), (1_000, 7), (100_000, 40), (100_000, 250)]
        {
            let honest = per_minute * 2 / 3 / processes;
            let n = usize::try_from(processes).expect("a few");
            assert_eq!(share(per_minute, n, honest).0, vec![honest; n], "{per_minute} by {processes}");
            let all: u32 = share(per_minute, n, per_minute * 2 / processes + 2_000).0.iter().sum();
            let free = MOST_FREE.min(per_minute / 100) * processes;
            assert!(all <= per_minute + free, "{all} of {per_minute} by {processes}");
            assert!(all >= per_minute, "{all} of {per_minute} by {processes}");
        }
    }

    #[test]
    fn permits_that_are_wanted_at_once_are_leased_at_once_and_never_more_than_the_budget() {
        let mut lease = Lease::default();
        for _ in 0..20 {
            assert_eq!(lease.take(100_000, 100, at(0)), PermitAnswer::Taken);
        }
        assert_eq!(lease.take(100_000, 80, at(0)), PermitAnswer::LeaseMore(80, Minute::of(at(0))));
        assert_eq!(Lease::default().take(60, 100, at(0)), PermitAnswer::LeaseMore(60, Minute::of(at(0))));
    }

    #[test]
    fn the_next_minute_begins_anew_and_what_was_left_is_void() {
        let mut lease = Lease::default();
        assert_eq!(lease.take(10, 1, at(0)), PermitAnswer::LeaseMore(1, Minute::of(at(0))));
        lease.add(0);
        assert_eq!(lease.take(10, 1, at(59_999)), PermitAnswer::RefusedUntil(at(60_000)));
        assert_eq!(lease.take(10, 1, at(60_000)), PermitAnswer::LeaseMore(1, Minute::of(at(60_000))));
        lease.add(5);
        assert_eq!(lease.take(10, 1, at(60_000)), PermitAnswer::Taken);
        assert!(matches!(lease.take(10, 1, at(120_000)), PermitAnswer::LeaseMore(..)));
    }

    #[test]
    fn a_queued_event_waits_for_the_next_minute_and_less_crowded_with_each_receive() {
        let wait_secs = |receives, jitter| {
            let wait = wait(at(60_000), receives, false, jitter, at(50_000));
            wait.map(|wait| wait.as_secs())
        };
        assert_eq!([0, 1, 2, 6, 7, 499].map(|receives| wait_secs(receives, 0.0)), [Some(10); 6]);
        let longest = [0, 1, 2, 6, 7, 499].map(|receives| wait_secs(receives, 1.0));
        assert_eq!(longest, [18, 26, 42, 522, 850, 850].map(Some));
        assert_eq!(wait(at(0), 1, false, 0.0, at(1)), Some(Duration::ZERO));
    }

    #[test]
    fn an_event_that_has_waited_for_long_passes_and_so_does_a_crowded_queue() {
        assert_eq!(wait(at(60_000), 500, false, 0.5, at(0)), None);
        assert_eq!(wait(at(60_000), 1, true, 0.5, at(0)), None);
    }
}
