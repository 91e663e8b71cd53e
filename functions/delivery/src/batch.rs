//! One batch of messages. Each record has its own task, so that none delays or fails another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use echo_shared::decision::{Lane, OVERTAKEN_WAIT};
use echo_shared::job::{DeliveryJob, Job, StreamJob};
use echo_shared::store::{Loaded, StoreError};
use echo_shared::time::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::App;
use crate::dead_letters;
use crate::erasure_step;
use crate::intake::Intake;
use crate::lanes::Source;
use crate::message::{Disposal, Message};
use crate::metrics::Tally;
use crate::replay_step;
use crate::reseal_step;
use crate::sqs_event::{BatchResponse, ItemFailure, Record};
use crate::stats;
use crate::streams::{Runner, of_batch};
use crate::turn::rows::{self, Rows};
use crate::turn::slots::{self, Reservation};
use crate::turn::slowness::SpeedMarks;
use crate::turn::{Shared, Turn};

/// The time between the function's answer and its deadline. Without an answer Lambda hands out the finished records again
/// too.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// A job whose rows are not read yet.
struct Waiting {
    message: Arc<Message>,
    lane: Lane,
    job: DeliveryJob,
    span: Span,
}

/// A message and the task that works on it.
struct Started {
    message: Arc<Message>,
    task: JoinHandle<Disposal>,
}

/// Puts the invocation's id and the job's ids on each log line about the job.
fn span_of(job: &Job, request_id: &str) -> Span {
    match job {
        Job::Delivery(job) => tracing::info_span!(
            "job",
            request_id,
            event_id = %job.event_id,
            delivery_id = %job.delivery_id,
            endpoint_id = %job.endpoint_id,
        ),
        Job::Replay(job) => tracing::info_span!(
            "replay",
            request_id,
            replay_id = %job.replay_id,
            endpoint_id = %job.endpoint_id,
        ),
        // Its name is the hash of a customer's id, which no log is to keep.
        Job::Stream(job) => tracing::info_span!(
            "stream",
            request_id,
            endpoint_id = %job.endpoint_id,
        ),
        Job::Reseal(job) => tracing::info_span!("sweep", request_id, key = %job.key),
        Job::Erasure(job) => tracing::info_span!("erasure", request_id, project_id = %job.project_id),
    }
}

pub(crate) async fn handle(
    app: &Arc<App>,
    records: Vec<Record>,
    request_id: &str,
    deadline: Instant,
) -> BatchResponse {
    let tally = Arc::new(Tally::default());
    let response = work(app, records, request_id, deadline, &tally).await;
    tally.report(&app.settings.stack_name, request_id);
    response
}

async fn work(
    app: &Arc<App>,
    records: Vec<Record>,
    request_id: &str,
    deadline: Instant,
    tally: &Arc<Tally>,
) -> BatchResponse {
    let mut started = Vec::with_capacity(records.len());
    let mut jobs = Vec::new();
    let mut streams: Vec<(Arc<Message>, Lane, StreamJob, Span)> = Vec::new();
    let mut events = Vec::new();
    for record in records {
        let (source, queue) = app.queues.named(record.queue_name());
        let message = Arc::new(Message {
            queue: queue.clone(),
            receives: record.receives(),
            id: record.message_id.clone(),
            receipt_handle: record.receipt_handle.clone(),
        });
        // `None` for a dead letter.
        let lane = match source {
            // An event has up to 1 MiB, so its own task parses it.
            Source::Intake => {
                events.push((message, record.body));
                continue;
            }
            Source::Lane(lane) => Some(lane),
            Source::DeadLetters => None,
        };
        let job = Job::decode(&record.body);
        let span = job.as_ref().map_or_else(|_| Span::current(), |job| span_of(job, request_id));
        match (lane, job) {
            (None, job) => {
                let bury = dead_letters::bury(app.clone(), message.clone(), record, job, tally.clone());
                started.push(start(message, span, bury));
            }
            (Some(lane), Ok(Job::Delivery(job))) => {
                jobs.push(Waiting { message, lane, job, span });
            }
            (Some(_), Ok(Job::Replay(job))) => {
                started.push(start(message.clone(), span, replay_step::take(app.clone(), message, job)));
            }
            (Some(lane), Ok(Job::Stream(job))) => streams.push((message, lane, job, span)),
            (Some(_), Ok(Job::Reseal(job))) => {
                started.push(start(message.clone(), span, reseal_step::take(app.clone(), message, job)));
            }
            (Some(_), Ok(Job::Erasure(job))) => {
                started.push(start(message.clone(), span, erasure_step::take(app.clone(), message, job)));
            }
            (Some(_), Err(error)) => {
                tracing::error!(message_id = message.id, %error, "a message is not a job that this build knows");
                let kept = message.clone();
                started.push(start(message, span, async move { kept.back_off().await }));
            }
        }
    }

    started.extend(start_events(app, events, tally));
    let marks = Arc::new(SpeedMarks::default());
    started.extend(start_streams(app, streams, &marks, tally, deadline));
    started.extend(start_turns(app, jobs, &marks, tally, deadline).await);

    let last_moment = deadline - ANSWER_TIME;
    let mut response = BatchResponse::default();
    for record in started {
        let disposal = finish(record.task, &record.message, last_moment).await;
        if disposal == Disposal::Delete {
            continue;
        }
        response.batch_item_failures.push(ItemFailure { item_identifier: record.message.id.clone() });
        tally.add(|counts| counts.held_back += u64::from(disposal == Disposal::HeldBack));
    }
    let marks = async {
        if timeout_at(last_moment, marks.written()).await.is_err() {
            tracing::warn!("marks of endpoints were left unwritten");
        }
    };
    tokio::join!(marks, stats::write(app, tally.take_by_endpoint(), tally, last_moment));
    response
}

/// Starts a task for each event. The tasks share reads and requests.
fn start_events(app: &Arc<App>, events: Vec<(Arc<Message>, String)>, tally: &Arc<Tally>) -> Vec<Started> {
    if events.is_empty() {
        return Vec::new();
    }
    let intake = Intake::begin(app, tally, events.len());
    let start_event = |(message, body): (Arc<Message>, String)| {
        start(message.clone(), Span::current(), intake.clone().take(message, body))
    };
    events.into_iter().map(start_event).collect()
}

/// Starts a task for each job of a stream.
fn start_streams(
    app: &Arc<App>,
    jobs: Vec<(Arc<Message>, Lane, StreamJob, Span)>,
    marks: &Arc<SpeedMarks>,
    tally: &Arc<Tally>,
    deadline: Instant,
) -> Vec<Started> {
    let own = of_batch(jobs.iter().map(|(message, _, job, _)| (message.id.as_str(), job)));
    let start_one = |((message, lane, job, span), group)| {
        let (app, marks, tally) = (Arc::clone(app), Arc::clone(marks), Arc::clone(tally));
        let began = Instant::now();
        let runner =
            Runner { app, message: Arc::clone(&message), lane, job, marks, tally, deadline, began, group };
        start(message, span, runner.run())
    };
    jobs.into_iter().zip(own).map(start_one).collect()
}

/// Reads the rows of all jobs in one request, and starts a task for each job's turn.
async fn start_turns(
    app: &Arc<App>,
    jobs: Vec<Waiting>,
    marks: &Arc<SpeedMarks>,
    tally: &Arc<Tally>,
    deadline: Instant,
) -> Vec<Started> {
    // All messages of a batch come from one queue.
    let look = async {
        if let Some(job) = jobs.first() {
            app.crowding.look(job.lane, &app.queues).await;
        }
    };
    // The first batch of a process reads the sealing keys beside its rows.
    let keys = async {
        if !jobs.is_empty() {
            app.keys.read_ahead().await;
        }
    };
    let (loaded, (), ()) = tokio::join!(load(app, &jobs), look, keys);
    let reservations = match &loaded {
        Ok(Some(loaded)) => {
            let wanted = jobs.iter().map(|job| (&job.job, job.lane));
            slots::reservations(wanted, loaded, Timestamp::now(), app.settings.request_timeout)
        }
        _ => jobs.iter().map(|_| None).collect(),
    };
    if let Ok(Some(loaded)) = &loaded {
        settle(app, &jobs, loaded, marks);
    }
    let mut taken = HashSet::new();
    let shared = (jobs.len() > 1).then(|| Shared::begin(app));
    let start_turn = |(Waiting { message, lane, job, span }, reservation): (Waiting, Option<Reservation>)| {
        let is_copy = !taken.insert((job.delivery_id, job.chain));
        let rows = loaded.as_ref().map(|loaded| loaded.as_ref().map(|loaded| Rows::of(&job, loaded)));
        let rows = rows.map_err(|_| ());
        let (app, marks, tally) = (Arc::clone(app), Arc::clone(marks), Arc::clone(tally));
        let shared = shared.clone();
        let turn = Turn {
            app,
            message: message.clone(),
            lane,
            job,
            reservation,
            marks,
            shared,
            tally,
            deadline,
            by_stream: false,
            by_runner: None,
        };
        start(message, span, async move {
            match rows {
                Err(()) => turn.message.back_off().await,
                // SQS can deliver one job twice, and and the row would name both copies. The second looks again later.
                Ok(_) if is_copy => turn.message.hide(OVERTAKEN_WAIT).await,
                Ok(rows) => turn.take(rows).await,
            }
        })
    };
    jobs.into_iter().zip(reservations).map(start_turn).collect()
}

/// Settles the endpoints of the batch's landmarks. Only the first job of a delivery counts, or deliveries that wait for long
/// would settle their endpoint at each look.
fn settle(app: &Arc<App>, jobs: &[Waiting], loaded: &Loaded, marks: &SpeedMarks) {
    let landmarks = jobs.iter().map(|waiting| &waiting.job).filter(|job| job.chain.is_none());
    for job in landmarks.filter(|job| job.delivery_id.is_landmark()) {
        if let Some(endpoint) = loaded.endpoints.get(&(job.project_id, job.endpoint_id)) {
            marks.settle(app, endpoint, Timestamp::now());
        }
    }
}

/// The batch's rows. `None` when one row cannot be read: then each job reads its own.
async fn load(app: &App, jobs: &[Waiting]) -> Result<Option<Loaded>, StoreError> {
    let wanted: Vec<&DeliveryJob> = jobs.iter().map(|job| &job.job).collect();
    match rows::load(&app.store, &wanted).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(StoreError::Broken(_)) if jobs.len() > 1 => Ok(None),
        Err(error) => {
            tracing::error!(%error, jobs = jobs.len(), "a batch waits for an internal fault to pass");
            Err(error)
        }
    }
}

/// Starts a message's task. `span` carries the job's ids to its log lines.
fn start(
    message: Arc<Message>,
    span: Span,
    work: impl Future<Output = Disposal> + Send + 'static,
) -> Started {
    Started { message, task: tokio::spawn(work.instrument(span)) }
}

/// Waits for one message's task. A panic, or the end of the time, affects this message alone.
async fn finish(mut task: JoinHandle<Disposal>, message: &Message, last_moment: Instant) -> Disposal {
    match timeout_at(last_moment, &mut task).await {
        Ok(Ok(disposal)) => disposal,
        Ok(Err(panic)) => {
            tracing::error!(message_id = message.id, %panic, "a message's task panicked");
            timeout_at(last_moment, message.back_off()).await.unwrap_or(Disposal::HeldBack)
        }
        Err(_) => {
            task.abort();
            tracing::error!(message_id = message.id, "a message was not finished in the invocation's time");
            Disposal::HeldBack
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqsEvent;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn a_panic_is_one_records_failure() {
        let queue = App::cut_off().queues.retries.clone();
        let (id, receipt_handle) = ("m1".to_owned(), "r1".to_owned());
        let message = Arc::new(Message { queue, id, receipt_handle, receives: 1 });
        let bad = start(message.clone(), Span::none(), async { panic!("on purpose") });
        let good = start(message.clone(), Span::none(), async { Disposal::Delete });
        assert_eq!(finish(bad.task, &message, soon()).await, Disposal::HeldBack);
        assert_eq!(finish(good.task, &message, soon()).await, Disposal::Delete);
        let endless = start(message.clone(), Span::none(), std::future::pending());
        assert_eq!(finish(endless.task, &message, Instant::now()).await, Disposal::HeldBack);
    }

    #[tokio::test]
    async fn a_job_held_up_by_an_internal_fault_stays_in_its_queue_and_is_counted() {
        let app = Arc::new(App::cut_off());
        let id = "01a20113-3a57-7c63-9fb6-0c94e1b2e278";
        let job = format!(
            r#"{{"v":1,"project_id":"{id}","endpoint_id":"{id}","delivery_id":"{id}","event_id":"{id}"}}"#
        );
        let event = format!(r#"{{"project_id":"{id}","event_id":"{id}","event_name":"call.ended"}}"#);
        let record = |message_id: &str, queue: &str, body: &str| {
            serde_json::json!({
                "messageId": message_id,
                "receiptHandle": "r",
                "body": body,
                "attributes": { "ApproximateReceiveCount": "1" },
                "eventSourceARN": format!("arn:aws:sqs:us-east-1:1:{queue}"),
            })
        };
        let event = serde_json::json!({ "Records": [
            record("fast", "FIRST_ATTEMPTS_QUEUE_URL", &job),
            record("retry", "RETRIES_QUEUE_URL", &job),
            record("slow", "SLOW_ENDPOINTS_QUEUE_URL", &job),
            record("no job", "FIRST_ATTEMPTS_QUEUE_URL", "hello"),
            record("later version", "RETRIES_QUEUE_URL", r#"{"v":9}"#),
            record("dead", "DEAD_LETTER_QUEUE_URL", &job),
            record("dead and no job", "DEAD_LETTER_QUEUE_URL", "hello"),
            record("event", "INTAKE_QUEUE_URL", &event),
            record("refused", "INTAKE_QUEUE_URL", "hello"),
        ]});
        let event: SqsEvent = serde_json::from_value(event).expect("an event");
        let mut all: Vec<String> = event.records.iter().map(|record| record.message_id.clone()).collect();
        let tally = Arc::new(Tally::default());
        let response = work(&app, event.records, "r1", soon(), &tally).await;
        let mut kept: Vec<String> =
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        all.sort();
        kept.sort();
        assert_eq!(kept, all);
        tally.add(|counts| assert_eq!(counts.held_back, all.len() as u64));
    }
}
