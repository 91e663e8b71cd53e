//! Retries, sent on to the slow lane or hidden until their time: those of a batch in requests that they share.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::job::DeliveryJob;
use echo_shared::queue::Queue;
use echo_shared::rate_limit::Slot;
use echo_shared::time::Timestamp;

use crate::App;
use crate::message::{Disposal, Message, time_in_queue};
use crate::together::Together;

/// Sends a job on to the slow lane; false when it is not certain to be there. It is not tried again: a job that is
/// sent again is one more request to the receiver.
pub(crate) async fn send(
    slow_lane: &Queue,
    others: Option<&Retries>,
    job: DeliveryJob,
    delay: Duration,
) -> bool {
    match others {
        Some(others) => others.sends.ask((job, delay)).await == Some(true),
        None => {
            let sent = slow_lane.send(&job, delay).await;
            sent.inspect_err(|error| tracing::warn!(%error, "a job was perhaps not queued")).is_ok()
        }
    }
}

/// Hides a message until a slot comes, or until anything else; with `others` one of the slow lane.
pub(crate) async fn hide(
    message: &Message,
    others: Option<&Retries>,
    until: Timestamp,
    slot: Option<Slot>,
) -> Disposal {
    if let Some(others) = others
        && others.hides.ask((message.receipt_handle.clone(), time_in_queue(until, slot))).await == Some(true)
    {
        return Disposal::Keep;
    }
    message.hide(time_in_queue(until, slot)).await
}

/// A batch's retries, on their way to their time.
#[derive(Debug, Clone)]
pub(crate) struct Retries {
    sends: Together<(DeliveryJob, Duration), bool>,
    hides: Together<(String, Duration), bool>,
}

impl Retries {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self { sends: Together::begin_unhurried(app, send_all), hides: Together::begin(app, hide_all) }
    }
}

async fn send_all(app: Arc<App>, jobs: Vec<(DeliveryJob, Duration)>) -> Vec<bool> {
    app.queues.retries.send_each(&jobs).await
}

async fn hide_all(app: Arc<App>, messages: Vec<(String, Duration)>) -> Vec<bool> {
    app.queues.retries.hide_each(&messages).await
}
