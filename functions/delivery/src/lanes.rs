//! Which queue a job came through, and when waiting retries must leave theirs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use echo_shared::decision::Lane;
use echo_shared::queue::Queue;
use tokio::time::Instant;

use crate::Queues;

/// A standard queue holds about 120,000 messages in flight, hidden ones included, and past that hands out nothing at
/// all. Past half of it waiting retries are sent again with a delay instead, which does not count.
const CROWDED_ABOVE: u64 = 60_000;

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Lane(Lane),
    DeadLetters,
}

impl Queues {
    /// The queue of that name, and what it is for. An unknown one, as of a sample event, is taken for the fast lane.
    pub(crate) fn named(&self, name: &str) -> (Source, &Queue) {
        if name == self.retries.name() {
            (Source::Lane(Lane::Slow), &self.retries)
        } else if name == self.dead_letters.name() {
            (Source::DeadLetters, &self.dead_letters)
        } else {
            (Source::Lane(Lane::Fast), &self.first_attempts)
        }
    }
}

/// How full the retries queue lately was; looked up at most every ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Crowding(Mutex<Look>);

#[derive(Debug, Default)]
struct Look {
    at: Option<Instant>,
    hidden: u64,
}

impl Crowding {
    pub(crate) async fn is_crowded(&self, retries: &Queue) -> bool {
        {
            let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if look.at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return look.hidden > CROWDED_ABOVE;
            }
            look.at = Some(Instant::now());
        }
        let hidden = retries.hidden().await;
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match hidden {
            Ok(hidden) => look.hidden = hidden,
            Err(error) => tracing::warn!(%error, "the retries queue could not be measured"),
        }
        look.hidden > CROWDED_ABOVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queues_name_tells_its_lane() {
        let sdk = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .build();
        let client = echo_shared::queue::client(&sdk);
        let queue = |name| Queue::new(client.clone(), format!("https://sqs.example/123456789012/{name}"));
        let queues = Queues {
            first_attempts: queue("s-FirstAttemptsQueue-1"),
            retries: queue("s-RetriesQueue-2"),
            dead_letters: queue("s-DeadLetterQueue-3"),
            parked: queue("s-ParkedQueue-4"),
        };
        for (name, source) in [
            ("s-FirstAttemptsQueue-1", Source::Lane(Lane::Fast)),
            ("s-RetriesQueue-2", Source::Lane(Lane::Slow)),
            ("s-DeadLetterQueue-3", Source::DeadLetters),
            ("sample", Source::Lane(Lane::Fast)),
            ("", Source::Lane(Lane::Fast)),
        ] {
            assert_eq!(queues.named(name).0, source, "{name}");
        }
    }
}
