//! The erasure of a project's rows, in steps. The request that asks for it closes the project at once: it takes away the
//! project's row, its keys, and, by a mark, its routing rows. A job does the rest, and carries its stage.
//!
//! A process that read a row before the mark may still write another: an acceptance its event, an attempt its record, a
//! replay its deliveries. So the endpoints go first. Then the job waits until no such write can be under way, and then the
//! rows of events and deliveries go. The first copy of the routing row is the last row of all: while it is there, a step that
//! comes again finds the rows that are left.
//!
//! (Rejected: conditions on the project in each of these writes, which would make each of them a transaction.)

use std::time::Duration;

use crate::decision::longest_write;
use crate::job::{ErasureJob, ErasureStage};
use crate::route::Routes;
use crate::shards::{Shard, Shards};
use crate::time::Timestamp;

/// How long a request that erases a project or an account keeps new keys, portal links, sessions and projects out. It
/// has its answer by then.
pub const CLOSED_FOR: Duration = Duration::from_secs(60);

/// The job is sent before the mark is written. While there is no mark, the job looks again every [`LOOK_AGAIN`]. After
/// [`UNMARKED_FOR`] it gives up: the request failed, and its caller has got no 202.
const UNMARKED_FOR: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a job that wakes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureStep {
    /// Nothing is left of the project.
    Finished,
    /// The project lives: the request that sent this job did not end.
    NeverMarked,
    NotYet {
        wait: Duration,
    },
    /// The next step is due.
    Due,
}

/// Chooses the act of a job. `routes` is the first copy of the project's routing row.
#[must_use]
pub fn on_wake(job: &ErasureJob, routes: Option<&Routes>, now: Timestamp) -> ErasureStep {
    match (routes, job.stage) {
        (None, _) => ErasureStep::Finished,
        (Some(routes), _) if !routes.is_erased => {
            if now < job.asked_at.plus(UNMARKED_FOR) {
                ErasureStep::NotYet { wait: LOOK_AGAIN }
            } else {
                ErasureStep::NeverMarked
            }
        }
        (Some(_), ErasureStage::Events { not_before, .. }) if now < not_before => {
            ErasureStep::NotYet { wait: not_before.since(now) }
        }
        (Some(_), _) => ErasureStep::Due,
    }
}

impl ErasureStage {
    /// The stage after this one is done; `None` at the end.
    #[must_use]
    pub fn next(self, shards: Shards, now: Timestamp, api_timeout: Duration) -> Option<Self> {
        match self {
            Self::Endpoints => {
                Some(Self::Events { shard: Shard::FIRST, not_before: now.plus(longest_write(api_timeout)) })
            }
            Self::Events { shard, not_before } => Some(
                shards
                    .all()
                    .find(|next| *next > shard)
                    .map_or(Self::FormerEndpoints, |shard| Self::Events { shard, not_before }),
            ),
            Self::FormerEndpoints => Some(Self::Project),
            Self::Project => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ProjectId;

    const T0: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn after(seconds: u64) -> Timestamp {
        T0.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_step_follows_the_mark_and_a_pause_in_which_every_write_ends() {
        let job = ErasureJob { project_id: ProjectId::new(T0), asked_at: T0, stage: ErasureStage::Endpoints };
        let living = Routes::none(Shards::ONE);
        let marked = Routes { is_erased: true, ..living.clone() };
        assert_eq!(on_wake(&job, Some(&living), after(59)), ErasureStep::NotYet { wait: LOOK_AGAIN });
        assert_eq!(on_wake(&job, Some(&living), after(60)), ErasureStep::NeverMarked);
        assert_eq!(on_wake(&job, Some(&marked), T0), ErasureStep::Due);
        assert_eq!(on_wake(&job, None, T0), ErasureStep::Finished);
        let waits =
            ErasureJob { stage: ErasureStage::Events { shard: Shard(0), not_before: after(120) }, ..job };
        let wait = Duration::from_secs(20);
        assert_eq!(on_wake(&waits, Some(&marked), after(100)), ErasureStep::NotYet { wait });
        assert_eq!(on_wake(&waits, Some(&marked), after(120)), ErasureStep::Due);
    }

    #[test]
    fn every_shard_comes_between_the_endpoints_and_the_last_rows() {
        let shards = Shards::new(3).expect("a number");
        let mut stage = ErasureStage::Endpoints;
        let mut met = vec![stage];
        while let Some(next) = stage.next(shards, T0, Duration::from_secs(15)) {
            met.push(next);
            stage = next;
        }
        let events = |shard| ErasureStage::Events { shard: Shard(shard), not_before: after(120) };
        let last = [ErasureStage::FormerEndpoints, ErasureStage::Project];
        assert_eq!(met, [&[ErasureStage::Endpoints, events(0), events(1), events(2)][..], &last].concat());
    }
}
