//! Lambda's event source mapping for SQS: it polls a queue, invokes the function with batches, and deletes the
//! messages that succeeded.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::aws::Aws;
use crate::function::Function;
use crate::lineage::Trace;
use crate::sandbox::Failed;
use crate::sqs::Received;

/// The most messages of one invocation, without a batching window.
const BATCH: usize = 10;

/// One batch that the function received.
#[derive(Debug, Clone)]
pub struct Batch {
    pub invocation: u64,
    pub queue: String,
    pub started: Instant,
    pub ended: Instant,
    pub bodies: Vec<String>,
    /// The number of failed messages; `None` when the invocation ended without an answer.
    pub failed: Option<usize>,
    pub why: Option<Failed>,
}

/// The batches of all mappings of a lane.
#[derive(Debug, Default)]
pub struct Batches(Mutex<Vec<Batch>>);

impl Batches {
    #[must_use]
    pub fn all(&self) -> Vec<Batch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, batch: Batch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
    }
}

/// The mapping of one queue to a function.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub queue: String,
    pub concurrency: usize,
    pub function: Arc<Function>,
    pub aws: Arc<Aws>,
    pub batches: Option<Arc<Batches>>,
}

impl Mapping {
    /// Polls until the handle is aborted.
    #[must_use]
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(self.concurrency));
            // These tasks are aborted with the mapping, so that a stopped lane invokes nothing more.
            let mut running = JoinSet::new();
            loop {
                while running.try_join_next().is_some() {}
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let received = self.aws.sqs.receive(&self.queue, BATCH);
                if received.is_empty() {
                    drop(permit);
                    self.aws.sqs.wait(&self.queue).await;
                    continue;
                }
                let mapping = self.clone();
                running.spawn(async move {
                    mapping.run(received).await;
                    drop(permit);
                });
            }
        })
    }

    /// Gives up the messages whose chain of invocations Lambda ends, and returns the others. On AWS a batch with such
    /// a message fails until its queue gives the message up.
    fn without_loops(&self, received: Vec<Received>) -> Vec<Received> {
        let is_refused = |message: &Received| !self.function.may_run_in(&Trace::of(message));
        let (refused, taken): (Vec<_>, Vec<_>) = received.into_iter().partition(is_refused);
        for message in refused {
            self.aws.sqs.give_up(&self.queue, &message.handle);
            self.aws.ended_loops.lock().unwrap_or_else(PoisonError::into_inner).push(message.body);
        }
        taken
    }

    async fn run(&self, received: Vec<Received>) {
        let received = self.without_loops(received);
        if received.is_empty() {
            return;
        }
        let event = event(&self.queue, &received);
        let invocation = self.function.next_id();
        let started = Instant::now();
        let result = self.function.invoke(invocation, event, &chain(&self.function, &received)).await;
        let ids: HashSet<String> = received.iter().map(Received::message_id).collect();
        let failed = result.as_ref().map(|answer| failures(answer, &ids));
        // A lane whose last message is deleted is idle, and its test may look at the batches.
        if let Some(batches) = &self.batches {
            batches.push(Batch {
                invocation,
                queue: self.queue.clone(),
                started,
                ended: Instant::now(),
                bodies: received.iter().map(|message| message.body.clone()).collect(),
                failed: failed.as_ref().ok().map(HashSet::len),
                why: failed.as_ref().err().map(|why| (*why).clone()),
            });
        }
        if let Ok(failed) = failed {
            for message in received.iter().filter(|message| !failed.contains(&message.message_id())) {
                self.aws.sqs.delete(&self.queue, &message.handle);
            }
        }
    }
}

/// The ids of the messages that stay in the queue. All messages stay when the answer is not JSON, or when an entry of
/// its list has an empty or unknown identifier or none.
#[must_use]
pub fn failures(answer: &Bytes, ids: &HashSet<String>) -> HashSet<String> {
    if answer.is_empty() || answer.as_ref() == b"null" {
        return HashSet::new();
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return ids.clone() };
    let Some(listed) = answer.get("batchItemFailures").and_then(Value::as_array) else {
        return HashSet::new();
    };
    let named: Option<HashSet<String>> =
        listed.iter().map(|entry| entry["itemIdentifier"].as_str().map(str::to_owned)).collect();
    named.filter(|named| named.is_subset(ids)).unwrap_or_else(|| ids.clone())
}

/// The chain of invocations that a batch's invocation continues. AWS does not say which chain it continues when a
/// batch's messages have several. The longest one is the strictest choice.
#[must_use]
pub fn chain(function: &Function, received: &[Received]) -> Trace {
    let kind = function.settings.kind;
    let traces = received.iter().map(Trace::of);
    traces.max_by_key(|trace| trace.invocations(kind)).unwrap_or_default()
}

/// The event with which a batch of a queue's messages invokes the function.
#[must_use]
pub fn event(queue: &str, received: &[Received]) -> Bytes {
    let records: Vec<Value> = received.iter().map(|message| record(queue, message)).collect();
    json!({ "Records": records }).to_string().into()
}

/// A queue's ARN.
#[must_use]
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:123456789012:{queue}")
}

fn record(queue: &str, message: &Received) -> Value {
    let mut attributes = json!({
        "ApproximateReceiveCount": message.receives.to_string(),
        "SentTimestamp": message.sent_at.to_string(),
        "SenderId": "AIDALANE",
        "ApproximateFirstReceiveTimestamp": message.first_received_at.to_string(),
    });
    if let Some(group) = &message.group {
        attributes["MessageGroupId"] = group.as_str().into();
    }
    if let Some(trace) = &message.trace {
        attributes["AWSTraceHeader"] = trace.as_str().into();
    }
    if let Some(queue) = &message.given_up_by {
        attributes["DeadLetterQueueSourceArn"] = arn(queue).into();
    }
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": "0",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn(queue),
        "awsRegion": "us-east-1",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dynamo::Dynamo;
    use crate::fault::Faults;
    use crate::function::{Kind, Settings};
    use crate::iam::{Granted, Iam};
    use crate::lineage::MOST_INVOCATIONS;
    use crate::partitions::Partitions;
    use crate::sqs::{Outgoing, QueueSettings, Sqs};
    use crate::watch::Watch;

    /// A mapping of the queue `q`, whose dead letters go to `dead`.
    fn mapping(may_recurse: bool) -> Mapping {
        let sqs = Sqs::default();
        let redrive = Some(("dead".to_owned(), 200));
        sqs.create("q", QueueSettings { redrive, ..QueueSettings::default() });
        sqs.create("dead", QueueSettings::default());
        let aws = Arc::new(Aws {
            dynamo: Dynamo::new(false),
            partitions: Partitions::default(),
            sqs,
            faults: Faults::default(),
            iam: Iam::new(&Granted::with_bus(""), &[].into()),
            watch: Watch::default(),
            root_secret: String::new(),
            sealing_keys: Mutex::default(),
            buses: Mutex::default(),
            ended_loops: Mutex::default(),
        });
        let settings = Settings {
            kind: Kind::Delivery,
            binary: "none".into(),
            env: [].into(),
            timeout: Duration::ZERO,
            may_recurse,
            concurrency: 1,
            log: None,
        };
        let function = Arc::new(Function::new(settings, Arc::clone(&aws)));
        Mapping { queue: "q".to_owned(), concurrency: 1, function, aws, batches: None }
    }

    /// The messages that are left of a batch of two. `short` starts a chain of invocations, and the chain of `long`
    /// already has as many invocations as Lambda allows.
    fn left(mapping: &Mapping) -> Vec<String> {
        let long = (0..MOST_INVOCATIONS).fold(Trace::default(), |trace, _| trace.invoking(Kind::Delivery));
        for (body, trace) in [("short", Trace::default()), ("long", long)] {
            let outgoing = Outgoing { body: body.to_owned(), group: None, delay: Duration::ZERO };
            mapping.aws.sqs.send_traced("q", outgoing, Some(trace.to_string())).expect("a queue");
        }
        let received = mapping.aws.sqs.receive("q", BATCH);
        mapping.without_loops(received).into_iter().map(|message| message.body).collect()
    }

    #[test]
    fn a_chain_of_sixteen_invocations_ends_in_the_dead_letter_queue() {
        let ending = mapping(false);
        assert_eq!(left(&ending), ["short"]);
        assert_eq!(ending.aws.sqs.bodies("dead"), ["long"]);
        assert_eq!(*ending.aws.ended_loops.lock().expect("a lock"), ["long"]);
        // A queue without a dead-letter queue of its own deletes the message.
        let dead = Mapping { queue: "dead".to_owned(), ..ending };
        assert!(dead.without_loops(dead.aws.sqs.receive("dead", BATCH)).is_empty());
        assert_eq!(dead.aws.sqs.depth("dead").total(), 0);
    }

    #[test]
    fn a_function_that_may_recurse_takes_any_chain() {
        let allowing = mapping(true);
        assert_eq!(left(&allowing), ["short", "long"]);
        assert_eq!(allowing.aws.sqs.depth("dead").total(), 0);
    }

    #[test]
    fn an_unknown_or_empty_identifier_fails_the_whole_batch() {
        let ids = HashSet::from(["1".to_owned(), "2".to_owned()]);
        let cases = [
            (r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#, vec!["2"]),
            (r#"{"batchItemFailures":[]}"#, vec![]),
            ("null", vec![]),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, vec!["1", "2"]),
            (r#"{"batchItemFailures":[{"itemIdentifier":"3"}]}"#, vec!["1", "2"]),
            (r#"{"batchItemFailures":[{}]}"#, vec!["1", "2"]),
            ("not JSON", vec!["1", "2"]),
        ];
        for (answer, expected) in cases {
            let expected: HashSet<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(failures(&Bytes::from(answer), &ids), expected, "{answer}");
        }
    }
}
