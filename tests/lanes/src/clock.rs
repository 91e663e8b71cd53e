//! The time of day, as AWS stamps it on messages and invocations.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "stands in for AWS, whose clock this is")]
pub fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(0)
}

/// A setting of the tests themselves, such as which binaries to run.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "an entry point of the tests")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
