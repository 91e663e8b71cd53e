//! The rows that a turn's decisions are made on: the delivery's, its endpoint's and its event's, read strongly consistently.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::delivery::Delivery;
use echo_shared::endpoint::Endpoint;
use echo_shared::event::Event;
use echo_shared::job::DeliveryJob;
use echo_shared::store::{Loaded, Store, StoreError};
use tokio::time::timeout;

/// A read that takes longer leaves no time for an attempt and its record.
const LOAD_TIME: Duration = Duration::from_secs(7);

/// The rows of one job; each may be missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) delivery: Option<Delivery>,
    pub(crate) endpoint: Option<Endpoint>,
    /// The event, if its row lists the delivery.
    pub(crate) event: Option<Arc<Event>>,
}

impl Rows {
    pub(crate) fn of(job: &DeliveryJob, loaded: &Loaded) -> Self {
        let delivery = loaded.deliveries.get(&job.delivery_id);
        let event = loaded.events.get(&(job.project_id, job.event_id));
        Self {
            // A job must not reach a row of another project.
            delivery: delivery.filter(|delivery| delivery.project_id == job.project_id).cloned(),
            endpoint: loaded.endpoints.get(&(job.project_id, job.endpoint_id)).cloned(),
            event: event.filter(|event| event.listed(job).is_some()).cloned(),
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
///
/// # Errors
/// When DynamoDB did not answer, or the event has been erased meanwhile.
pub(crate) async fn create_missing(
    store: &Store,
    job: &DeliveryJob,
    event: Option<&Event>,
) -> Result<Option<Delivery>, StoreError> {
    let Some((event, listed)) = event.and_then(|event| Some((event, event.listed(job)?))) else {
        return Ok(None);
    };
    let delivery = Delivery::pending(event, listed);
    store.create_listed_delivery(event, &delivery).await?;
    Ok(Some(delivery))
}
