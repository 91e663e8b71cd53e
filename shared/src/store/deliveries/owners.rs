//! The endpoints whose deliveries a page lists: one, or all of a project.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::future::try_join_all;
use serde::Deserialize;

use crate::delivery::Delivery;
use crate::endpoint::Endpoint;
use crate::event_name::EventName;
use crate::id::{DeliveryId, EndpointId, ProjectId};
use crate::partition::Partition;
use crate::shards::{Shard, Shards};
use crate::store::endpoints::settings_key;
use crate::store::{Store, StoreError, from_item};
use crate::time::Timestamp;

/// The endpoints of a page, with the buckets that can hold their deliveries. All have the same number of shards.
#[derive(Debug, Clone)]
pub struct Owners {
    pub(super) shards: Shards,
    /// Of the deliveries before this, the pending ones stand in the sparse index. For a project nothing tells it, so all of its
    /// pending deliveries are looked for in the partitions.
    pub(super) settled_to: Timestamp,
    endpoints: Vec<(EndpointId, BTreeSet<u8>)>,
}

/// What a page needs of an endpoint's settings.
#[derive(Deserialize)]
struct Owner {
    id: EndpointId,
    #[serde(with = "serde_dynamo::number_set")]
    buckets_ever: BTreeSet<u8>,
}

impl From<&Endpoint> for Owners {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            shards: endpoint.shards,
            settled_to: endpoint.settled_to(),
            endpoints: vec![(endpoint.id, endpoint.buckets_ever.clone())],
        }
    }
}

impl Owners {
    /// The partitions that can hold deliveries of this name, or of any name.
    #[must_use]
    pub fn partitions(&self, name: Option<&EventName>) -> Vec<(EndpointId, Partition)> {
        let wanted = name.map(EventName::buckets);
        let of_endpoint = |(id, buckets): &(EndpointId, BTreeSet<u8>)| {
            let buckets =
                buckets.iter().copied().filter(|bucket| wanted.is_none_or(|wanted| wanted.contains(bucket)));
            let id = *id;
            Partition::all(buckets, self.shards).into_iter().map(move |partition| (id, partition))
        };
        self.endpoints.iter().flat_map(of_endpoint).collect()
    }

    /// Whether a page sees every earlier write: that of one endpoint whose rows are in one shard.
    pub(super) fn are_read_strongly(&self) -> bool {
        self.shards == Shards::ONE && self.endpoints.len() == 1
    }

    /// The parts of the sparse index.
    pub(super) fn shards(&self) -> Vec<(EndpointId, Shard)> {
        let of_endpoint = |(id, _): &(EndpointId, BTreeSet<u8>)| {
            let id = *id;
            self.shards.all().map(move |shard| (id, shard))
        };
        self.endpoints.iter().flat_map(of_endpoint).collect()
    }
}

impl Store {
    /// All endpoints of a project; `None` when there is no such project. An endpoint that was just made or deleted may be
    /// missing.
    pub async fn owners(&self, project_id: &ProjectId, copy: Shard) -> Result<Option<Owners>, StoreError> {
        let Some(routes) = self.routing_row(project_id, copy).await? else { return Ok(None) };
        let ids: Vec<EndpointId> = routes.endpoints.into_keys().collect();
        let reads = ids.chunks(100).map(|ids| async {
            // Buckets are only ever added, and the list may be a moment late, so half the price will do.
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(ids.iter().map(settings_key).collect()))
                .projection_expression("id, buckets_ever");
            let wanted = HashMap::from([(self.tables.endpoints.clone(), wanted.build()?)]);
            let mut found = self.batch_get(wanted).await?;
            let rows = found.remove(&self.tables.endpoints).unwrap_or_default().into_iter();
            rows.map(from_item).collect::<Result<Vec<Owner>, _>>()
        });
        let owners = try_join_all(reads).await?.into_iter().flatten();
        let endpoints = owners.map(|owner| (owner.id, owner.buckets_ever)).collect();
        Ok(Some(Owners { shards: routes.shards, settled_to: Timestamp::from_millis(0), endpoints }))
    }

    /// The same for a page of the sparse index, which needs no buckets.
    pub async fn owners_by_id(
        &self,
        project_id: &ProjectId,
        copy: Shard,
    ) -> Result<Option<Owners>, StoreError> {
        let Some(routes) = self.routing_row(project_id, copy).await? else { return Ok(None) };
        let endpoints = routes.endpoints.into_keys().map(|id| (id, BTreeSet::new())).collect();
        Ok(Some(Owners { shards: routes.shards, settled_to: Timestamp::from_millis(0), endpoints }))
    }
    /// The delivery with its attempts, of whichever of these endpoints has it, unless it has expired. A delivery's id tells its
    /// shard and its bucket, and not its endpoint.
    pub async fn delivery_of_any(
        &self,
        owners: &Owners,
        project_id: &ProjectId,
        id: &DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let places: Vec<_> = owners.endpoints.iter().map(|(endpoint_id, _)| (*endpoint_id, *id)).collect();
        let found = self.deliveries_by_id(&places).await?.remove(id);
        Ok(found.filter(|delivery| delivery.project_id == *project_id && !delivery.is_expired(now)))
    }
}
