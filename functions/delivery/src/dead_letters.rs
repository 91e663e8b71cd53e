//! What nothing else could finish: its delivery ends `failed` (`internal`), or the message is parked as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use echo_shared::delivery::{DeliveryStatus, FailureReason};
use echo_shared::job::{DeliveryJob, Job, ReplayJob};
use echo_shared::replay::{ReplayStatus, StopReason};
use echo_shared::store::{Advanced, StoreError, Transition};
use echo_shared::time::Timestamp;

use crate::message::{Disposal, Message};
use crate::one_delivery::{OVERTAKEN_WAIT, unchanged};
use crate::rows::{self, Rows};
use crate::{App, health, replay};

/// How many messages one invocation has laid to rest.
#[derive(Debug, Default)]
pub(crate) struct Burial(AtomicU64);

impl Burial {
    /// Writes the metric that an alarm stands on, in CloudWatch's embedded format, if there is something to count.
    pub(crate) fn report(&self, stack_name: &str) {
        let count = self.0.load(Ordering::Relaxed);
        if count > 0 {
            println!("{}", metric(count, stack_name, Timestamp::now()));
        }
    }
}

fn metric(count: u64, stack_name: &str, now: Timestamp) -> serde_json::Value {
    serde_json::json!({
        "_aws": {
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": "EchoWebhooks",
                "Dimensions": [["Stack"]],
                "Metrics": [{ "Name": "DeadLettered", "Unit": "Count" }],
            }],
        },
        "Stack": stack_name,
        "DeadLettered": count,
    })
}

pub(crate) async fn bury(
    app: Arc<App>,
    message: Arc<Message>,
    body: String,
    burial: Arc<Burial>,
) -> Disposal {
    let buried = match Job::decode(&body) {
        Ok(Job::Delivery(job)) => end(&app, &message, &job).await.map_err(|error| error.to_string()),
        Ok(Job::Replay(job)) => end_replay(&app, &message, &job).await.map_err(|error| error.to_string()),
        Err(error) => {
            tracing::error!(%error, "a message is parked as it is");
            let parked = app.queues.parked.send_text(&body).await;
            parked.map(|()| Disposal::Delete).map_err(|error| error.to_string())
        }
    };
    match buried {
        Ok(disposal) => {
            if disposal == Disposal::Delete {
                burial.0.fetch_add(1, Ordering::Relaxed);
            }
            disposal
        }
        Err(error) => {
            tracing::error!(error, "a dead letter waits for a fault of our own to pass");
            message.back_off().await
        }
    }
}

/// Ends the delivery of a job that came here, unless it has ended.
async fn end(app: &App, message: &Message, job: &DeliveryJob) -> Result<Disposal, StoreError> {
    let now = Timestamp::now();
    let rows = Rows::of(job, &rows::load(&app.store, &[job]).await?);
    let delivery = match rows.delivery {
        Some(delivery) => Some(delivery),
        None => rows::create_missing(&app.store, job, now).await?,
    };
    let Some(delivery) = delivery.filter(|delivery| !delivery.is_expired(now)) else {
        return Ok(Disposal::Delete);
    };
    if delivery.status.is_final() {
        if delivery.uncounted {
            health::tell(app, &delivery, rows.endpoint.as_ref(), now).await?;
        }
        return Ok(Disposal::Delete);
    }
    let failed = Transition {
        status: DeliveryStatus::Failed,
        failure_reason: Some(FailureReason::Internal),
        next_retry_at: None,
        ..unchanged(&delivery, now)
    };
    match app.store.advance(&delivery, &failed).await? {
        Advanced::Done => {
            let (event_id, delivery_id, endpoint_id) = (job.event_id, job.delivery_id, job.endpoint_id);
            tracing::error!(%event_id, %delivery_id, %endpoint_id, "a delivery failed for a fault of our own");
            Ok(Disposal::Delete)
        }
        Advanced::Overtaken => Ok(message.hide(OVERTAKEN_WAIT).await),
    }
}

/// Stops a replay whose step came here, unless another job has gone on with it.
async fn end_replay(app: &App, message: &Message, job: &ReplayJob) -> Result<Disposal, StoreError> {
    let now = Timestamp::now();
    match app.store.replay(&job.endpoint_id, &job.replay_id, now).await? {
        Some(row) if row.status == ReplayStatus::Running && row.step <= job.step + 1 => {
            replay::stop(app, message, &row, StopReason::Internal, now).await
        }
        _ => Ok(Disposal::Delete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_in_cloudwatchs_embedded_format() {
        let metric = metric(3, "my-stack", Timestamp::from_millis(1_776_009_119_499));
        let expected = r#"{"_aws":{"Timestamp":1776009119499,"CloudWatchMetrics":[{"Namespace":"EchoWebhooks","Dimensions":[["Stack"]],"Metrics":[{"Name":"DeadLettered","Unit":"Count"}]}]},"Stack":"my-stack","DeadLettered":3}"#;
        assert_eq!(metric, serde_json::from_str::<serde_json::Value>(expected).expect("JSON"));
    }
}
