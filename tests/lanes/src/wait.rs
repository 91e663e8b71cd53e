//! Waiting for a condition with a deadline.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until the condition holds. Returns false when that takes longer than `most`.
#[must_use]
pub async fn until(most: Duration, is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + most;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(INTERVAL).await;
    }
    true
}
