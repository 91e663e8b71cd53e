//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

impl Timestamp {
    /// The present moment. Decisions take `now` as a value: the functions call this, and so do the parts of `shared` that
    /// depend on when they call AWS.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
