//! The rows of deliveries: the first write of each, and the reads.

mod owners;
mod pages;
mod settle;
mod transitions;

pub use self::owners::Owners;
pub use self::pages::DeliveryFilter;
pub(super) use self::pages::id_of;
pub use self::transitions::Advanced;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};
use futures_util::future::try_join_all;

use crate::delivery::Delivery;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};
use crate::job::DeliveryJob;
use crate::partition::Partition;
use crate::store::batch_reads::keys;
use crate::store::endpoints::{both_keys, of_parts};
use crate::store::events::event_key;
use crate::store::inserts::{NewRow, insert_each, put_all_new, put_new};
use crate::store::statements::Written;
use crate::store::transactions::{self, any_condition_failed, first_condition_failed, transact};
use crate::store::{Item, Store, StoreError, from_item, key, row, text, to_item};
use crate::time::Timestamp;

/// The rows that the delivery function reads for a whole batch before it decides.
#[derive(Debug, Default)]
pub struct Loaded {
    pub deliveries: HashMap<DeliveryId, Delivery>,
    pub endpoints: HashMap<(ProjectId, EndpointId), Endpoint>,
    /// One event can have many of the deliveries, and its payload 256 KiB.
    pub events: HashMap<(ProjectId, EventId), Arc<Event>>,
}

/// The jobs whose rows are read in one request: four rows each, of which an event's can have 256 KiB. A request reads at
/// most 100 rows and 16 MiB (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
const JOBS_OF_A_READ: usize = 25;

pub(super) fn delivery_key(endpoint_id: &EndpointId, id: &DeliveryId) -> Item {
    key([("partition", text(Partition::of(id).key(endpoint_id))), ("id", text(id))])
}

impl Store {
    /// Writes a delivery's first row. A row that exists already stays as it is.
    pub async fn create_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        put_new(&self.client, self.new_delivery(delivery)?).await
    }

    /// As [`Self::create_delivery`], if the event that lists the delivery is still as it was read: neither gone nor erased. Its
    /// job may have read the event long before.
    ///
    /// # Errors
    /// When the event is no longer so: the job has to read again.
    pub async fn create_listed_delivery(&self, event: &Event, delivery: &Delivery) -> Result<(), StoreError> {
        let stays = if event.is_erased() { "event_id" } else { "payload" };
        let check = ConditionCheck::builder()
            .table_name(&self.tables.events)
            .set_key(Some(event_key(&event.project_id, Partition::of(&delivery.id).shard, &event.event_id)))
            .condition_expression(format!("attribute_exists({stays})"))
            .build()?;
        let writes = vec![
            TransactWriteItem::builder().condition_check(check).build(),
            transactions::put_new(&self.tables.deliveries, "id", to_item(delivery)?)?,
        ];
        match transact(&self.client, writes).await {
            Ok(()) => Ok(()),
            Err(error) if first_condition_failed(&error) => {
                Err(StoreError::Unavailable("an event was erased while its delivery was made".into()))
            }
            Err(error) if any_condition_failed(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes deliveries' first rows. A row that exists already stays as it is.
    ///
    /// # Errors
    /// After an error some of the rows may be written.
    pub async fn create_deliveries(&self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        let rows = deliveries.iter().map(|delivery| self.new_delivery(delivery));
        put_all_new(&self.client, rows.collect::<Result<_, _>>()?).await
    }

    pub(super) fn new_delivery(&self, delivery: &Delivery) -> Result<NewRow<'_>, StoreError> {
        let row = settle::entered(delivery, Timestamp::now());
        Ok(NewRow { table: &self.tables.deliveries, key: "id", item: to_item(&row)? })
    }

    /// Writes the first rows of several events' deliveries together and says for each whether its row certainly exists.
    /// The caller passes the others to [`Self::create_deliveries`], which returns the reason.
    pub async fn try_create_deliveries(&self, deliveries: &[Delivery]) -> Vec<bool> {
        let now = Timestamp::now();
        let rows: Vec<_> = deliveries.iter().map(|delivery| settle::entered(delivery, now)).collect();
        let written = insert_each(&self.client, &self.tables.deliveries, &rows, |row| row.id).await;
        written.into_iter().map(|written| written != Written::Unknown).collect()
    }

    /// The delivery with its attempts, unless it has expired.
    pub async fn delivery(
        &self,
        project_id: &ProjectId,
        endpoint_id: &EndpointId,
        id: &DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let delivery: Option<Delivery> =
            row(&self.client, &self.tables.deliveries, delivery_key(endpoint_id, id)).await?;
        Ok(delivery.filter(|delivery| delivery.project_id == *project_id && !delivery.is_expired(now)))
    }

    /// The deliveries, endpoints and events of jobs, read strongly consistently, in one request for each hundred rows.
    pub async fn load(&self, jobs: &[&DeliveryJob]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for jobs in jobs.chunks(JOBS_OF_A_READ) {
            let mut deliveries: HashMap<DeliveryId, Item> = HashMap::new();
            let endpoints: HashSet<EndpointId> = jobs.iter().map(|job| job.endpoint_id).collect();
            let mut events: HashMap<(ProjectId, EventId), Item> = HashMap::new();
            for job in jobs {
                deliveries.insert(job.delivery_id, delivery_key(&job.endpoint_id, &job.delivery_id));
                let event = (job.project_id, job.event_id);
                let shard = Partition::of(&job.delivery_id).shard;
                events.insert(event, event_key(&job.project_id, shard, &job.event_id));
            }
            let wanted = HashMap::from([
                (self.tables.deliveries.clone(), keys(deliveries.into_values())?),
                (self.tables.endpoints.clone(), keys(endpoints.iter().flat_map(both_keys))?),
                (self.tables.events.clone(), keys(events.into_values())?),
            ]);
            let mut found = self.batch_get(wanted).await?;
            for item in found.remove(&self.tables.deliveries).unwrap_or_default() {
                let delivery: Delivery = from_item(item)?;
                loaded.deliveries.insert(delivery.id, delivery);
            }
            for endpoint in of_parts(found.remove(&self.tables.endpoints).unwrap_or_default())?.into_values()
            {
                loaded.endpoints.insert((endpoint.project_id, endpoint.id), endpoint);
            }
            for item in found.remove(&self.tables.events).unwrap_or_default() {
                let event: Event = from_item(item)?;
                loaded.events.insert((event.project_id, event.event_id), Arc::new(event));
            }
        }
        Ok(loaded)
    }

    /// Deliveries by endpoint and id, a hundred in each request. The answer leaves out rows that are gone.
    pub async fn deliveries_by_id(
        &self,
        ids: &[(EndpointId, DeliveryId)],
    ) -> Result<HashMap<DeliveryId, Delivery>, StoreError> {
        let chunks = ids.chunks(100).map(|ids| async {
            let wanted = keys(ids.iter().map(|(endpoint_id, id)| delivery_key(endpoint_id, id)))?;
            let mut found = self.batch_get(HashMap::from([(self.tables.deliveries.clone(), wanted)])).await?;
            let items = found.remove(&self.tables.deliveries).unwrap_or_default();
            items.into_iter().map(from_item).collect::<Result<Vec<Delivery>, _>>()
        });
        let rows = try_join_all(chunks).await?.into_iter().flatten();
        Ok(rows.map(|delivery| (delivery.id, delivery)).collect())
    }
}
