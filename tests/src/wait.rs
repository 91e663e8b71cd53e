//! Waiting for a condition with a deadline, and watching that one holds. Nothing in the tests sleeps otherwise.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// Long enough for a busy machine; a test that needs it fails anyway.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(150);

/// Asks `probe` until it gives something, and panics with `what` when `patience` is over first.
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
        assert!(Instant::now() < deadline, "waited {patience:?} in vain: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Asks `probe` over and over for `period` and panics with what it complains about: for what must *not* happen.
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

/// Runs `count` copies of a request at once and gives all their results, in no particular order.
pub async fn at_once<T, F>(count: usize, request: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T>,
{
    futures_util::future::join_all((0..count).map(request)).await
}

/// Runs requests with at most `width` under way.
pub async fn bounded<T, F>(width: usize, requests: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T>,
{
    use futures_util::StreamExt as _;
    futures_util::stream::iter(requests).buffer_unordered(width).collect().await
}
