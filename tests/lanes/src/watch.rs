//! Every call to AWS with its answer and its time, for measurements. The calls can be given a distance to AWS.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::function::Kind;
use crate::http::Reply;

/// One call as AWS would bill it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub kind: Kind,
    /// The invocation that made it.
    pub invocation: u64,
    pub is_sqs: bool,
    /// Such as `PutItem`.
    pub operation: String,
    /// Operation and table or queue, such as `PutItem events`.
    pub what: String,
    pub request_bytes: usize,
    pub reply: Reply,
    pub started: Instant,
    pub ended: Instant,
}

/// Sees nothing and adds no distance until it is told to.
#[derive(Debug, Default)]
pub struct Watch {
    distance_micros: AtomicU64,
    seen: Mutex<Option<Vec<Seen>>>,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Seen>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every call takes at least this long.
    pub fn set_distance(&self, distance: Duration) {
        let micros = u64::try_from(distance.as_micros()).unwrap_or(u64::MAX);
        self.distance_micros.store(micros, Ordering::Relaxed);
    }

    /// Keeps every call from now on. DynamoDB returns the units that each consumed.
    pub fn start(&self) {
        *self.lock() = Some(Vec::new());
    }

    /// Keeps no more calls and returns those that were.
    pub fn stop(&self) -> Vec<Seen> {
        self.lock().take().unwrap_or_default()
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.lock().is_some()
    }

    /// The request to carry out instead of `body`: one that also asks for the units that it consumes.
    #[must_use]
    pub fn metered(&self, is_dynamodb: bool, body: String) -> String {
        match body.strip_prefix('{') {
            Some(rest) if is_dynamodb && self.is_on() && rest.trim() != "}" => {
                format!(r#"{{"ReturnConsumedCapacity":"INDEXES",{rest}"#)
            }
            _ => body,
        }
    }

    /// Waits out the rest of the way to AWS and back.
    pub async fn travel(&self, started: Instant) {
        let distance = Duration::from_micros(self.distance_micros.load(Ordering::Relaxed));
        if !distance.is_zero() {
            tokio::time::sleep_until((started + distance).into()).await;
        }
    }

    pub fn note(&self, seen: impl FnOnce() -> Seen) {
        if let Some(all) = self.lock().as_mut() {
            all.push(seen());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_watched_dynamodb_is_asked_what_it_consumes() {
        let watch = Watch::default();
        let body = || r#"{"TableName":"t"}"#.to_owned();
        assert_eq!(watch.metered(true, body()), body());
        watch.start();
        assert_eq!(watch.metered(true, body()), r#"{"ReturnConsumedCapacity":"INDEXES","TableName":"t"}"#);
        assert_eq!(watch.metered(false, body()), body());
        assert!(watch.stop().is_empty());
        assert!(!watch.is_on());
    }
}
