//! The times that all work in steps keeps: replays, erasures and the sweep.

use std::time::Duration;

/// The pause between two steps, so that the work leaves room for other work.
pub(crate) const STEP_DELAY: Duration = Duration::from_secs(1);

/// How long a step waits when it cannot go on yet.
pub(crate) const NOT_YET: Duration = Duration::from_secs(3);
