//! The script that is played, and the state of the run.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::Failure;
use crate::aws::{Aws, Table};

/// The script of a run. `{receiver}` in it stands for the receiver's address.
#[derive(Debug, Deserialize)]
pub(crate) struct Script {
    /// The API function, or the delivery function if events come in through the queue.
    pub(crate) first: Function,
    pub(crate) delivery: Function,
    pub(crate) tables: HashMap<String, Table>,
    pub(crate) root_secret: String,
    pub(crate) sealing_keys: String,
    /// The first function's invocations. The first `warm_up` of them only warm it up.
    pub(crate) events: Vec<String>,
    pub(crate) warm_up: usize,
    /// The ARN of the queue that the jobs come from; `batch` is the number of jobs in an invocation.
    pub(crate) queue_arn: String,
    pub(crate) batch: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Function {
    pub(crate) binary: PathBuf,
    pub(crate) env: HashMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) aws: Aws,
    queue_arn: String,
    state: Mutex<State>,
    has_work: Notify,
    is_done: Notify,
}

#[derive(Debug, Default)]
struct State {
    invocations: VecDeque<String>,
    handed_out: u64,
    unanswered: usize,
    received: usize,
    failed: Option<String>,
}

impl Stage {
    pub(crate) fn new(aws: Aws, queue_arn: String) -> Self {
        Self { aws, queue_arn, state: Mutex::default(), has_work: Notify::new(), is_done: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands invocations out until all are answered. An unexpected answer is an error.
    pub(crate) async fn invoke(&self, invocations: Vec<String>) -> Result<(), Failure> {
        {
            let mut state = self.state();
            state.unanswered = invocations.len();
            state.invocations = invocations.into();
            self.has_work.notify_one();
        }
        loop {
            {
                let state = self.state();
                if let Some(answer) = &state.failed {
                    return Err(answer.clone().into());
                }
                if state.unanswered == 0 {
                    return Ok(());
                }
            }
            self.is_done.notified().await;
        }
    }

    /// Waits for the next invocation and gives it.
    pub(crate) async fn next(&self) -> (u64, String) {
        loop {
            {
                let mut state = self.state();
                if let Some(event) = state.invocations.pop_front() {
                    state.handed_out += 1;
                    return (state.handed_out, event);
                }
            }
            self.has_work.notified().await;
        }
    }

    pub(crate) fn answered(&self, answer: &Bytes) {
        let text = String::from_utf8_lossy(answer);
        let is_good = text.contains(r#""statusCode":20"#) || text.contains(r#""batchItemFailures":[]"#);
        let mut state = self.state();
        if !is_good {
            state.failed = Some(text.into_owned());
        }
        state.unanswered -= 1;
        if state.unanswered == 0 || state.failed.is_some() {
            self.is_done.notify_one();
        }
    }

    pub(crate) fn receive(&self) {
        self.state().received += 1;
    }

    /// The number of requests at the receivers.
    pub(crate) fn received(&self) -> usize {
        self.state().received
    }

    /// The invocations for these jobs.
    pub(crate) fn batches(&self, jobs: &[String], size: usize) -> Vec<String> {
        let records: Vec<Value> = jobs.iter().enumerate().map(|(n, job)| self.record(n, job)).collect();
        records.chunks(size).map(|batch| json!({ "Records": batch }).to_string()).collect()
    }

    fn record(&self, n: usize, body: &str) -> Value {
        let now = now().as_millis().to_string();
        json!({
            "messageId": format!("00000000-0000-4000-8000-{n:012}"),
            "receiptHandle": format!("{n:0180}"),
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": now, "SenderId": "AIDASTAGE",
                "ApproximateFirstReceiveTimestamp": now },
            "messageAttributes": {},
            "md5OfBody": "0",
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue_arn,
            "awsRegion": "us-east-1",
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "Lambda and SQS, which are played here, have a clock")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A deadline half a minute from now.
pub(crate) fn deadline_ms() -> u128 {
    now().as_millis() + 30_000
}
