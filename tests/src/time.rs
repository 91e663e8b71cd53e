//! Moments as the service writes them, in milliseconds since the Unix epoch.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

/// # Panics
/// When the clock shows a time before 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests compare the service's times with the real time")]
pub fn now() -> i64 {
    millis(std::time::SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970"))
}

/// # Panics
/// When the number of milliseconds does not fit.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a duration of less than an age")
}

/// Reads a timestamp of the contract's one form, `2026-04-12T15:51:59.499Z`, and refuses every other.
///
/// # Panics
/// When the value is anything else.
#[must_use]
pub fn timestamp(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("not a timestamp: {value}"));
    let form = "dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, f)| if f == 'd' { c.is_ascii_digit() } else { c == f });
    assert!(fits, "not RFC 3339 in UTC with three decimals and Z: {text}");
    text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_millisecond()
}

/// The contract's form of a moment.
///
/// # Panics
/// When the moment lies beyond the year 9999.
#[must_use]
pub fn rfc3339(millis: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(millis).expect("a moment in range");
    moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_contracts_form_is_read() {
        assert_eq!(timestamp(&"2026-04-12T15:51:59.499Z".into()), 1_776_009_119_499);
        assert_eq!(rfc3339(1_776_009_119_499), "2026-04-12T15:51:59.499Z");
        let others = [
            "2026-04-12T15:51:59Z",
            "2026-04-12T15:51:59.499+00:00",
            "2026-04-12T15:51:59.4990Z",
            "2026-13-12T15:51:59.499Z",
        ];
        for other in others {
            assert!(std::panic::catch_unwind(|| timestamp(&other.into())).is_err(), "{other}");
        }
    }
}
