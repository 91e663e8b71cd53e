//! Over how many partitions a project's busy rows are spread. DynamoDB accepts 1,000 write units a second for a partition
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html), and a busy project needs more.
//!
//! The number is chosen when the project is made, and stays. An event's shard follows from its id alone, so that the same id
//! always meets the same row. The deliveries of the event take its shard, and their ids tell it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::EventId;

/// The number of a project's shards: 1 to [`Shards::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shards(u8);

/// One of a project's shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(pub u8);

impl Shard {
    /// Each project has it.
    pub const FIRST: Self = Self(0);
}

impl Shards {
    pub const ONE: Self = Self(1);
    /// A transaction changes one row for each shard, and takes at most a hundred writes.
    pub const MOST: u8 = 64;

    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        (1..=Self::MOST).contains(&count).then_some(Self(count))
    }

    #[must_use]
    pub const fn count(self) -> u8 {
        self.0
    }

    /// The shard of an event and of its deliveries. Producers choose ids of any form, so the id is hashed.
    #[must_use]
    pub fn of(self, event_id: &EventId) -> Shard {
        let hash = Sha256::digest(event_id.as_uuid().as_bytes());
        Shard(hash[0] % self.0)
    }

    /// One of them, by a random number.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is less than 64")]
    pub const fn any(self, random: u32) -> Shard {
        Shard((random % self.0 as u32) as u8)
    }

    pub fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.0).map(Shard)
    }
}

impl Default for Shards {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_project_has_1_to_64_shards() {
        let counts = [0, 1, 64, 65].map(|count| Shards::new(count).map(Shards::count));
        assert_eq!(counts, [None, Some(1), Some(64), None]);
    }

    #[test]
    fn an_events_shard_is_one_of_the_projects() {
        let shards = Shards::new(16).expect("a number");
        let mut met = [0_u32; 16];
        for millis in 0..1_600 {
            let id = EventId::new(Timestamp::from_millis(1_776_009_119_000 + millis));
            assert_eq!(shards.of(&id), shards.of(&id));
            assert_eq!(Shards::ONE.of(&id), Shard(0));
            met[usize::from(shards.of(&id).0)] += 1;
        }
        // A hundred each on average. Fewer than forty would be a chance of one in a million million.
        assert!(met.iter().all(|count| *count > 40), "{met:?}");
    }
}
