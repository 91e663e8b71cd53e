//! Messages that the other queues gave up. The delivery of such a job ends `failed` (`internal`). A
//! step of an erasure, or a message that is no job, is parked as it is. Of an event as much is parked as may be kept.

use std::sync::Arc;

use echo_shared::decision::{OVERTAKEN_WAIT, given_up};
use echo_shared::job::{DeliveryJob, Job, NotAJob, ReplayJob, StreamJob};
use echo_shared::replay::{ReplayStatus, StopReason};
use echo_shared::store::{Advanced, StoreError};
use echo_shared::time::Timestamp;

use crate::intake::{Kept, NO_PROJECT};
use crate::lanes::INTAKE;
use crate::message::{Disposal, Message};
use crate::metrics::Tally;
use crate::own_fault::OwnFault;
use crate::sqs_event::Record;
use crate::turn::health;
use crate::turn::rows::{self, Rows};
use crate::{App, notices, replay_step, streams};

/// The reason on an event that was parked without having been refused.
const KEPT_OUT: &str = "faults of ours kept it from being accepted; send it again under the same event_id";

/// The reason on a step of the sweep that was parked.
const GAVE_UP_SWEEP: &str = "faults of ours kept the sweep from going on; begin it again";

/// The reason on a step of an erasure that was parked.
const GIVEN_UP: &str =
    "faults of ours kept a project from being erased; send this body to the queue of retries again";

pub(crate) async fn bury(
    app: Arc<App>,
    message: Arc<Message>,
    record: Record,
    job: Result<Job, NotAJob>,
    tally: Arc<Tally>,
) -> Disposal {
    let Record { body, .. } = &record;
    let is_event = record.given_up_by() == app.queues.intake.name();
    let ended = match job {
        _ if is_event => park_event(&app, &message, body).await,
        Ok(Job::Delivery(job)) => {
            end_and_wake(&app, &message, &job, &tally).await.map_err(|error| error.to_string())
        }
        Ok(Job::Stream(job)) => {
            end_stream(&app, &message, &job, &tally).await.map_err(|error| error.to_string())
        }
        Ok(Job::Replay(job)) => end_replay(&app, &message, &job).await.map_err(|error| error.to_string()),
        Ok(Job::Reseal(_)) => park(&app, &message, "jobs", body, GAVE_UP_SWEEP).await,
        Ok(Job::Erasure(_)) => park(&app, &message, "jobs", body, GIVEN_UP).await,
        Err(error) => park(&app, &message, "jobs", body, &error.to_string()).await,
    };
    match ended {
        Ok(disposal) => {
            if disposal == Disposal::Delete {
                tally.add(|counts| counts.dead_lettered += 1);
            }
            disposal
        }
        Err(error) => {
            tracing::error!(error, "a dead letter waits for an internal fault to pass");
            message.back_off().await
        }
    }
}

async fn park(
    app: &App,
    message: &Message,
    source: &str,
    body: &str,
    reason: &str,
) -> Result<Disposal, String> {
    tracing::error!(message_id = message.id, source, reason, "a message is parked");
    let parked = app.queues.park(message, source, body, reason).await;
    parked.map(|()| Disposal::Delete).map_err(|error| error.to_string())
}

/// Parks as much of an event as may be kept.
async fn park_event(app: &App, message: &Message, body: &str) -> Result<Disposal, String> {
    match Kept::of_given_up(app, body).await.map_err(|error| error.to_string())? {
        Kept::Whole => park(app, message, INTAKE, body, KEPT_OUT).await,
        Kept::Ids(ids) => park(app, message, INTAKE, &ids, NO_PROJECT).await,
        Kept::Nothing => {
            tracing::info!(message_id = message.id, "an event was dropped: its project is erased");
            Ok(Disposal::Delete)
        }
    }
}

/// Ends the delivery of a job that came here, and lets the stream go on that waited for it.
async fn end_and_wake(
    app: &App,
    message: &Message,
    job: &DeliveryJob,
    tally: &Tally,
) -> Result<Disposal, OwnFault> {
    let ended = end(app, message, job, tally).await?;
    if let (Disposal::Delete, Some(wakes)) = (ended, job.wakes()) {
        app.queues.first_attempts.wake(&wakes).await?;
    }
    Ok(ended)
}

/// Ends the delivery of a job that came here, if [`given_up`] says so.
async fn end(app: &App, message: &Message, job: &DeliveryJob, tally: &Tally) -> Result<Disposal, OwnFault> {
    let now = Timestamp::now();
    let rows = Rows::of(job, &rows::load(&app.store, &[job]).await?);
    let delivery = match rows.delivery {
        Some(delivery) => Some(delivery),
        None => rows::create_missing(&app.store, job, rows.event.as_deref()).await?,
    };
    let Some(mut delivery) = delivery.filter(|delivery| !delivery.is_expired(now)) else {
        return Ok(Disposal::Delete);
    };
    let endpoint = rows.endpoint.as_ref();
    if let Some(failed) = given_up(&delivery, job, notices::may_be_told(app, &delivery), now) {
        if app.store.advance(&delivery, &failed).await? == Advanced::Overtaken {
            return Ok(message.hide(OVERTAKEN_WAIT).await);
        }
        tracing::error!("a delivery failed for an internal fault");
        tally.add(|counts| {
            counts.failed += 1;
            if let Some(endpoint) = endpoint {
                counts.by_endpoint.add(endpoint, &failed);
            }
        });
        failed.apply(&mut delivery);
    }
    if delivery.is_to_be_told() {
        health::tell(app, &delivery, endpoint, now).await?;
    }
    Ok(Disposal::Delete)
}

/// Ends the delivery that a stream's job could not get past, if the job had the stream, and lets the stream go on.
async fn end_stream(
    app: &App,
    message: &Message,
    job: &StreamJob,
    tally: &Tally,
) -> Result<Disposal, OwnFault> {
    let mut after = job.after;
    if let Some(entry) = streams::stuck_at(app, message, job).await? {
        if end(app, message, &job.delivery_job(entry), tally).await? != Disposal::Delete {
            return Ok(Disposal::Keep);
        }
        after = Some(entry.delivery_id);
    }
    app.queues.first_attempts.wake(&StreamJob { after, ..job.clone() }).await?;
    Ok(Disposal::Delete)
}

/// Stops a replay whose step came here, unless another job has gone on with it.
async fn end_replay(app: &App, message: &Message, job: &ReplayJob) -> Result<Disposal, StoreError> {
    let now = Timestamp::now();
    match app.store.replay(&job.endpoint_id, &job.replay_id, now).await? {
        Some(row) if row.status == ReplayStatus::Running && row.step <= job.step + 1 => {
            replay_step::stop(app, message, &row, StopReason::Internal, now).await
        }
        _ => Ok(Disposal::Delete),
    }
}
