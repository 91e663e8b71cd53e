//! Milliseconds since the Unix epoch, and the contract's way of writing them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in UTC, in whole milliseconds. Its text is like `2026-04-12T15:51:59.499Z` (contract §1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The last moment of the year 9999, the largest that the contract's format can write.
const MAX_MILLIS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// Clamped to the years 1970 to 9999, the range of an id and of the text.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        let floored = if millis < 0 { 0 } else { millis };
        Self(if floored > MAX_MILLIS { MAX_MILLIS } else { floored })
    }

    /// Reads RFC 3339 with any offset; digits past the millisecond are dropped.
    ///
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, NotATimestamp> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| NotATimestamp)?;
        Ok(Self::from_millis(parsed.as_millisecond()))
    }

    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, for `webhook-timestamp` and for DynamoDB's TTL.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp")]
pub struct NotATimestamp;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_three_decimals_and_z() {
        assert_eq!(Timestamp::from_millis(1_776_009_119_499).to_string(), "2026-04-12T15:51:59.499Z");
        assert_eq!(Timestamp::from_millis(1_776_009_119_000).to_string(), "2026-04-12T15:51:59.000Z");
    }

    #[test]
    fn any_offset_is_read() {
        let expected = Ok(Timestamp::from_millis(1_776_009_119_499));
        assert_eq!(Timestamp::parse("2026-04-12T17:51:59.4999+02:00"), expected);
        assert_eq!(Timestamp::parse("2026-04-12T15:51:59.499Z"), expected);
        for bad in ["", "yesterday", "2026-04-12", "2026-04-12T15:51:59", "1776009119"] {
            assert_eq!(Timestamp::parse(bad), Err(NotATimestamp), "{bad}");
        }
    }
}
