//! When failures in a row disable an endpoint (contract §7).

use std::time::Duration;

use crate::endpoint::{Endpoint, EndpointState, EndpointStatus};
use crate::time::Timestamp;

/// The settings `DisableAfterFailures` and `DisableAfterSeconds`. The service disables an endpoint when at least
/// `failures` deliveries in a row have failed, and the first of them failed at least `after` ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisableRule {
    /// With 0 the service disables no endpoint for its failures.
    pub failures: u32,
    pub after: Duration,
}

impl DisableRule {
    /// The time from which one more failure disables the endpoint. `None` while one more failure is not enough at
    /// any time.
    #[must_use]
    pub fn disables_at(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        let EndpointState { consecutive_failures, first_failure_at, .. } = endpoint.state;
        let one_is_enough = self.failures > 0 && consecutive_failures >= self.failures.saturating_sub(1);
        let is_due = one_is_enough && endpoint.status == EndpointStatus::Active;
        first_failure_at.filter(|_| is_due).map(|first| first.plus(self.after))
    }

    /// The time of the failure that is counted now, if the failures in a row disable the endpoint at that time. It is no earlier
    /// than the first failure's: two deliveries that fail at once are counted in either order, and clocks differ.
    #[must_use]
    pub fn disables_now(&self, state: &EndpointState, now: Timestamp) -> Option<Timestamp> {
        let are_enough = self.failures > 0 && state.consecutive_failures >= self.failures;
        let first = state.first_failure_at.filter(|_| are_enough)?;
        let at = now.max(first);
        (first.plus(self.after) <= at).then_some(at)
    }

    /// Whether the event `endpoint.failing` is due: the failures in a row are enough for it, and nobody was told since the last
    /// success.
    #[must_use]
    pub const fn is_failing_anew(&self, state: &EndpointState) -> bool {
        self.is_failing(state) && state.failing.is_none()
    }

    /// Whether the failures in a row are enough for the event `endpoint.failing`: half of those that disable the endpoint.
    const fn is_failing(&self, state: &EndpointState) -> bool {
        self.failures > 0 && state.consecutive_failures >= self.failures.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EndpointId, EventId, ProjectId};
    use crate::shards::Shards;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);
    const DAY: Duration = Duration::from_secs(86_400);

    fn failed(consecutive_failures: u32) -> Endpoint {
        let (project, id, url) = (ProjectId::new(T0), EndpointId::new(T0), "https://example.com".to_owned());
        let first_failure_at = (consecutive_failures > 0).then_some(T0);
        let state = EndpointState { consecutive_failures, first_failure_at, ..EndpointState::default() };
        Endpoint { state, ..Endpoint::new(project, id, Shards::ONE, url, Vec::new(), vec![1].into(), T0) }
    }

    #[test]
    fn the_time_is_told_once_a_single_failure_is_enough() {
        let at = |failures, count| DisableRule { failures, after: DAY }.disables_at(&failed(count));
        assert_eq!([at(10, 0), at(10, 1), at(10, 8)], [None; 3]);
        assert_eq!([at(10, 9), at(10, 10), at(10, 40)], [Some(T0.plus(DAY)); 3]);
        assert_eq!([at(1, 0), at(1, 1)], [None, Some(T0.plus(DAY))], "the first failure sets the time");
        assert_eq!([at(0, 0), at(0, 40)], [None; 2], "nothing disables it");
        let disabled = Endpoint { status: EndpointStatus::Disabled, ..failed(10) };
        assert_eq!(DisableRule { failures: 10, after: DAY }.disables_at(&disabled), None);
    }

    #[test]
    fn failures_disable_an_endpoint_once_they_are_many_and_the_first_is_old() {
        let disables = |failures, count, now| {
            let at = DisableRule { failures, after: DAY }.disables_now(&failed(count).state, now);
            assert!(at.is_none_or(|at| at == now));
            at.is_some()
        };
        let (early, due) = (T0.plus(Duration::from_secs(86_399)), T0.plus(DAY));
        assert_eq!([8, 9, 10, 11].map(|count| disables(10, count, due)), [false, false, true, true]);
        assert!(!disables(10, 40, early));
        assert!(!disables(0, 40, due), "nothing disables it");
        let without_time = EndpointState { first_failure_at: None, ..failed(5).state };
        assert_eq!(DisableRule { failures: 1, after: DAY }.disables_now(&without_time, due), None);
    }

    #[test]
    fn a_failure_that_is_counted_after_a_later_one_disables_the_endpoint_no_less() {
        let (rule, state) = (DisableRule { failures: 3, after: Duration::ZERO }, failed(3).state);
        assert_eq!(rule.disables_now(&state, T0.minus(Duration::from_millis(1))), Some(T0));
    }

    #[test]
    fn an_endpoint_that_is_failing_is_told_once() {
        let (rule, failing) = (DisableRule { failures: 10, after: DAY }, failed(7).state);
        assert!(rule.is_failing_anew(&failing));
        let told = EndpointState { failing: Some(EventId::new(T0)), ..failing };
        assert!(!rule.is_failing_anew(&told));
        assert!(!rule.is_failing_anew(&failed(4).state));
    }

    #[test]
    fn half_of_the_failures_that_disable_an_endpoint_are_told() {
        let is_failing =
            |failures, count| DisableRule { failures, after: DAY }.is_failing(&failed(count).state);
        assert_eq!([4, 5, 6].map(|count| is_failing(10, count)), [false, true, true]);
        assert_eq!([1, 2].map(|count| is_failing(3, count)), [false, true]);
        assert_eq!([0, 1].map(|count| is_failing(1, count)), [false, true]);
        assert_eq!([0, 40].map(|count| is_failing(0, count)), [false, false]);
    }
}
