//! The retries of a batch, sent on to the slow lane or hidden until their time, in requests that they share.

use std::sync::Arc;
use std::time::Duration;

use echo_shared::job::DeliveryJob;

use crate::App;
use crate::together::Together;

/// A batch's retries, on their way to their time.
#[derive(Debug, Clone)]
pub(crate) struct Retries {
    sends: Together<(DeliveryJob, Duration), bool>,
    hides: Together<(String, Duration), bool>,
}

impl Retries {
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        Self { sends: Together::begin(app, send_all), hides: Together::begin(app, hide_all) }
    }

    /// Whether the job is certain to be in the slow lane. Not tried again alone: a job that is sent again is one more
    /// request to the receiver.
    pub(crate) async fn send(&self, job: DeliveryJob, delay: Duration) -> bool {
        self.sends.ask((job, delay)).await == Some(true)
    }

    /// Whether a message of the slow lane is certain to be hidden. What is not can hide itself.
    pub(crate) async fn hide(&self, receipt_handle: String, wait: Duration) -> bool {
        self.hides.ask_in_time((receipt_handle, wait)).await == Some(true)
    }
}

async fn send_all(app: Arc<App>, jobs: Vec<(DeliveryJob, Duration)>) -> Vec<bool> {
    app.queues.retries.send_each(&jobs).await
}

async fn hide_all(app: Arc<App>, messages: Vec<(String, Duration)>) -> Vec<bool> {
    app.queues.retries.hide_each(&messages).await
}
