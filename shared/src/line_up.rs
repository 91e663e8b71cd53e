//! Gives ordered deliveries their places: the last step of an acceptance, once all rows are written (docs/ordering.md).
//!
//! One write appends a delivery to its stream, so of two events the one that was answered 202 before the other was posted has
//! the earlier place. A job for the stream follows, because a job that came first would find nothing and leave.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;

use crate::event::{Event, EventDelivery};
use crate::id::{EndpointId, ProjectId};
use crate::job::StreamJob;
use crate::queue::Queue;
use crate::sinks::{AcceptError, Sinks};
use crate::store::StoreError;
use crate::stream::{Entry, LINGERS, StreamKey};

/// The streams that one request appends to at once.
const STREAMS_AT_ONCE: usize = 32;

/// Deliveries that have no place yet, in the order that they get.
#[derive(Debug, Clone, Default)]
pub struct InStreams(Vec<InStream>);

#[derive(Debug, Clone, Copy)]
struct InStream {
    project_id: ProjectId,
    stream: StreamKey,
    entry: Entry,
    /// Of the event, in Unix seconds.
    expires_at: i64,
    is_slow: bool,
}

/// The deliveries of one stream.
#[derive(Debug)]
struct Batch {
    entries: Vec<Entry>,
    expires_at: i64,
    is_slow: bool,
}

impl InStreams {
    /// The ordered ones among an event's deliveries.
    #[must_use]
    pub fn of(event: &Event, listed: &[EventDelivery], slow: &HashSet<EndpointId>) -> Self {
        let in_stream = |listed: &EventDelivery| {
            Some(InStream {
                project_id: event.project_id,
                stream: listed.in_stream()?,
                entry: event.entry(listed),
                expires_at: event.expires_at,
                is_slow: slow.contains(&listed.endpoint_id),
            })
        };
        Self(listed.iter().filter_map(in_stream).collect())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts others behind these.
    pub fn add(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Whether one of them stands in one of these streams.
    #[must_use]
    pub fn is_in(&self, streams: &HashSet<StreamKey>) -> bool {
        self.0.iter().any(|one| streams.contains(&one.stream))
    }
}

/// Appends deliveries to their streams, and wakes the streams.
///
/// # Errors
/// When one of the deliveries is not certain to have a place, or its stream to have a job.
pub async fn line_up(sinks: Sinks<'_>, deliveries: InStreams) -> Result<(), AcceptError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let (_, mut failed) = line_up_each(sinks, deliveries).await;
    failed.pop().map_or(Ok(()), Err)
}

/// As [`line_up`], and returns the streams that failed with the reasons.
pub async fn line_up_each(sinks: Sinks<'_>, deliveries: InStreams) -> (HashSet<StreamKey>, Vec<AcceptError>) {
    let mut streams: BTreeMap<(ProjectId, StreamKey), Batch> = BTreeMap::new();
    for InStream { project_id, stream, entry, expires_at, is_slow } in deliveries.0 {
        let new = || Batch { entries: Vec::new(), expires_at, is_slow };
        let batch = streams.entry((project_id, stream)).or_insert_with(new);
        batch.entries.push(entry);
        batch.expires_at = batch.expires_at.max(expires_at);
    }
    let mut failed = HashSet::new();
    let mut reasons = Vec::new();
    let appended = stream::iter(streams).map(|((project_id, stream), batch)| async move {
        let lingers = i64::try_from(LINGERS.as_secs()).unwrap_or(i64::MAX);
        let appended = sinks.store.append(&stream, &batch.entries, batch.expires_at + lingers).await;
        let StreamKey { endpoint_id, tag } = stream;
        let job = StreamJob { project_id, endpoint_id, stream: tag, after: None };
        appended.map(|()| (job, batch.is_slow)).map_err(|error: StoreError| (stream, error))
    });
    let mut jobs = Vec::new();
    for appended in appended.buffer_unordered(STREAMS_AT_ONCE).collect::<Vec<_>>().await {
        match appended {
            Ok(job) => jobs.push(job),
            Err((stream, error)) => {
                failed.insert(stream);
                reasons.push(error.into());
            }
        }
    }
    let in_doubt = wake(sinks, jobs).await;
    if !in_doubt.is_empty() {
        reasons.push(AcceptError::InDoubt(in_doubt.len()));
    }
    failed.extend(in_doubt.iter().map(StreamJob::key));
    (failed, reasons)
}

/// Sends a job for each stream, and returns the jobs that are not certain to be queued. Two jobs for one stream do no
/// harm, so a send that is in doubt is repeated at once.
async fn wake(sinks: Sinks<'_>, jobs: Vec<(StreamJob, bool)>) -> Vec<StreamJob> {
    let (slow, prompt): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|(_, is_slow)| *is_slow);
    let [slow, prompt] = [slow, prompt].map(|jobs| jobs.into_iter().map(|(job, _)| job).collect::<Vec<_>>());
    let (slow, prompt) =
        join(send_twice(sinks.slow_endpoints, slow), send_twice(sinks.first_attempts, prompt)).await;
    [slow, prompt].concat()
}

async fn send_twice(queue: &Queue, jobs: Vec<StreamJob>) -> Vec<StreamJob> {
    let in_doubt = queue.wake_all(&jobs, Duration::ZERO).await;
    queue.wake_all(&in_doubt, Duration::ZERO).await
}
