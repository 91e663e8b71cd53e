//! The queue messages: "look at this delivery", "go on with this replay", "look at this stream", "go on with this
//! erasure" and "go on with the sweep". The row itself says which attempt is due, and when.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{DeliveryId, EndpointId, EventId, ProjectId, ReplayId};
use crate::sealed::KeyId;
use crate::shards::Shard;
use crate::stream::{Entry, StreamKey, StreamTag};
use crate::time::Timestamp;

/// The versions of messages that this build writes and reads.
const DELIVERY: u64 = 1;
const REPLAY: u64 = 2;
const STREAM: u64 = 3;
const ERASURE: u64 = 4;
const RESEAL: u64 = 5;

/// The delay of a job that is sent just before the row that it looks for is written or changed. Waking a little later, the
/// job finds the row so, unless the write takes longer.
pub const AHEAD_OF_ITS_ROW: Duration = Duration::from_secs(1);

/// Names one job among the jobs that may exist for a delivery. The delivery's row names the job that makes the next
/// attempt, so a copy made by SQS or by a repeated send stands back instead of sending a second request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Chain(u32);

impl Chain {
    /// A random chain. Two jobs of one delivery share a chain once in four thousand million times.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    pub fn new() -> Self {
        Self(rand::random())
    }

    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
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
    /// Set on the job of a manual retry, which is sent just before the row changes and waits for the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_at: Option<Timestamp>,
    /// A person waits for this attempt: a test, or a retry by hand. The mark only gets the attempt a probe sooner, so a job
    /// that stands in for a lost one may lack it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// Since when the delivery's jobs are sent on without an attempt. A job that stands in for a lost one may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<Timestamp>,
    /// The stream that waits for the delivery's end. A manual retry stands outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamTag>,
}

impl DeliveryJob {
    /// A copy of a chain of its own, in case the first one was lost: it stands back from the first.
    #[must_use]
    pub fn standing_back(self) -> Self {
        Self { chain: Some(Chain::new()), ..self }
    }

    /// The job that lets a stream go on after this one's delivery; none if no stream waits for it.
    #[must_use]
    pub fn wakes(&self) -> Option<StreamJob> {
        let Self { project_id, endpoint_id, delivery_id, .. } = *self;
        Some(StreamJob { project_id, endpoint_id, stream: self.stream?, after: Some(delivery_id) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAJob {
    #[error("not a JSON object with a version and a job of it")]
    Malformed,
    #[error("version {0} is not known to this build")]
    UnknownVersion(u64),
}

/// One step of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayJob {
    pub project_id: ProjectId,
    pub endpoint_id: EndpointId,
    pub replay_id: ReplayId,
    pub step: u32,
}

/// A look at a stream: its next deliveries may be due.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamJob {
    pub project_id: ProjectId,
    pub endpoint_id: EndpointId,
    pub stream: StreamTag,
    /// This delivery of the stream has ended, and the job that recorded its end left the rest of the block to this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<DeliveryId>,
}

impl StreamJob {
    #[must_use]
    pub const fn key(&self) -> StreamKey {
        StreamKey { endpoint_id: self.endpoint_id, tag: self.stream }
    }

    /// The job of one of the stream's deliveries, as if it were its first one.
    #[must_use]
    pub const fn delivery_job(&self, entry: Entry) -> DeliveryJob {
        DeliveryJob {
            project_id: self.project_id,
            endpoint_id: self.endpoint_id,
            delivery_id: entry.delivery_id,
            event_id: entry.event_id,
            chain: None,
            manual_at: None,
            by_hand: false,
            waits_since: None,
            stream: Some(self.stream),
        }
    }
}

/// One step of the sweep that seals all endpoints' values anew. An operator sends the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResealJob {
    /// The key under which all values should be.
    pub key: KeyId,
    /// Whether every function seals under the key by now. The first step sends the next one for the time when that is so.
    #[serde(default)]
    pub is_settled: bool,
    /// The endpoint after which the table is read on; absent at the table's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EndpointId>,
    /// How many endpoints were sealed anew so far, and how many could not be.
    #[serde(default)]
    pub resealed: u64,
    #[serde(default)]
    pub left: u64,
}

/// How far an erasure has come: its next step erases these rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStage {
    /// The endpoints, so that no further attempt is made.
    Endpoints,
    /// The events of a shard, and the deliveries that they list.
    Events { shard: Shard, not_before: Timestamp },
    /// What is left of endpoints: their replays, and deliveries of events that were never accepted.
    FormerEndpoints,
    /// The counts of its budget, and the routing rows.
    Project,
}

/// One step of a project's erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureJob {
    pub project_id: ProjectId,
    pub asked_at: Timestamp,
    #[serde(rename = "position")]
    pub stage: ErasureStage,
}

/// Any message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    Delivery(DeliveryJob),
    Replay(ReplayJob),
    Stream(StreamJob),
    Reseal(ResealJob),
    Erasure(ErasureJob),
}

/// A job as a message of a queue.
pub trait AsMessage: Serialize {
    const VERSION: u64;

    /// The message's group, among which SQS shares a queue fairly.
    fn group(&self) -> String;

    #[must_use]
    fn encode(&self) -> String {
        #[derive(Serialize)]
        struct Versioned<'a, J: ?Sized> {
            v: u64,
            #[serde(flatten)]
            job: &'a J,
        }
        serde_json::to_string(&Versioned { v: Self::VERSION, job: self }).unwrap_or_default()
    }
}

impl AsMessage for DeliveryJob {
    const VERSION: u64 = DELIVERY;

    fn group(&self) -> String {
        self.project_id.to_string()
    }
}

impl AsMessage for ReplayJob {
    const VERSION: u64 = REPLAY;

    fn group(&self) -> String {
        self.project_id.to_string()
    }
}

impl AsMessage for StreamJob {
    const VERSION: u64 = STREAM;

    fn group(&self) -> String {
        self.project_id.to_string()
    }
}

impl AsMessage for ErasureJob {
    const VERSION: u64 = ERASURE;

    fn group(&self) -> String {
        self.project_id.to_string()
    }
}

/// The sweep is of no project and has a group of its own.
impl AsMessage for ResealJob {
    const VERSION: u64 = RESEAL;

    fn group(&self) -> String {
        "sweep".to_owned()
    }
}

impl Job {
    /// # Errors
    /// When the text is no job, or a job of a version that this build does not know.
    pub fn decode(text: &str) -> Result<Self, NotAJob> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        let Version { v } = serde_json::from_str(text).map_err(|_| NotAJob::Malformed)?;
        let job = match v {
            DELIVERY => serde_json::from_str(text).map(Self::Delivery),
            REPLAY => serde_json::from_str(text).map(Self::Replay),
            STREAM => serde_json::from_str(text).map(Self::Stream),
            RESEAL => serde_json::from_str(text).map(Self::Reseal),
            ERASURE => serde_json::from_str(text).map(Self::Erasure),
            _ => return Err(NotAJob::UnknownVersion(v)),
        };
        job.map_err(|_| NotAJob::Malformed)
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
            delivery_id: DeliveryId::new(at),
            event_id: EventId::new(at),
            chain: Some(Chain::new()),
            manual_at: Some(at),
            by_hand: true,
            waits_since: Some(at),
            stream: Some(StreamTag::Customer([7; 12])),
        };
        assert_eq!(Job::decode(&job.encode()), Ok(Job::Delivery(job.clone())));
        let plain = DeliveryJob {
            chain: None,
            manual_at: None,
            by_hand: false,
            waits_since: None,
            stream: None,
            ..job
        };
        assert_eq!(Job::decode(&plain.encode()), Ok(Job::Delivery(plain.clone())));
        let step = ReplayJob {
            project_id: plain.project_id,
            endpoint_id: plain.endpoint_id,
            replay_id: ReplayId::new(at),
            step: 7,
        };
        assert_eq!(Job::decode(&step.encode()), Ok(Job::Replay(step)));
        for stream in [StreamTag::Endpoint, StreamTag::NoCustomer, StreamTag::Customer([0xa5; 12])] {
            let DeliveryJob { project_id, endpoint_id, delivery_id, .. } = plain;
            let look = StreamJob { project_id, endpoint_id, stream, after: Some(delivery_id) };
            assert_eq!(Job::decode(&look.encode()), Ok(Job::Stream(look.clone())));
            let waits_for = DeliveryJob { stream: Some(stream), ..plain.clone() };
            assert_eq!(waits_for.wakes(), Some(look));
        }
        assert_eq!(plain.wakes(), None);
        let key = KeyId::parse("k2").expect("an id");
        let sweep = ResealJob {
            key: key.clone(),
            is_settled: true,
            after: Some(plain.endpoint_id),
            resealed: 7,
            left: 1,
        };
        assert_eq!(Job::decode(&sweep.encode()), Ok(Job::Reseal(sweep)));
        // As an operator sends it.
        let first = ResealJob { key, is_settled: false, after: None, resealed: 0, left: 0 };
        assert_eq!(Job::decode(r#"{"v": 5, "key": "k2"}"#), Ok(Job::Reseal(first)));
        for stage in [ErasureStage::Endpoints, ErasureStage::Events { shard: Shard(3), not_before: at }] {
            let erasure = ErasureJob { project_id: plain.project_id, asked_at: at, stage };
            assert!(erasure.encode().contains(r#""position":"#), "its name in messages that wait in queues");
            assert_eq!(Job::decode(&erasure.encode()), Ok(Job::Erasure(erasure)));
        }
    }

    #[test]
    fn an_unreadable_job_is_told_with_its_fault() {
        assert_eq!(Job::decode(r#"{"v":9,"whatever":true}"#), Err(NotAJob::UnknownVersion(9)));
        for bad in [
            "",
            "hello",
            "[]",
            "{}",
            r#"{"v":1}"#,
            r#"{"v":"1"}"#,
            r#"{"v":1,"project_id":"x"}"#,
            r#"{"v":2}"#,
            r#"{"v":3}"#,
        ] {
            assert_eq!(Job::decode(bad), Err(NotAJob::Malformed), "{bad}");
        }
    }
}
