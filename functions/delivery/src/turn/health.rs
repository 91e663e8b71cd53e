//! Counts a delivery's end for its endpoint (contract §7), and reports the effect by an operational event.
//!
//! The write that ends a delivery also sets `uncounted` on its row, and the last write here clears it. If the function
//! dies in between, the job comes back and finishes the work. So no failure is lost, no success that clears failures, and
//! no operational event, and the receiver gets no further request. If only the telling fails, the last write puts the
//! operational events on the row (`untold`), and each job of the delivery tells them when the delivery has ended.
//!
//! The write that disables an endpoint, clears its failures, or says that it is failing notes the operational event's id on the
//! endpoint's row. A repeat that finds its own id there knows that this delivery did it, and tells of it again, by the same id.
//! A success at an endpoint in good health makes no read, write or call here.
//!
//! A failure is counted twice if the function dies, or loses DynamoDB, right after the count, and another delivery's
//! failure is counted before this one is taken up again.

use echo_shared::decision::counts_against_health;
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::endpoint::{Endpoint, EndpointState};
use echo_shared::notice::{Kind, Notice};
use echo_shared::operational::is_told;
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;

use crate::own_fault::OwnFault;
use crate::{App, notices};

/// Updates the endpoint after a delivery's end, clears `uncounted` on the delivery, and tells of the effect: now, or as the job
/// comes back. Then it tells of what is still untold of earlier ends.
///
/// # Errors
/// When one of these steps is not certain to be done.
pub(crate) async fn tell(
    app: &App,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    now: Timestamp,
) -> Result<(), OwnFault> {
    if delivery.uncounted {
        let notices = count(app, delivery, endpoint, now).await?;
        if let Err(error) = notices::tell(app, delivery, &notices).await {
            // The delivery may now be tried by hand: whoever asks for it need not wait for those who are told.
            app.store.keep_untold(delivery, &notices).await?;
            return Err(error);
        }
        app.store.settle_count(delivery).await?;
    }
    if !delivery.untold.is_empty() {
        notices::tell(app, delivery, &delivery.untold).await?;
        app.store.settle_untold(delivery).await?;
    }
    Ok(())
}

/// Updates the endpoint after a delivery's end, and returns what there is to tell of it.
async fn count(
    app: &App,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    now: Timestamp,
) -> Result<Vec<Notice>, StoreError> {
    match (delivery.status, delivery.failure_reason, endpoint) {
        (DeliveryStatus::Success, _, Some(endpoint)) => {
            let recovery = Kind::EndpointRecovered.event_id(delivery);
            let recovered = app.store.clear_failures(endpoint, &recovery).await?;
            let news: &[Kind] = if recovered { &[Kind::EndpointRecovered] } else { &[] };
            notices::of_end(app, news, delivery, Some(endpoint))
        }
        (DeliveryStatus::Failed, Some(reason), _) => {
            let mut effect = FailureEffect { endpoint: endpoint.cloned(), news: Vec::new() };
            if let Some(endpoint) = endpoint {
                effect = count_failure(app, delivery, endpoint, reason, now).await?;
            }
            if is_told(reason, delivery.triggered_by) {
                effect.news.insert(0, Kind::DeliveryFailed);
            }
            notices::of_end(app, &effect.news, delivery, effect.endpoint.as_ref())
        }
        _ => Ok(Vec::new()),
    }
}

/// The endpoint after a failure.
struct FailureEffect {
    endpoint: Option<Endpoint>,
    /// The changes that this failure made to the endpoint, now or in an earlier try of the same job.
    news: Vec<Kind>,
}

async fn count_failure(
    app: &App,
    delivery: &Delivery,
    endpoint: &Endpoint,
    reason: FailureReason,
    now: Timestamp,
) -> Result<FailureEffect, StoreError> {
    let disabling = Kind::EndpointDisabled.event_id(delivery);
    let was_disabled = endpoint.state.disabling == Some(disabling);
    let failing = Kind::EndpointFailing.event_id(delivery);
    let mut is_failing = endpoint.state.failing == Some(failing);
    let (rule, kept_for) = (app.settings.disable_rule, app.settings.retention);
    let mut latest = endpoint.clone();
    let mut disabled = None;
    // If the owner changed the endpoint since the attempt, it may lead to another receiver than the one that is gone.
    if reason == FailureReason::Gone && endpoint.updated_at <= delivery.updated_at {
        disabled = app.store.disable_gone(endpoint, &disabling, kept_for, now).await?;
    }
    if counts_against_health(reason, delivery.triggered_by)
        && let Some(counted) = app.store.count_failure(endpoint, &delivery.id, now).await?
    {
        is_failing = if rule.is_failing_anew(&counted.state) {
            app.store.note_failing(&counted, &failing).await?
        } else {
            counted.state.failing == Some(failing)
        };
        if let Some(at) = rule.disables_now(&counted.state, now)
            && disabled.is_none()
        {
            disabled = app.store.disable_after_failures(&counted, rule, &disabling, kept_for, at).await?;
        }
        latest = counted;
    }
    if disabled.is_some() {
        tracing::warn!(?reason, "an endpoint was disabled");
    }
    let is_disabled = was_disabled || disabled.is_some();
    if let Some(disabled) = disabled {
        let consecutive_failures = latest.state.consecutive_failures;
        let state = EndpointState { consecutive_failures, ..disabled.state.clone() };
        latest = Endpoint { state, ..disabled };
    }
    let news = [(Kind::EndpointFailing, is_failing), (Kind::EndpointDisabled, is_disabled)];
    let news = news.into_iter().filter_map(|(kind, is_news)| is_news.then_some(kind)).collect();
    Ok(FailureEffect { endpoint: Some(latest), news })
}
