//! Jobs through SQS.
//!
//! A send is never repeated by the client: when its answer is lost the job may be in the queue, and a second copy at
//! once would be a second request to the receiver. Callers repeat it later, as a job that stands back.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::StalledStreamProtectionConfig;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, ChangeMessageVisibilityBatchResultEntry, MessageAttributeValue,
    QueueAttributeName, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use futures_util::future::join_all;

use crate::aws::Failure;
use crate::id::ProjectId;
use crate::job::{DeliveryJob, ReplayJob};

/// The longest SQS delays a message (`DelaySeconds`).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The longest one hides a message here; SQS allows 12 hours from its receipt, which is some seconds ago.
const MAX_HIDE: Duration = Duration::from_secs(12 * 60 * 60 - 120);

/// The most that a message may have: its body, and of each attribute the name, the type and the value
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_MessageAttributeValue.html>).
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The type of an attribute that is text.
pub const TEXT_TYPE: &str = "String";

/// Entries of one request for many.
const BATCH: usize = 10;

/// Why SQS did not do its part, as far as we know. Its text is for our own log.
#[derive(Debug, thiserror::Error)]
#[error("SQS did not do it: {0}")]
pub struct QueueError(#[source] Failure);

impl<E> From<SdkError<E>> for QueueError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        Self(Failure::of_call(error))
    }
}

impl From<BuildError> for QueueError {
    fn from(error: BuildError) -> Self {
        Self(Failure::of(error))
    }
}

/// An SQS client with the product's rules: no repeated sends, short timeouts.
#[must_use]
pub fn client(config: &aws_config::SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(5)).build();
    let config = aws_sdk_sqs::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // The timeouts above cover it; counting every byte costs a twentieth of each call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Whole seconds, rounded up, so that nothing wakes early.
fn seconds(wait: Duration, max: Duration) -> i32 {
    let up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    i32::try_from(up.min(max.as_secs())).unwrap_or(i32::MAX)
}

/// For each entry, by its index, whether SQS reported it done.
fn done_by_index<'a>(entries: usize, done: impl Iterator<Item = &'a str>) -> Vec<bool> {
    let mut is_done = vec![false; entries];
    for index in done.filter_map(|id| id.parse::<usize>().ok()) {
        if let Some(is_done) = is_done.get_mut(index) {
            *is_done = true;
        }
    }
    is_done
}

/// When the request failed, no entry is certain to be done.
fn none_done(done: Result<Vec<bool>, QueueError>, entries: usize, otherwise: &str) -> Vec<bool> {
    done.unwrap_or_else(|error| {
        tracing::warn!(%error, entries, "{otherwise}");
        vec![false; entries]
    })
}

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    #[must_use]
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// The queue's own name: the end of its URL, and of the ARN that its messages arrive with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Sends a job that becomes visible after `delay`, or after 15 minutes if that is sooner.
    ///
    /// # Errors
    /// When it is not certain that the job is in the queue; it may be.
    pub async fn send(&self, job: &DeliveryJob, delay: Duration) -> Result<(), QueueError> {
        self.send_body(job.encode(), &job.project_id, delay).await
    }

    /// Sends a replay's step as [`Self::send`] does a delivery's job.
    ///
    /// # Errors
    /// When it is not certain that the job is in the queue; it may be.
    pub async fn send_step(&self, step: &ReplayJob, delay: Duration) -> Result<(), QueueError> {
        self.send_body(step.encode(), &step.project_id, delay).await
    }

    /// The message's group is its project: SQS hands out a quiet group's messages before those of one that has more than a
    /// tenth of what is in flight (SQS Developer Guide, 'How Amazon SQS fair queues work'). So projects share a lane,
    /// whatever their numbers of endpoints.
    async fn send_body(&self, body: String, group: &ProjectId, delay: Duration) -> Result<(), QueueError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_group_id(group.to_string())
            .delay_seconds(seconds(delay, MAX_DELAY))
            .send()
            .await?;
        Ok(())
    }

    /// Sends many jobs, ten a request, and returns those that are not certain to be in the queue.
    pub async fn send_all(&self, jobs: &[DeliveryJob], delay: Duration) -> Vec<DeliveryJob> {
        let delayed: Vec<_> = jobs.iter().map(|job| (job.clone(), delay)).collect();
        let is_sent = self.send_each(&delayed).await;
        jobs.iter().zip(is_sent).filter(|(_, is_sent)| !is_sent).map(|(job, _)| job.clone()).collect()
    }

    /// Sends many jobs, each with a delay as of [`Self::send`], ten a request, and says of each whether it is certain to
    /// be in the queue.
    pub async fn send_each(&self, jobs: &[(DeliveryJob, Duration)]) -> Vec<bool> {
        let batches = jobs.chunks(BATCH).map(|batch| async {
            none_done(self.send_batch(batch).await, batch.len(), "jobs were perhaps not queued")
        });
        join_all(batches).await.concat()
    }

    async fn send_batch(&self, jobs: &[(DeliveryJob, Duration)]) -> Result<Vec<bool>, QueueError> {
        let entry = |(index, (job, delay)): (usize, &(DeliveryJob, Duration))| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(job.encode())
                .message_group_id(job.project_id.to_string())
                .delay_seconds(seconds(*delay, MAX_DELAY))
                .build()
        };
        let entries = jobs.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = request.send().await?;
        if !answer.failed().is_empty() {
            tracing::warn!(failed = ?answer.failed(), "some jobs were not queued");
        }
        Ok(done_by_index(jobs.len(), answer.successful().iter().map(SendMessageBatchResultEntry::id)))
    }

    /// Puts a message of any content into the queue as it is, with what is said about it beside it.
    ///
    /// # Errors
    /// When it is not certain that the message is in the queue.
    pub async fn send_text(&self, body: &str, attributes: &[(&str, &str)]) -> Result<(), QueueError> {
        let mut request = self.client.send_message().queue_url(&self.url).message_body(body);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder().data_type(TEXT_TYPE).string_value(*value).build();
            request = request.message_attributes(*name, value?);
        }
        request.send().await?;
        Ok(())
    }

    /// Hides a received message for `wait` from now, up to about 12 hours. The caller names it in the batch's
    /// failures too, or Lambda deletes it.
    ///
    /// # Errors
    /// When SQS did not answer; the message then reappears after the queue's own visibility timeout.
    pub async fn hide(&self, receipt_handle: &str, wait: Duration) -> Result<(), QueueError> {
        // Unlike a send, this may be repeated: the last one counts.
        let retries =
            aws_sdk_sqs::config::Builder::new().retry_config(RetryConfig::standard().with_max_attempts(3));
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds(wait, MAX_HIDE))
            .customize()
            .config_override(retries)
            .send()
            .await?;
        Ok(())
    }

    /// Hides many received messages, named by their receipt handles, as [`Self::hide`] does one, ten a request, and says
    /// of each whether it is certain to be hidden.
    pub async fn hide_each(&self, messages: &[(String, Duration)]) -> Vec<bool> {
        let batches = messages.chunks(BATCH).map(|batch| async {
            none_done(self.hide_batch(batch).await, batch.len(), "messages could not be hidden together")
        });
        join_all(batches).await.concat()
    }

    async fn hide_batch(&self, messages: &[(String, Duration)]) -> Result<Vec<bool>, QueueError> {
        let entry = |(index, (receipt_handle, wait)): (usize, &(String, Duration))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(receipt_handle)
                .visibility_timeout(seconds(*wait, MAX_HIDE))
                .build()
        };
        let entries = messages.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let request = self.client.change_message_visibility_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await?;
        let hidden = answer.successful().iter().map(ChangeMessageVisibilityBatchResultEntry::id);
        Ok(done_by_index(messages.len(), hidden))
    }

    /// About how many messages are hidden now, waiting or being worked on.
    ///
    /// # Errors
    /// When SQS did not answer.
    pub async fn hidden(&self) -> Result<u64, QueueError> {
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(name.clone())
            .send()
            .await?;
        let count = answer.attributes().and_then(|attributes| attributes.get(&name));
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_that_are_named_are_done() {
        assert_eq!(done_by_index(4, ["2", "0", "4", "", "x", "-1"].into_iter()), [true, false, true, false]);
        assert_eq!(done_by_index(0, ["0"].into_iter()), [false; 0]);
    }

    #[test]
    fn waits_are_rounded_up_and_capped() {
        assert_eq!(seconds(Duration::from_millis(1), MAX_DELAY), 1);
        assert_eq!(seconds(Duration::from_millis(2_000), MAX_DELAY), 2);
        assert_eq!(seconds(Duration::from_millis(2_001), MAX_DELAY), 3);
        assert_eq!(seconds(Duration::from_secs(40_000), MAX_DELAY), 900);
        assert_eq!(seconds(Duration::ZERO, MAX_HIDE), 0);
    }
}
