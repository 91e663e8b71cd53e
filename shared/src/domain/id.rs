//! Ids. Each noun has an id type of its own, so that nobody can pass an endpoint's id where a delivery's id belongs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a hyphenated UUID")]
pub struct NotAnId;

/// Reads the hyphenated form alone. The `uuid` crate would also read braces, URNs and bare hex.
fn parse_hyphenated(text: &str) -> Result<Uuid, NotAnId> {
    if text.len() != 36 {
        return Err(NotAnId);
    }
    Uuid::try_parse(text).map_err(|_| NotAnId)
}

/// A UUIDv7 of that millisecond with random low bits.
fn v7(at: Timestamp) -> Uuid {
    let mut random = [0_u8; 10];
    rand::fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.as_millis()).unwrap_or(0), &random).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new UUIDv7; `at` can be read back by [`Self::created_at`].
            #[must_use]
            pub fn new(at: Timestamp) -> Self {
                Self(v7(at))
            }

            /// # Errors
            /// When the text is not a hyphenated UUID, in either case.
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                parse_hyphenated(text).map(Self)
            }

            /// The time inside the id, which is the time of creation (contract §1).
            #[must_use]
            pub fn created_at(&self) -> Timestamp {
                let (high, _) = self.0.as_u64_pair();
                Timestamp::from_millis(i64::try_from(high >> 16).unwrap_or(0))
            }

            /// The smallest id that can be made at `at`: the start of a range of keys.
            #[must_use]
            pub fn first_at(at: Timestamp) -> Self {
                let millis = u64::try_from(at.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
            }

            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// The id that [`Self::as_uuid`] gave.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// One person who signed up.
    AccountId
);
id!(
    /// One login.
    SessionId
);
id!(
    /// The sessions of an account that began since all earlier ones ended.
    SessionSetId
);
id!(
    /// The business an account gave at sign-up.
    BusinessId
);
id!(ProjectId);
id!(ApiKeyId);
id!(
    /// A link to the portal, and the session that it opens.
    PortalLinkId
);
id!(
    /// The contract's `webhookId`.
    EndpointId
);
id!(
    /// Chosen by the producer or made by us, and unique within its project.
    EventId
);
id!(
    /// One event to one endpoint. Its last two bytes name its row's partition.
    DeliveryId
);
id!(AttemptId);
id!(
    /// One entry of a project's activity list.
    AuditId
);
id!(ReplayId);

impl DeliveryId {
    /// A UUIDv7 with these last two bytes. Of its random bits 58 are left: two of a million ids of one millisecond that end
    /// alike are equal once in half a million times.
    #[must_use]
    pub fn ending_in(last: [u8; 2], at: Timestamp) -> Self {
        let mut bytes = v7(at).into_bytes();
        [bytes[14], bytes[15]] = last;
        Self(Uuid::from_bytes(bytes))
    }

    #[must_use]
    pub const fn last_bytes(&self) -> [u8; 2] {
        let bytes = self.0.as_bytes();
        [bytes[14], bytes[15]]
    }
}

/// One delivery in 128, on average, is a landmark.
const LANDMARKS: u8 = 128;

impl DeliveryId {
    /// Whether work that is due once in a while for an endpoint is done with this delivery. Landmarks are spread at random,
    /// so no row has to count the deliveries between two of them.
    #[must_use]
    pub const fn is_landmark(&self) -> bool {
        self.0.as_bytes()[13].is_multiple_of(LANDMARKS)
    }
}

impl EventId {
    /// The id of an event that follows from its cause alone: a UUIDv8 of the seed's hash.
    #[must_use]
    pub fn derived(seed: &str) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(seed)[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whether it is a UUIDv7 whose time is at most `within` from `at`, before or after.
    #[must_use]
    pub fn is_of_about(&self, at: Timestamp, within: Duration) -> bool {
        let tells_time = self.0.get_version_num() == 7 && self.0.get_variant() == uuid::Variant::RFC4122;
        let made = self.created_at();
        tells_time && made.since(at).max(at.since(made)) <= within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
        assert_eq!(EndpointId::parse(id).map(|id| id.to_string()), Ok(id.to_owned()));
        assert_eq!(EndpointId::parse(&id.to_uppercase()).map(|id| id.to_string()), Ok(id.to_owned()));
        let bad = [
            "",
            "not-a-uuid",
            "a1b2c3d4e5f67890abcdef1234567890",
            "{a1b2c3d4-e5f6-7890-abcd-ef1234567890}",
            "urn:uuid:a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "a1b2c3d4-e5f6-7890-abcd-ef123456789g",
        ];
        for text in bad {
            assert_eq!(EndpointId::parse(text), Err(NotAnId), "{text}");
        }
    }
}
