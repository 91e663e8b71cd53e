//! The end of a delivery whose job was received too often, so that its queue gave the job up.

use std::time::Duration;

use crate::delivery::{Delivery, FailureReason};
use crate::job::DeliveryJob;
use crate::time::Timestamp;
use crate::transition::Transition;

/// The job that the row names acts within this time, or is lost. A job that waits for longer is replaced by a new one about
/// once a day.
const ACTS_WITHIN: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The change that ends the delivery of a job that was given up; `None` if the delivery has ended, or if the job is a copy and the
/// job that the row names still acts. `is_told` says whether somebody is told of the end.
#[must_use]
pub fn given_up(delivery: &Delivery, job: &DeliveryJob, is_told: bool, now: Timestamp) -> Option<Transition> {
    let last_change = delivery.due_at().max(delivery.updated_at);
    let another_acts = job.chain != delivery.chain && now < last_change.plus(ACTS_WITHIN);
    if delivery.status.is_final() || another_acts {
        return None;
    }
    let ended = Transition::ended(delivery, FailureReason::Internal, now);
    Some(Transition { uncounted: is_told, ..ended })
}
