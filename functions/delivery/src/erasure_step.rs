//! One step of a project's erasure. `echo_shared::erasure` decides the step; this module carries it out. A step that does not
//! come to its end goes on in the next one. Deleted rows stay deleted, so a step may be repeated.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::erasure::{ErasureStep, on_wake};
use echo_shared::job::{ErasureJob, ErasureStage};
use echo_shared::queue::MAX_DELAY;
use echo_shared::route::Routes;
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use crate::App;
use crate::message::{Disposal, Message};
use crate::steps::STEP_DELAY;

/// How long a step works before it leaves the rest to the next one. Other jobs of the batch wait for it.
const STEP_TIME: Duration = Duration::from_secs(5);

/// How many endpoints are deleted at once.
const ENDPOINTS_AT_ONCE: usize = 8;

pub(crate) async fn take(app: Arc<App>, message: Arc<Message>, job: ErasureJob) -> Disposal {
    match step(&app, &message, &job).await {
        Ok(disposal) => disposal,
        Err(error) => {
            tracing::error!(%error, "an internal fault holds an erasure up");
            message.back_off().await
        }
    }
}

async fn step(app: &App, message: &Message, job: &ErasureJob) -> Result<Disposal, StoreError> {
    let now = Timestamp::now();
    let routes = app.store.routes_to_erase(&job.project_id).await?;
    match (on_wake(job, routes.as_ref(), now), routes) {
        (ErasureStep::NotYet { wait }, _) => Ok(message.hide(wait).await),
        (ErasureStep::Due, Some(routes)) => go_on(app, message, job, &routes).await,
        (ErasureStep::NeverMarked, _) => {
            tracing::info!("an erasure was asked for and not begun");
            Ok(Disposal::Delete)
        }
        (ErasureStep::Finished | ErasureStep::Due, _) => Ok(Disposal::Delete),
    }
}

async fn go_on(
    app: &App,
    message: &Message,
    job: &ErasureJob,
    routes: &Routes,
) -> Result<Disposal, StoreError> {
    let is_done = erase(app, job, routes).await?;
    let now = Timestamp::now();
    let stage =
        if is_done { job.stage.next(routes.shards, now, app.settings.api_timeout) } else { Some(job.stage) };
    let Some(stage) = stage else {
        tracing::info!("a project is erased");
        return Ok(Disposal::Delete);
    };
    let delay = match stage {
        ErasureStage::Events { not_before, .. } => not_before.since(now).clamp(STEP_DELAY, MAX_DELAY),
        _ => STEP_DELAY,
    };
    // The message stays until the next one is certain to be in the queue. Should both be there, both do the same.
    match app.queues.retries.send(&ErasureJob { stage, ..job.clone() }, delay).await {
        Ok(()) => Ok(Disposal::Delete),
        Err(error) => {
            tracing::warn!(%error, "an erasure's next step was perhaps not queued; this one stands in");
            Ok(message.back_off().await)
        }
    }
}

/// Erases the rows at the job's stage; false when the time did not suffice for all of them.
async fn erase(app: &App, job: &ErasureJob, routes: &Routes) -> Result<bool, StoreError> {
    let (store, project_id, now) = (&app.store, &job.project_id, Timestamp::now());
    let end = Instant::now() + STEP_TIME;
    match job.stage {
        ErasureStage::Endpoints => {
            let kept_for = app.settings.retention;
            let retired: Vec<_> = routes
                .endpoints
                .keys()
                .map(|id| store.retire_endpoint(project_id, id, kept_for, now))
                .collect();
            stream::iter(retired).buffer_unordered(ENDPOINTS_AT_ONCE).try_collect::<()>().await?;
            Ok(true)
        }
        ErasureStage::Events { shard, .. } => store.erase_events(project_id, shard, end).await,
        ErasureStage::FormerEndpoints => store.erase_former_endpoints(project_id, end).await,
        ErasureStage::Project => {
            app.budgets.erase(project_id, now).await?;
            if !store.erase_audit(project_id, end).await? {
                return Ok(false);
            }
            store.erase_routes(project_id, routes.shards).await?;
            Ok(true)
        }
    }
}
