//! An operational event as it is told. One that somebody could not be told stays on its delivery's row until it is.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event_name::{EventName, OPERATIONAL};
use crate::id::EventId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Half of the failures in a row that disable an endpoint have happened. It is told once, until a delivery succeeds.
    EndpointFailing,
    /// We disabled the endpoint, because its deliveries failed for too long or its receiver answered 410 Gone.
    EndpointDisabled,
    /// A delivery succeeded after others had failed, or after we had disabled the endpoint.
    EndpointRecovered,
    /// A delivery failed, and its last attempt was an automatic one.
    DeliveryFailed,
}

impl Kind {
    pub const ALL: [Self; 4] =
        [Self::EndpointDisabled, Self::EndpointRecovered, Self::DeliveryFailed, Self::EndpointFailing];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointDisabled => OPERATIONAL[0],
            Self::EndpointRecovered => OPERATIONAL[1],
            Self::DeliveryFailed => OPERATIONAL[2],
            Self::EndpointFailing => OPERATIONAL[3],
        }
    }

    #[must_use]
    pub fn event_name(self) -> EventName {
        EventName::from_stored(self.name())
    }
}

/// An operational event, the same for the project, for the operator's project and for the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub kind: Kind,
    pub event_id: EventId,
    /// JSON.
    pub data: String,
}

impl Notice {
    /// # Errors
    /// When the data is not JSON.
    pub fn raw_data(&self) -> serde_json::Result<&RawValue> {
        serde_json::from_str(&self.data)
    }
}
