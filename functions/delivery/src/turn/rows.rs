//! The rows that a turn's decisions are made on, the delivery's and its endpoint's, read strongly consistently.

use std::time::Duration;

use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::job::DeliveryJob;
use echo_shared::partition::Partition;
use echo_shared::store::{Loaded, Store, StoreError};
use echo_shared::time::Timestamp;
use tokio::time::timeout;

/// A read that takes longer leaves no time for an attempt and its record.
const LOAD_TIME: Duration = Duration::from_secs(7);

/// The rows of one job; either may be missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) delivery: Option<Delivery>,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Rows {
    pub(crate) fn of(job: &DeliveryJob, loaded: &Loaded) -> Self {
        let delivery = loaded.deliveries.get(&job.delivery_id);
        Self {
            // A job must not reach a row of another project.
            delivery: delivery.filter(|delivery| delivery.project_id == job.project_id).cloned(),
            endpoint: loaded.endpoints.get(&(job.project_id, job.endpoint_id)).cloned(),
        }
    }
}

/// # Errors
/// When DynamoDB did not answer for all rows in time.
pub(crate) async fn load(store: &Store, jobs: &[&DeliveryJob]) -> Result<Loaded, StoreError> {
    let late =
        |_| StoreError::Unavailable(format!("rows were not read within {} s", LOAD_TIME.as_secs()).into());
    timeout(LOAD_TIME, store.load(jobs)).await.map_err(late)?
}

/// Creates the row of a delivery that its event lists, for a job that arrived before the row was written.
/// `None` when there is no such event: the delivery has expired or never existed.
///
/// # Errors
/// When DynamoDB did not answer.
pub(crate) async fn create_missing(
    store: &Store,
    job: &DeliveryJob,
    now: Timestamp,
) -> Result<Option<Delivery>, StoreError> {
    let shard = Partition::of(&job.delivery_id).shard;
    let Some(event) = store.event(&job.project_id, shard, &job.event_id, now).await? else {
        return Ok(None);
    };
    let is_this = |id, endpoint_id| id == job.delivery_id && endpoint_id == job.endpoint_id;
    let Some(listed) = event.deliveries.iter().find(|listed| is_this(listed.id, listed.endpoint_id)) else {
        return Ok(None);
    };
    let delivery = Delivery::pending(&event, listed);
    store.create_delivery(&delivery).await?;
    Ok(Some(delivery))
}
