//! Waiting for a condition with a deadline, and watching that a condition holds. No test sleeps without one of these.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// Long enough for a busy machine. A test that waits this long fails anyway.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(150);

/// Asks `probe` until it gives a value, and panics with `what` if `patience` is over first.
///
/// # Panics
/// When the deadline passes.
pub async fn eventually<T, F>(what: impl Display, patience: Duration, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} without success: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Asks `probe` again and again for `period` and panics with its complaint: for things that must *not* happen.
///
/// # Panics
/// As soon as `probe` complains.
pub async fn throughout<F>(period: Duration, mut probe: impl FnMut() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let end = Instant::now() + period;
    while Instant::now() < end {
        if let Err(complaint) = probe().await {
            panic!("{complaint}");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Runs `count` copies of a request at the same time and gives all their results, in no particular order.
pub async fn at_once<T, F>(count: usize, request: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T>,
{
    futures_util::future::join_all((0..count).map(request)).await
}

/// Runs requests, at most `width` of them at the same time.
pub async fn bounded<T, F>(width: usize, requests: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T>,
{
    use futures_util::StreamExt as _;
    futures_util::stream::iter(requests).buffer_unordered(width).collect().await
}
