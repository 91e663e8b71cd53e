//! What one attempt may read from its receiver: so many bytes, until its deadline.
//!
//! hyper bounds a head and each part of a body, but neither how many interim answers it skips nor the zeros before a
//! chunk's size, and it reads on without giving way while there is something to read.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// More than twice what hyper holds of one answer's head, with TLS around it; of a body far less is kept.
const MOST_BYTES: usize = 1 << 20;

/// Shared by a client and its connections. The client makes one attempt at a time.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<Mutex<Left>>);

#[derive(Debug)]
struct Left {
    bytes: usize,
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Spent {
    #[error("the deadline has passed")]
    Time,
    #[error("the receiver sent too much")]
    Bytes,
}

impl From<Spent> for io::Error {
    fn from(spent: Spent) -> Self {
        Self::other(spent)
    }
}

impl Allowance {
    /// Nothing may be read before the first attempt.
    pub(crate) fn none() -> Self {
        Self(Arc::new(Mutex::new(Left { bytes: 0, deadline: Instant::now() })))
    }

    /// A new attempt begins.
    pub(crate) fn renew(&self, deadline: Instant) {
        *self.left() = Left { bytes: MOST_BYTES, deadline };
    }

    /// # Errors
    /// When nothing more may be read.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Spent> {
        let left = self.left();
        match left.bytes {
            _ if now >= left.deadline => Err(Spent::Time),
            0 => Err(Spent::Bytes),
            _ => Ok(()),
        }
    }

    pub(crate) fn take(&self, bytes: usize) {
        let mut left = self.left();
        left.bytes = left.bytes.saturating_sub(bytes);
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_attempt_has_its_bytes_and_its_time_and_the_next_has_its_own() {
        let now = Instant::now();
        let deadline = now + Duration::from_secs(1);
        let allowance = Allowance::none();
        assert!(allowance.check(now + Duration::from_millis(1)).is_err());
        allowance.renew(deadline);
        allowance.take(MOST_BYTES - 1);
        assert_eq!(allowance.check(now), Ok(()));
        assert_eq!(allowance.check(deadline), Err(Spent::Time));
        allowance.take(2);
        assert_eq!(allowance.check(now), Err(Spent::Bytes));
        allowance.renew(deadline);
        assert_eq!(allowance.check(now), Ok(()));
    }
}
