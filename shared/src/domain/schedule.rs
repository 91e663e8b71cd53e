//! The times of a failed delivery's further attempts.

use std::time::Duration;

/// The longest delay. With its jitter it must fit the twelve hours for which SQS can hide a message.
pub const MAX_DELAY_SECONDS: u64 = 39_600;

/// Jitter makes a retry later, and by at most this share of its delay.
const JITTER: f64 = 0.05;

/// The delays between automatic attempts. One attempt follows at once, and one more after each delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

impl RetrySchedule {
    /// Reads `RetryDelaysSeconds`, 1 to 10 comma-separated whole seconds of 1 to 39,600.
    ///
    /// # Errors
    /// When there are too few or too many delays, or one is out of range.
    pub fn parse(list: &str) -> Result<Self, String> {
        let delays = list
            .split(',')
            .map(|entry| match entry.trim().parse::<u64>() {
                Ok(seconds @ 1..=MAX_DELAY_SECONDS) => Ok(Duration::from_secs(seconds)),
                _ => Err(format!(
                    "'{}' is not a number of seconds from 1 to {MAX_DELAY_SECONDS}",
                    entry.trim()
                )),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if delays.len() > 10 {
            return Err(format!("{} delays; at most 10 are allowed", delays.len()));
        }
        Ok(Self(delays))
    }

    /// The delay after the failed automatic attempt with this number (1 is the first); `None` after the last one. `jitter` is
    /// random in 0..1.
    #[must_use]
    pub fn delay_after(&self, number: u32, jitter: f64) -> Option<Duration> {
        let delay = self.0.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        Some(delay.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_makes_four_attempts() {
        let schedule = RetrySchedule::parse("60,300,1800").expect("the default");
        let waits: Vec<_> = (1..=4).map(|number| schedule.delay_after(number, 0.0)).collect();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(waits, [seconds(60), seconds(300), seconds(1800), None]);
    }

    #[test]
    fn jitter_is_only_ever_later_and_within_a_tenth() {
        let schedule = RetrySchedule::parse("1000").expect("one delay");
        for jitter in [0.0, 0.5, 0.999] {
            let wait = schedule.delay_after(1, jitter).expect("a delay");
            assert!(wait >= Duration::from_secs(1000) && wait <= Duration::from_secs(1100));
        }
    }

    #[test]
    fn out_of_range_lists_are_refused() {
        for bad in ["", "0", "39601", "-1", "1.5", "60,", "1,1,1,1,1,1,1,1,1,1,1"] {
            assert!(RetrySchedule::parse(bad).is_err(), "{bad}");
        }
        assert!(RetrySchedule::parse("1, 39600").is_ok());
    }
}
