//! Messages in the dead-letter queue.

use std::time::Duration;

use async_trait::async_trait;

use super::{Path, hold_back};
use crate::lane::{DEAD, FIRST_ATTEMPTS, PARKED};
use crate::run::{Ending, Run};
use crate::sqs::Outgoing;

/// A job whose receives are used up: its delivery ends.
#[derive(Debug)]
pub(super) struct DeadLetter;

#[async_trait]
impl Path for DeadLetter {
    fn name(&self) -> &'static str {
        "dead-letter"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("internal")).await;
        run.lane.aws.sqs.move_all(FIRST_ATTEMPTS, DEAD);
    }
}

/// A message that is no job is parked as it is.
#[derive(Debug)]
pub(super) struct Parked;

const NO_JOB: &str = "{\"hello\": \"no job\"}";

#[async_trait]
impl Path for Parked {
    fn name(&self) -> &'static str {
        "parked"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.stop_mappings();
        let outgoing = Outgoing { body: NO_JOB.to_owned(), group: None, delay: Duration::ZERO };
        let sent = run.lane.aws.sqs.send(DEAD, outgoing);
        assert!(sent.is_ok(), "the dead-letter queue is there");
    }

    async fn check(&self, run: &Run<'_>) {
        let parked = run.lane.aws.sqs.bodies(PARKED);
        if parked.is_empty() || parked.iter().any(|body| body != NO_JOB) {
            run.violation(format!("lost: parked are {parked:?}"));
        }
    }
}
