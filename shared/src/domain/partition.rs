//! Which of an endpoint's partitions holds a delivery. The delivery's id alone tells it.

use serde::{Deserialize, Serialize};

use crate::id::{DeliveryId, EndpointId};
use crate::shards::{Shard, Shards};
use crate::time::Timestamp;

/// The partition of an event's name and shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// [`crate::event_name::EventName::bucket`]
    pub bucket: u8,
    pub shard: Shard,
}

impl Partition {
    /// The partition of a delivery.
    #[must_use]
    pub const fn of(id: &DeliveryId) -> Self {
        let [shard, bucket] = id.last_bytes();
        Self { bucket, shard: Shard(shard) }
    }

    /// The partitions of some buckets, in order.
    #[must_use]
    pub fn all(buckets: impl IntoIterator<Item = u8>, shards: Shards) -> Vec<Self> {
        let of_bucket = |bucket| shards.all().map(move |shard| Self { bucket, shard });
        buckets.into_iter().flat_map(of_bucket).collect()
    }

    /// The id of a new delivery in this partition.
    #[must_use]
    pub fn new_id(self, now: Timestamp) -> DeliveryId {
        DeliveryId::ending_in([self.shard.0, self.bucket], now)
    }

    /// The table's key of this partition.
    #[must_use]
    pub fn key(self, endpoint_id: &EndpointId) -> String {
        format!("{endpoint_id}#{:02x}#{}", self.bucket, self.shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_id_tells_its_time_and_its_partition() {
        let at = Timestamp::from_millis(1_776_009_119_499);
        let partition = Partition { bucket: 0xfe, shard: Shard(63) };
        let id = partition.new_id(at);
        assert_eq!((id.created_at(), Partition::of(&id)), (at, partition));
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert!(DeliveryId::first_at(at) <= id);
        assert!(id < DeliveryId::first_at(Timestamp::from_millis(1_776_009_119_500)));
    }
}
