//! Whole hours, and the hours that a question about statistics covers.

use std::time::Duration;

use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);

/// The number of hours that the answer covers without `since`. The last one is the hour of `until`.
const USUAL_HOURS: u32 = 24;

/// An hour of the clock in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(Timestamp);

impl Hour {
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        let millis = at.as_millis();
        Self(Timestamp::from_millis(millis - millis % 3_600_000))
    }

    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.0
    }

    #[must_use]
    pub fn end(self) -> Timestamp {
        self.0.plus(HOUR)
    }
}

/// The hours from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub first: Hour,
    pub last: Hour,
}

/// Why a period is refused; to complete a 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeriod {
    #[error("since must be before until")]
    Backwards,
    #[error("since must be at most {days} days before until")]
    TooLong { days: u32 },
}

impl Period {
    /// Every hour that has a part at `since` or later and before `until`.
    ///
    /// # Errors
    /// When there is none, or the time from `since` to `until` is longer than `most_days`.
    pub fn new(
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        most_days: u32,
        now: Timestamp,
    ) -> Result<Self, NotAPeriod> {
        // The moment itself is excluded, and a question without `until` includes this hour even when it has just begun.
        let until = until.unwrap_or_else(|| Hour::of(now).end());
        let last = Hour::of(until.minus(Duration::from_millis(1)));
        let since = since.unwrap_or_else(|| last.start().minus(HOUR * (USUAL_HOURS - 1)));
        if since >= until {
            return Err(NotAPeriod::Backwards);
        }
        if until.since(since) > HOUR * 24 * most_days {
            return Err(NotAPeriod::TooLong { days: most_days });
        }
        Ok(Self { first: Hour::of(since), last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn period(since: Option<&str>, until: Option<&str>) -> Result<(String, String), NotAPeriod> {
        let now = at("2026-04-12T15:51:59.499Z");
        let period = Period::new(since.map(at), until.map(at), 31, now)?;
        Ok((period.first.start().to_string(), period.last.end().to_string()))
    }

    fn hours(first: &str, end: &str) -> Result<(String, String), NotAPeriod> {
        Ok((first.to_owned(), end.to_owned()))
    }

    #[test]
    fn by_default_it_is_this_hour_and_the_23_before() {
        assert_eq!(period(None, None), hours("2026-04-11T16:00:00.000Z", "2026-04-12T16:00:00.000Z"));
    }

    #[test]
    fn hours_are_whole_and_until_is_excluded() {
        let day = hours("2026-04-12T10:00:00.000Z", "2026-04-12T12:00:00.000Z");
        assert_eq!(period(Some("2026-04-12T10:30:00Z"), Some("2026-04-12T12:00:00Z")), day);
        assert_eq!(period(Some("2026-04-12T12:00:00+02:00"), Some("2026-04-12T11:00:00.001Z")), day);
    }

    #[test]
    fn it_goes_forwards_and_is_not_too_long() {
        let noon = Some("2026-04-12T12:00:00Z");
        assert_eq!(period(noon, noon), Err(NotAPeriod::Backwards));
        assert_eq!(period(Some("2026-04-13T00:00:00Z"), None), Err(NotAPeriod::Backwards));
        assert_eq!(
            period(Some("2026-03-12T12:00:00Z"), noon),
            hours("2026-03-12T12:00:00.000Z", "2026-04-12T12:00:00.000Z")
        );
        assert_eq!(period(Some("2026-03-12T11:59:59Z"), noon), Err(NotAPeriod::TooLong { days: 31 }));
    }

    #[test]
    fn the_beginning_of_time_has_an_hour_too() {
        assert_eq!(Hour::of(Timestamp::from_millis(0)).start(), Timestamp::from_millis(0));
        assert!(period(None, Some("1970-01-01T00:00:00.001Z")).is_ok());
        assert_eq!(period(None, Some("1970-01-01T00:00:00Z")), Err(NotAPeriod::Backwards));
    }
}
