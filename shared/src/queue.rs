//! Jobs through SQS.
//!
//! The client never repeats a send. When the answer is lost the job may be in the queue, and a second copy at once could
//! mean a second request to the receiver. Callers send a later copy, which stands back from the first.
//!
//! A job's message group is its project, and SQS serves quiet groups before noisy ones.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, ChangeMessageVisibilityBatchResultEntry, MessageAttributeValue,
    QueueAttributeName, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use futures_util::future::join_all;

use crate::aws::Failure;
use crate::job::{AsMessage, StreamJob};

/// The longest SQS delays a message (`DelaySeconds`).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The longest that this service hides a message. SQS allows 12 hours from the message's receipt, and some of that time
/// has passed.
const MAX_HIDE: Duration = Duration::from_secs(12 * 60 * 60 - 120);

/// The largest message: its body, and the name, type and value of each attribute
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_MessageAttributeValue.html>).
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The type of an attribute that is text.
pub const TEXT_TYPE: &str = "String";

/// The most entries of one batch request.
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
        .build();
    Client::from_conf(config)
}

/// Whole seconds, rounded up, so that no message wakes early.
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

    /// The queue's own name. Its URL ends with it, and so does the ARN that its messages arrive with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Sends a job that becomes visible after `delay`, or after 15 minutes if that is sooner.
    ///
    /// The message's group is its project. When one group has more than a tenth of all messages in flight, SQS hands out the
    /// messages of quiet groups first
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>). So projects share a
    /// lane fairly, however many endpoints they have. (Rejected: the endpoint as the group. Each of fifty hanging endpoints has
    /// 2 % of the lane, below the tenth, and together they fill it.)
    ///
    /// # Errors
    /// When the job is not certain to be in the queue. It may be there all the same.
    pub async fn send(&self, job: &impl AsMessage, delay: Duration) -> Result<(), QueueError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(job.encode())
            .message_group_id(job.group())
            .delay_seconds(seconds(delay, MAX_DELAY))
            .send()
            .await?;
        Ok(())
    }

    /// Sends a stream's job at once.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn wake(&self, job: &StreamJob) -> Result<(), QueueError> {
        self.send(job, Duration::ZERO).await
    }

    /// Sends many jobs, ten a request, and returns those that are not certain to be in the queue.
    pub async fn send_all<J: AsMessage + Clone>(&self, jobs: &[J], delay: Duration) -> Vec<J> {
        let delayed: Vec<_> = jobs.iter().map(|job| (job.clone(), delay)).collect();
        let is_sent = self.send_each(&delayed).await;
        jobs.iter().zip(is_sent).filter(|(_, is_sent)| !is_sent).map(|(job, _)| job.clone()).collect()
    }

    /// Sends a job for each stream, and returns those that are not certain to be in the queue.
    pub async fn wake_all(&self, jobs: &[StreamJob], delay: Duration) -> Vec<StreamJob> {
        self.send_all(jobs, delay).await
    }

    /// Sends many jobs, ten a request, and says for each whether it is certain to be in the queue. Each has its own delay,
    /// as in [`Self::send`].
    pub async fn send_each<J: AsMessage>(&self, jobs: &[(J, Duration)]) -> Vec<bool> {
        let batches = jobs.chunks(BATCH).map(|batch| async {
            none_done(self.send_batch(batch).await, batch.len(), "jobs are not certain to be queued")
        });
        join_all(batches).await.concat()
    }

    async fn send_batch<J: AsMessage>(&self, jobs: &[(J, Duration)]) -> Result<Vec<bool>, QueueError> {
        let entry = |(index, (job, delay)): (usize, &(J, Duration))| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(job.encode())
                .message_group_id(job.group())
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

    /// Sends a message of any content as it is, with attributes beside it.
    ///
    /// # Errors
    /// When the message is not certain to be in the queue.
    pub async fn send_text(&self, body: &str, attributes: &[(&str, &str)]) -> Result<(), QueueError> {
        let mut request = self.client.send_message().queue_url(&self.url).message_body(body);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder().data_type(TEXT_TYPE).string_value(*value).build();
            request = request.message_attributes(*name, value?);
        }
        request.send().await?;
        Ok(())
    }

    /// Hides a received message for `wait` from now, up to about 12 hours. The caller must also name the message among the
    /// batch's failures, or Lambda deletes it.
    ///
    /// # Errors
    /// When SQS did not answer. Then the message may reappear after the queue's own visibility timeout.
    pub async fn hide(&self, receipt_handle: &str, wait: Duration) -> Result<(), QueueError> {
        // Unlike a send, this call may be repeated, because the last one counts.
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

    /// Hides many received messages as [`Self::hide`] hides one, ten a request, and says for each whether it is certain to be
    /// hidden. Receipt handles name the messages.
    pub async fn hide_each(&self, messages: &[(String, Duration)]) -> Vec<bool> {
        let batches = messages.chunks(BATCH).map(|batch| async {
            none_done(self.hide_batch(batch).await, batch.len(), "messages are not certain to be hidden")
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

    /// About how many messages are hidden now, because they wait or because a function works on them.
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
