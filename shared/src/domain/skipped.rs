//! The endpoints that an event skipped, as its row keeps them: 17 bytes for each, so that an event which 49 of 50 endpoints
//! do not want costs no write unit more.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::bytes;
use crate::endpoint::SkipReason;
use crate::id::EndpointId;

/// An id and the reason.
const BYTES_EACH: usize = 17;

const NOT_SUBSCRIBED: u8 = 0;
const ENDPOINT_DISABLED: u8 = 1;
const FILTERED: u8 = 2;

/// An endpoint that existed when the event came, but got no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedEndpoint {
    pub endpoint_id: EndpointId,
    pub reason: SkipReason,
}

/// The skipped endpoints of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped(pub Vec<SkippedEndpoint>);

impl Skipped {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn has(&self, id: &EndpointId) -> bool {
        self.0.iter().any(|skipped| skipped.endpoint_id == *id)
    }

    /// The others.
    #[must_use]
    pub fn without(&self, id: &EndpointId) -> Self {
        Self(self.0.iter().filter(|skipped| skipped.endpoint_id != *id).copied().collect())
    }

    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * BYTES_EACH);
        for skipped in &self.0 {
            bytes.extend(skipped.endpoint_id.as_uuid().as_bytes());
            bytes.push(match skipped.reason {
                SkipReason::NotSubscribed => NOT_SUBSCRIBED,
                SkipReason::EndpointDisabled => ENDPOINT_DISABLED,
                SkipReason::Filtered => FILTERED,
            });
        }
        bytes
    }

    /// `None` when the bytes do not come from [`Self::pack`].
    fn unpack(bytes: &[u8]) -> Option<Self> {
        let one = |bytes: &[u8]| {
            let (reason, id) = bytes.split_last()?;
            let reason = match *reason {
                NOT_SUBSCRIBED => SkipReason::NotSubscribed,
                ENDPOINT_DISABLED => SkipReason::EndpointDisabled,
                FILTERED => SkipReason::Filtered,
                _ => return None,
            };
            let endpoint_id = EndpointId::from_uuid(Uuid::from_slice(id).ok()?);
            Some(SkippedEndpoint { endpoint_id, reason })
        };
        bytes.chunks(BYTES_EACH).map(one).collect::<Option<_>>().map(Self)
    }
}

impl Serialize for Skipped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.pack())
    }
}

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize(deserializer, "the skipped endpoints' bytes", |bytes| Self::unpack(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_row_returns_what_was_written() {
        let id = |millis| EndpointId::new(Timestamp::from_millis(millis));
        let skipped = |endpoint_id, reason| SkippedEndpoint { endpoint_id, reason };
        let all = Skipped(vec![
            skipped(id(1_776_009_119_499), SkipReason::NotSubscribed),
            skipped(id(1_776_009_119_500), SkipReason::EndpointDisabled),
            skipped(id(1_776_009_119_501), SkipReason::Filtered),
        ]);
        let row = serde_dynamo::to_attribute_value::<_, serde_dynamo::AttributeValue>(&all).expect("a value");
        assert_eq!(row, serde_dynamo::AttributeValue::B(all.pack()));
        assert_eq!(all.pack().len(), 51);
        assert_eq!(serde_dynamo::from_attribute_value::<_, Skipped>(row).expect("the same"), all);
        assert!(all.has(&all.0[1].endpoint_id));
        assert_eq!(all.without(&all.0[2].endpoint_id), Skipped(all.0[..2].to_vec()));
        for damaged in [&all.pack()[..33], &[3; 17]] {
            assert_eq!(Skipped::unpack(damaged), None);
        }
    }
}
