//! One step of the sweep, which seals the values of all endpoints anew under the current key, so that an earlier key may retire
//! (`echo_shared::sealing`). Its place in the table is in the job, and each write depends on the row that was read. So
//! a step that is made twice, or a sweep that is begun twice, does no harm.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::endpoint::Endpoint;
use echo_shared::job::ResealJob;
use echo_shared::sealing::{SEALS_FOR, SealingKeys};
use echo_shared::store::{Advanced, Scanned, StoreError};
use echo_shared::time::Timestamp;
use futures_util::future::try_join_all;

use crate::App;
use crate::message::{Disposal, Message};
use crate::own_fault::OwnFault;
use crate::steps::{NOT_YET, STEP_DELAY};

/// The rows that one step reads; an endpoint has two.
const ROWS: i32 = 16;

/// The endpoints that are written side by side.
const AT_ONCE: usize = 8;

/// How often the sweep tries an endpoint whose owner changes it meanwhile.
const TRIES: usize = 3;

/// After this time no function seals under an earlier key: each reads the secret again after [`SEALS_FOR`], and a call
/// that began before has ended. The rest is for Secrets Manager, whose documentation does not say when each reader gets
/// a new value.
const SETTLES_WITHIN: Duration = Duration::from_secs(5 * 60);
const _: () = assert!(SETTLES_WITHIN.as_secs() >= 4 * SEALS_FOR.as_secs());

/// The result of a step for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// Its values were under the key already, or it is gone.
    Nothing,
    Resealed,
    /// A value does not open.
    Left,
    /// Its owner changed it each time.
    Contested,
}

pub(crate) async fn take(app: Arc<App>, message: Arc<Message>, job: ResealJob) -> Disposal {
    match step(&app, &message, &job).await {
        Ok(disposal) => disposal,
        Err(error) => {
            tracing::error!(%error, "an internal fault holds the sweep up");
            message.back_off().await
        }
    }
}

async fn step(app: &App, message: &Message, job: &ResealJob) -> Result<Disposal, OwnFault> {
    let mut keys = app.keys.to_seal().await?;
    if *keys.current() != job.key {
        keys = app.keys.read_again().await?;
    }
    if *keys.current() != job.key {
        tracing::error!(current = %keys.current(), "the sweep ends: its key is not the current one");
        return Ok(Disposal::Delete);
    }
    if !job.is_settled {
        let first = ResealJob { is_settled: true, ..job.clone() };
        return Ok(go_on(app, message, &first, SETTLES_WITHIN).await);
    }
    let Scanned { endpoints, unreadable, next } = app.store.next_endpoints(job.after.as_ref(), ROWS).await?;
    for id in &unreadable {
        tracing::error!(endpoint_id = id, "the sweep leaves an endpoint out: its row cannot be read");
    }
    let mut job = ResealJob { after: next, left: job.left + unreadable.len() as u64, ..job.clone() };
    for some in endpoints.chunks(AT_ONCE) {
        for done in try_join_all(some.iter().map(|endpoint| reseal(app, &keys, endpoint))).await? {
            match done {
                Done::Nothing => {}
                Done::Resealed => job.resealed += 1,
                Done::Left => job.left += 1,
                Done::Contested => return Ok(message.hide(NOT_YET).await),
            }
        }
    }
    if job.after.is_some() {
        return Ok(go_on(app, message, &job, STEP_DELAY).await);
    }
    let (resealed, left) = (job.resealed, job.left);
    if left == 0 {
        tracing::info!(
            resealed,
            "the sweep is done: all values are sealed under its key, and every other key may retire"
        );
    } else {
        tracing::error!(
            resealed,
            left,
            "the sweep is done, but some endpoints do not open: no key may retire"
        );
    }
    Ok(Disposal::Delete)
}

async fn reseal(app: &App, keys: &SealingKeys, endpoint: &Endpoint) -> Result<Done, StoreError> {
    let mut latest = None;
    for _ in 0..TRIES {
        let endpoint = latest.as_ref().unwrap_or(endpoint);
        let resealed = match keys.reseal_all(endpoint, Timestamp::now()) {
            Ok(None) => return Ok(Done::Nothing),
            Ok(Some(resealed)) => resealed,
            Err(error) => {
                tracing::error!(endpoint_id = %endpoint.id, %error, "the sweep leaves an endpoint as it is");
                return Ok(Done::Left);
            }
        };
        if app.store.reseal(endpoint, &resealed).await? == Advanced::Done {
            return Ok(Done::Resealed);
        }
        latest = app.store.endpoint(&endpoint.project_id, &endpoint.id).await?;
        if latest.is_none() {
            return Ok(Done::Nothing);
        }
    }
    Ok(Done::Contested)
}

/// Sends the next step. This message stays until the next one is certain to be in the queue; should both be there, the
/// second repeats the step without effect.
async fn go_on(app: &App, message: &Message, next: &ResealJob, delay: Duration) -> Disposal {
    match app.queues.retries.send(next, delay).await {
        Ok(()) => {
            tracing::info!(resealed = next.resealed, left = next.left, "the sweep goes on");
            Disposal::Delete
        }
        Err(error) => {
            tracing::warn!(%error, "the sweep's next step was perhaps not queued; this one stands in");
            message.back_off().await
        }
    }
}
