//! The queue that a job came through, and when waiting jobs must leave it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use echo_shared::decision::{CROWDED_ABOVE, Lane};
use echo_shared::queue::{MAX_MESSAGE_BYTES, Queue, QueueError, TEXT_TYPE};
use tokio::time::{Instant, timeout};

use crate::Queues;
use crate::message::Message;

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The longest time for which a batch waits for a look.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Lane(Lane),
    /// Events from outside.
    Intake,
    DeadLetters,
}

/// The intake queue's name in a parked message's `source`.
pub(crate) const INTAKE: &str = "intake";

impl Queues {
    /// Moves a message that cannot be used to the parked queue, with the reason as far as there is room for it.
    pub(crate) async fn park(
        &self,
        message: &Message,
        source: &str,
        body: &str,
        reason: &str,
    ) -> Result<(), QueueError> {
        let attributes = [("source", source), ("message_id", &message.id), ("reason", reason)];
        self.parked.send_text(body, &fitting_beside(body, &attributes)).await
    }

    /// The queue of a lane.
    pub(crate) const fn of(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::FirstAttempts => &self.first_attempts,
            Lane::Retries => &self.retries,
            Lane::Slow => &self.slow_endpoints,
        }
    }

    /// The queue of that name, and its use. An unknown name, as in a sample event, counts as the queue of first attempts.
    pub(crate) fn named(&self, name: &str) -> (Source, &Queue) {
        if name == self.intake.name() {
            (Source::Intake, &self.intake)
        } else if name == self.dead_letters.name() {
            (Source::DeadLetters, &self.dead_letters)
        } else {
            let lane = Lane::ALL.into_iter().find(|lane| name == self.of(*lane).name());
            let lane = lane.unwrap_or(Lane::FirstAttempts);
            (Source::Lane(lane), self.of(lane))
        }
    }
}

/// The attributes that fit into a message beside its body, in their order; the last one is cut to the room that is left. A
/// body that leaves no room is larger than an event may be, so its size tells the reason.
fn fitting_beside<'a>(body: &str, attributes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut room = MAX_MESSAGE_BYTES.saturating_sub(body.len());
    let mut fitting = Vec::new();
    for (index, (name, value)) in attributes.iter().enumerate() {
        room = room.saturating_sub(name.len() + TEXT_TYPE.len());
        let is_last = index + 1 == attributes.len();
        let value = if is_last { &value[..value.floor_char_boundary(room)] } else { value };
        if value.is_empty() || value.len() > room {
            break;
        }
        room -= value.len();
        fitting.push((*name, value));
    }
    fitting
}

/// How many messages were hidden in the queues at the last look. A look happens at most every ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Crowding {
    retries: Mutex<LastLook>,
    slow: Mutex<LastLook>,
    intake: Mutex<LastLook>,
}

#[derive(Debug, Default)]
struct LastLook {
    at: Option<Instant>,
    hidden: u64,
}

impl Crowding {
    /// The queue of first attempts hides no waiting jobs.
    const fn at(&self, lane: Lane) -> Option<&Mutex<LastLook>> {
        match lane {
            Lane::FirstAttempts => None,
            Lane::Retries => Some(&self.retries),
            Lane::Slow => Some(&self.slow),
        }
    }

    pub(crate) fn is_crowded(&self, lane: Lane) -> bool {
        self.at(lane).is_some_and(LastLook::is_crowded)
    }

    /// Whether the intake should hide no more events. Looks first, if the last look is ten seconds old.
    pub(crate) async fn is_intake_crowded(&self, queues: &Queues) -> bool {
        LastLook::again(&self.intake, &queues.intake).await;
        LastLook::is_crowded(&self.intake)
    }

    /// Looks again if the last look is ten seconds old. If SQS does not answer, the old number holds.
    pub(crate) async fn look(&self, lane: Lane, queues: &Queues) {
        if let Some(last) = self.at(lane) {
            LastLook::again(last, queues.of(lane)).await;
        }
    }
}

impl LastLook {
    fn is_crowded(last: &Mutex<Self>) -> bool {
        last.lock().unwrap_or_else(PoisonError::into_inner).hidden > CROWDED_ABOVE
    }

    async fn again(last: &Mutex<Self>, queue: &Queue) {
        {
            let mut look = last.lock().unwrap_or_else(PoisonError::into_inner);
            if look.at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return;
            }
            look.at = Some(Instant::now());
        }
        match timeout(LOOK_TIME, queue.hidden()).await {
            Ok(Ok(hidden)) => last.lock().unwrap_or_else(PoisonError::into_inner).hidden = hidden,
            Ok(Err(error)) => tracing::warn!(queue = queue.name(), %error, "a queue could not be measured"),
            Err(_) => tracing::warn!(queue = queue.name(), "a queue was not measured in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_and_then_left_out_where_the_body_leaves_no_room() {
        let attributes = [("source", "intake"), ("message_id", "m1"), ("reason", "pünktlich")];
        let beside = |room: usize| {
            let body = "x".repeat(MAX_MESSAGE_BYTES - room);
            let fitting = fitting_beside(&body, &attributes);
            let size = |(name, value): &(&str, &str)| name.len() + "String".len() + value.len();
            assert!(fitting.iter().map(size).sum::<usize>() <= room, "{fitting:?} in {room}");
            fitting
        };
        // 18, 18 and 22 bytes.
        assert_eq!(beside(1_000), attributes);
        assert_eq!(beside(58), attributes);
        assert_eq!(beside(57), [attributes[0], attributes[1], ("reason", "pünktlic")]);
        // The second letter is of two bytes.
        assert_eq!(beside(50), [attributes[0], attributes[1], ("reason", "p")]);
        assert_eq!(beside(48), attributes[..2]);
        assert_eq!(beside(35), attributes[..1]);
        assert_eq!(beside(18), attributes[..1]);
        assert_eq!(beside(17), []);
        assert_eq!(beside(0), []);
    }

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
            slow_endpoints: queue("s-SlowEndpointsQueue-6"),
            dead_letters: queue("s-DeadLetterQueue-3"),
            parked: queue("s-ParkedQueue-4"),
            intake: queue("s-IntakeQueue-5"),
        };
        for (name, source) in [
            ("s-FirstAttemptsQueue-1", Source::Lane(Lane::FirstAttempts)),
            ("s-RetriesQueue-2", Source::Lane(Lane::Retries)),
            ("s-SlowEndpointsQueue-6", Source::Lane(Lane::Slow)),
            ("s-DeadLetterQueue-3", Source::DeadLetters),
            ("s-IntakeQueue-5", Source::Intake),
            ("sample", Source::Lane(Lane::FirstAttempts)),
            ("", Source::Lane(Lane::FirstAttempts)),
        ] {
            assert_eq!(queues.named(name).0, source, "{name}");
        }
    }
}
