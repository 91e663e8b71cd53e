//! The queue message: "look at this delivery". What is due, and when, is on the delivery's own row.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{DeliveryId, EndpointId, EventId, ProjectId};
use crate::time::Timestamp;

/// The version this build writes and reads.
const VERSION: u64 = 1;

/// Names one job among those that may exist for a delivery. The delivery's row says whose turn it is, so a copy that
/// SQS or a repeated send made stands back instead of sending twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Chain(u32);

impl Chain {
    /// A random one: two jobs of one delivery share a chain once in four thousand million times.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    pub fn new() -> Self {
        Self(rand::random())
    }

    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        format!("{chain:?}")
    }
}

impl TryFrom<String> for Chain {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u32::from_str_radix(&text, 16).map(Self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryJob {
    pub project_id: ProjectId,
    pub endpoint_id: EndpointId,
    pub delivery_id: DeliveryId,
    pub event_id: EventId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// Set on a manual retry's job, which is sent just before the row changes: it waits for the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAJob {
    #[error("not a JSON object with a version and a job of it")]
    Malformed,
    #[error("version {0} is not known to this build")]
    UnknownVersion(u64),
}

impl DeliveryJob {
    #[must_use]
    pub fn encode(&self) -> String {
        #[derive(Serialize)]
        struct Versioned<'a> {
            v: u64,
            #[serde(flatten)]
            job: &'a DeliveryJob,
        }
        serde_json::to_string(&Versioned { v: VERSION, job: self }).unwrap_or_default()
    }

    /// # Errors
    /// When the text is no job, or one of a version this build does not know.
    pub fn decode(text: &str) -> Result<Self, NotAJob> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        let Version { v } = serde_json::from_str(text).map_err(|_| NotAJob::Malformed)?;
        if v != VERSION {
            return Err(NotAJob::UnknownVersion(v));
        }
        serde_json::from_str(text).map_err(|_| NotAJob::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_back_as_it_was() {
        let at = Timestamp::from_millis(1_776_009_119_499);
        let job = DeliveryJob {
            project_id: ProjectId::new(at),
            endpoint_id: EndpointId::new(at),
            delivery_id: DeliveryId::for_event(&crate::event_name::EventName::from_stored("a"), at),
            event_id: EventId::new(at),
            chain: Some(Chain::new()),
            manual_at: Some(at),
        };
        assert_eq!(DeliveryJob::decode(&job.encode()), Ok(job.clone()));
        let plain = DeliveryJob { chain: None, manual_at: None, ..job };
        assert_eq!(DeliveryJob::decode(&plain.encode()), Ok(plain));
    }

    #[test]
    fn what_is_no_job_says_so() {
        assert_eq!(DeliveryJob::decode(r#"{"v":2,"whatever":true}"#), Err(NotAJob::UnknownVersion(2)));
        for bad in ["", "hello", "[]", "{}", r#"{"v":1}"#, r#"{"v":"1"}"#, r#"{"v":1,"project_id":"x"}"#] {
            assert_eq!(DeliveryJob::decode(bad), Err(NotAJob::Malformed), "{bad}");
        }
    }
}
