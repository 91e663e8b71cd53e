//! The rows of deliveries: the first write of each, and the reads.

mod pages;
mod transitions;

pub use self::pages::DeliveryFilter;
pub(super) use self::pages::id_of;
pub use self::transitions::Advanced;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::future::try_join_all;

use crate::delivery::{Delivery, partition};
use crate::endpoint::Endpoint;
use crate::id::{DeliveryId, EndpointId, ProjectId};
use crate::job::DeliveryJob;
use crate::store::endpoints::{both_keys, of_parts};
use crate::store::inserts::{insert_each, put_all_new, put_new};
use crate::store::statements::Written;
use crate::store::{Item, Store, StoreError, from_item, key, row, text};
use crate::time::Timestamp;

/// A batch read takes a hundred rows, and a job has one of its delivery and two of its endpoint.
const JOBS_AT_ONCE: usize = 33;

/// The rows that the delivery function reads for a whole batch before it decides.
#[derive(Debug, Default)]
pub struct Loaded {
    pub deliveries: HashMap<DeliveryId, Delivery>,
    pub endpoints: HashMap<(ProjectId, EndpointId), Endpoint>,
}

pub(super) fn delivery_key(endpoint_id: &EndpointId, id: &DeliveryId) -> Item {
    key([("partition", text(partition(endpoint_id, id.bucket()))), ("id", text(id))])
}

impl Store {
    /// Writes a delivery's first row. A row that exists already stays as it is.
    pub async fn create_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        put_new(&self.client, &self.tables.deliveries, delivery).await
    }

    /// Writes deliveries' first rows. A row that exists already stays as it is.
    ///
    /// # Errors
    /// After an error some of the rows may be written.
    pub async fn create_deliveries(&self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        put_all_new(&self.client, &self.tables.deliveries, deliveries).await
    }

    /// Writes the first rows of several events' deliveries together and says for each whether its row certainly exists.
    /// The caller passes the others to [`Self::create_deliveries`], which returns the reason.
    pub async fn try_create_deliveries(&self, deliveries: &[Delivery]) -> Vec<bool> {
        let written = insert_each(&self.client, &self.tables.deliveries, deliveries, |row| row.id).await;
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

    /// The deliveries and endpoints of jobs, read strongly consistently, in one request for each hundred rows.
    pub async fn load(&self, jobs: &[&DeliveryJob]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for jobs in jobs.chunks(JOBS_AT_ONCE) {
            let mut deliveries: HashMap<DeliveryId, Item> = HashMap::new();
            let endpoints: HashSet<EndpointId> = jobs.iter().map(|job| job.endpoint_id).collect();
            for job in jobs {
                deliveries.insert(job.delivery_id, delivery_key(&job.endpoint_id, &job.delivery_id));
            }
            let wanted = HashMap::from([
                (self.tables.deliveries.clone(), keys(deliveries.into_values())?),
                (self.tables.endpoints.clone(), keys(endpoints.iter().flat_map(both_keys))?),
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

    /// A batch read that asks again for the keys that DynamoDB left unprocessed.
    pub(super) async fn batch_get(
        &self,
        mut wanted: HashMap<String, KeysAndAttributes>,
    ) -> Result<HashMap<String, Vec<Item>>, StoreError> {
        let mut found: HashMap<String, Vec<Item>> = HashMap::new();
        for round in 0..5_u32 {
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(25 << round)).await;
            }
            let answer = self.client.batch_get_item().set_request_items(Some(wanted)).send().await?;
            for (table, items) in answer.responses.unwrap_or_default() {
                found.entry(table).or_default().extend(items);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("a batch read was left unprocessed".into()))
    }
}

pub(super) fn keys(keys: impl Iterator<Item = Item>) -> Result<KeysAndAttributes, StoreError> {
    let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true);
    Ok(wanted.build()?)
}
