//! One batch: every record by itself, concurrently, so that none delays or fails another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use echo_shared::job::DeliveryJob;
use echo_shared::store::{Loaded, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::App;
use crate::dead_letters::{self, Burial};
use crate::lanes::Source;
use crate::message::{Disposal, Message};
use crate::one_delivery::{OVERTAKEN_WAIT, Turn};
use crate::rows::{self, Rows};
use crate::sqs_event::{BatchResponse, ItemFailure, Record};
use crate::troubled::Marks;

/// Kept free for the answer: without it Lambda would hand out the finished records again too.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// A record and the task that works on it.
struct Started {
    message_id: String,
    message: Arc<Message>,
    task: JoinHandle<Disposal>,
}

pub(crate) async fn handle(app: &Arc<App>, records: Vec<Record>, deadline: Instant) -> BatchResponse {
    let marks = Arc::new(Marks::default());
    let burial = Arc::new(Burial::default());
    let mut started = Vec::with_capacity(records.len());
    let mut jobs = Vec::new();
    for record in records {
        let (source, queue) = app.queues.named(record.queue_name());
        let message = Arc::new(Message {
            queue: queue.clone(),
            receives: record.receives(),
            receipt_handle: record.receipt_handle,
        });
        let id = record.message_id;
        match (source, DeliveryJob::decode(&record.body)) {
            (Source::DeadLetters, _) => {
                let bury = dead_letters::bury(
                    Arc::clone(app),
                    Arc::clone(&message),
                    record.body,
                    Arc::clone(&burial),
                );
                started.push(start(id, message, bury));
            }
            (Source::Lane(lane), Ok(job)) => jobs.push((id, message, lane, job)),
            (Source::Lane(_), Err(error)) => {
                tracing::error!(message_id = id, %error, "a message is not a job that this build knows");
                let kept = Arc::clone(&message);
                started.push(start(id, message, async move { kept.back_off().await }));
            }
        }
    }

    let loaded = load(app, &jobs).await;
    let mut taken = HashSet::new();
    for (id, message, lane, job) in jobs {
        let is_copy = !taken.insert(job.delivery_id);
        let rows = match &loaded {
            Ok(loaded) => Ok(loaded.as_ref().map(|loaded| Rows::of(&job, loaded))),
            Err(_) => Err(()),
        };
        let turn = Turn {
            app: Arc::clone(app),
            message: Arc::clone(&message),
            lane,
            job,
            marks: Arc::clone(&marks),
            deadline,
        };
        let work = async move {
            match rows {
                Err(()) => turn.message.back_off().await,
                // Two jobs of one delivery would decide on the same row; the second looks again later.
                Ok(_) if is_copy => turn.message.hide(OVERTAKEN_WAIT).await,
                Ok(rows) => turn.take(rows).await,
            }
        };
        started.push(start(id, message, work));
    }

    let last_moment = deadline - ANSWER_TIME;
    let mut response = BatchResponse::default();
    for record in started {
        if finish(record.task, &record.message, last_moment).await == Disposal::Keep {
            response.batch_item_failures.push(ItemFailure { item_identifier: record.message_id });
        }
    }
    if timeout_at(last_moment, marks.written()).await.is_err() {
        tracing::warn!("marks of troubled endpoints were left unwritten");
    }
    burial.report(&app.settings.stack_name);
    response
}

type Work = (String, Arc<Message>, echo_shared::decision::Lane, DeliveryJob);

/// The batch's rows; `None` when one of them cannot be read and each job has to look for itself.
async fn load(app: &App, jobs: &[Work]) -> Result<Option<Loaded>, StoreError> {
    let wanted: Vec<&DeliveryJob> = jobs.iter().map(|(_, _, _, job)| job).collect();
    match rows::load(&app.store, &wanted).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(StoreError::Broken(_)) if jobs.len() > 1 => Ok(None),
        Err(error) => {
            tracing::error!(%error, jobs = jobs.len(), "a batch waits for a fault of our own to pass");
            Err(error)
        }
    }
}

fn start(
    message_id: String,
    message: Arc<Message>,
    work: impl Future<Output = Disposal> + Send + 'static,
) -> Started {
    let span = tracing::info_span!("message", message_id);
    Started { message_id, message, task: tokio::spawn(work.instrument(span)) }
}

/// Waits for one record's end. A panic, or time running out, is that record's failure alone.
async fn finish(mut task: JoinHandle<Disposal>, message: &Message, last_moment: Instant) -> Disposal {
    match timeout_at(last_moment, &mut task).await {
        Ok(Ok(disposal)) => disposal,
        Ok(Err(panic)) => {
            tracing::error!(%panic, "a message's task panicked");
            message.back_off().await
        }
        Err(_) => {
            task.abort();
            tracing::error!("a message was not finished in the invocation's time");
            Disposal::Keep
        }
    }
}
