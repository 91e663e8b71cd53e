//! Milliseconds since the Unix epoch, and the contract's way of writing them.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// A moment in UTC, in whole milliseconds. Its text is like `2026-04-12T15:51:59.499Z` (contract §1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The form that [`Timestamp::parse`] reads, to complete "must be …".
pub const ALLOWED: &str = "an RFC 3339 time with seconds and offset, such as 2026-04-12T15:51:59.499Z";

/// The last moment of the year 9999, the largest that the contract's format can write.
const MAX_MILLIS: i64 = 253_402_300_799_999;

/// `jiff::Timestamp` ends a day before the year 9999 does, so moments are reckoned from this one.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

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
        read(text).map(Self::from_millis).ok_or(NotATimestamp)
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

/// Milliseconds since the epoch of a `date-time` (RFC 3339 §5.6). ISO 8601 has many more forms, and jiff reads
/// them, but their sender's meaning is a guess.
fn read(text: &str) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let has_form = date_time.bytes().zip(*b"0000-00-00T00:00:00").all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte.eq_ignore_ascii_case(&form),
    });
    let (millis, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
            let (fraction, offset) = rest.split_at(digits);
            (format!("{:0<3}", &fraction[..digits.min(3)]).parse::<i64>().ok()?, offset)
        }
        None => (0, rest),
    };
    let local: DateTime = has_form.then(|| date_time.parse().ok())??;
    let seconds = local.duration_since(EPOCH).as_secs() - offset_seconds(offset)?;
    Some(seconds * 1_000 + millis)
}

fn offset_seconds(offset: &str) -> Option<i64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |text: &str, below: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i64>().ok())?.filter(|number| *number < below)
    };
    let seconds = number(hours, 24)? * 3_600 + number(minutes, 60)? * 60;
    match offset.as_bytes()[0] {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp")]
pub struct NotATimestamp;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = EPOCH.saturating_add(SignedDuration::from_millis(self.0));
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
        for same in [
            "2026-04-12T15:51:59.499Z",
            "2026-04-12t15:51:59.499z",
            "2026-04-12T15:51:59.499999999999999Z",
            "2026-04-12T15:51:59.499-00:00",
            "2026-04-11T15:52:59.499-23:59",
        ] {
            assert_eq!(Timestamp::parse(same), expected, "{same}");
        }
        assert_eq!(Timestamp::parse("2026-04-12T15:51:59.4Z"), Ok(Timestamp::from_millis(1_776_009_119_400)));
        assert_eq!(Timestamp::parse("2016-12-31T23:59:60Z"), Timestamp::parse("2016-12-31T23:59:59Z"));
    }

    #[test]
    fn forms_that_rfc_3339_lacks_are_refused() {
        for bad in [
            "",
            "yesterday",
            "1776009119",
            "2026-04-12",
            "2026-04-12T15:51:59",
            "2026-04-12T15:51Z",
            "2026-04-12 15:51:59Z",
            "20260412T155159Z",
            "2026-W15-7T15:51:59Z",
            "+002026-04-12T15:51:59Z",
            "2026-04-12T15:51:59+0200",
            "2026-04-12T15:51:59+02",
            "2026-04-12T15:51:59+02:00:00",
            "2026-04-12T15:51:59+24:00",
            "2026-04-12T15:51:59+02:60",
            "2026-04-12T15:51:59 02:00",
            "2026-04-12T15:51:59é02:00",
            "2026-04-12T15:51:59.Z",
            "2026-04-12T15:51:59,499Z",
            "2026-04-12T15:51:59.499",
            "2026-04-12T15:51:59Z[UTC]",
            "2026-02-29T15:51:59Z",
            "2026-04-12T24:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(NotATimestamp), "{bad}");
        }
    }

    #[test]
    fn every_moment_to_the_end_of_9999_is_read_and_written() {
        for text in ["9999-12-31T23:59:59.999Z", "9999-12-31T00:00:00.000Z", "1970-01-01T00:00:00.000Z"] {
            assert_eq!(Timestamp::parse(text).map(|at| at.to_string()), Ok(text.to_owned()));
        }
        let last = Timestamp::parse("9999-12-31T23:59:59-23:59").expect("a time");
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z", "no later moment can be written");
    }
}
