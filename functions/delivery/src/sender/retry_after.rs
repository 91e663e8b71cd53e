//! The `retry-after` header, in both its forms (RFC 9110 §10.2.3).

use std::time::{Duration, UNIX_EPOCH};

use echo_shared::time::Timestamp;

/// Later parts of a line are not read: a receiver must not keep the processor busy.
const MOST_PARTS: usize = 64;

/// The longest wait that the header's lines ask for. A line may hold several values, and a date holds a comma, so each
/// part of a line and each two neighbours are tried; other text is overlooked.
pub(crate) fn longest(lines: &[String], now: Timestamp) -> Option<Duration> {
    let in_line = |line: &String| {
        let parts: Vec<&str> = line.split(',').take(MOST_PARTS).collect();
        let alone = parts.iter().filter_map(|part| parse(part, now)).max();
        let together = parts.windows(2).filter_map(|pair| parse(&pair.join(","), now)).max();
        alone.max(together)
    };
    lines.iter().filter_map(in_line).max()
}

/// How long from `now` a value asks to wait; `None` when it says nothing that can be understood.
fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time too; the decision caps it.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let at = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(now.since(Timestamp::from_millis(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_of_several_counts() {
        // 2026-04-12T15:51:59.500Z
        let now = Timestamp::from_millis(1_776_009_119_500);
        let cases: [(&[&str], Option<u64>); 7] = [
            (&["5, 5"], Some(5_000)),
            (&["3, 7", "5"], Some(7_000)),
            (&["soon", "6"], Some(6_000)),
            (&["Sun, 12 Apr 2026 15:53:00 GMT"], Some(60_500)),
            (&["5, Sun, 12 Apr 2026 15:53:00 GMT, soon"], Some(60_500)),
            (&["soon, later"], None),
            (&[], None),
        ];
        for (lines, expected) in cases {
            let owned: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(longest(&owned, now), expected.map(Duration::from_millis), "{lines:?}");
        }
    }

    #[test]
    fn both_forms_are_read() {
        // 2026-04-12T15:51:59.500Z
        let now = Timestamp::from_millis(1_776_009_119_500);
        let millis = |ms| Some(Duration::from_millis(ms));
        let cases = [
            ("120", millis(120_000)),
            (" 0 ", millis(0)),
            ("99999999999999999999999", millis(u64::from(u32::MAX) * 1_000)),
            ("Sun, 12 Apr 2026 15:53:00 GMT", millis(60_500)),
            ("Sunday, 12-Apr-26 15:53:00 GMT", millis(60_500)),
            ("Sun Apr 12 15:53:00 2026", millis(60_500)),
            ("Sun, 12 Apr 2026 15:51:00 GMT", millis(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("2026-04-12T15:53:00Z", None),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(value, now), expected, "{value}");
        }
    }
}
