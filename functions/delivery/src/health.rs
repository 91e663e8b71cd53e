//! Tells an endpoint how one of its deliveries ended (contract §7).
//!
//! The delivery's row says that the endpoint is still to be told (`uncounted`), in the same write that ends it, and
//! forgets it afterwards. Whatever breaks in between, the job comes back and finishes: neither a failure nor the
//! success that wipes failures out is lost, and no request is made again for it.

use echo_shared::decision::counts_against_health;
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::endpoint::Endpoint;
use echo_shared::store::{StoreError, Transition};
use echo_shared::time::Timestamp;

use crate::App;

/// Whether an ending is news for the endpoint.
pub(crate) fn is_news(ending: &Transition, endpoint: &Endpoint) -> bool {
    match (ending.status, ending.failure_reason) {
        (DeliveryStatus::Success, _) => {
            endpoint.consecutive_failures > 0 || endpoint.first_failure_at.is_some()
        }
        // A manual attempt's 410 disables the endpoint too, though it is not counted.
        (DeliveryStatus::Failed, Some(reason)) => {
            reason == FailureReason::Gone || counts_against_health(reason, ending.triggered_by)
        }
        _ => false,
    }
}

/// Does what an ending means for the endpoint, then notes on the delivery that it is done.
///
/// # Errors
/// When DynamoDB did not do all of it.
pub(crate) async fn tell(
    app: &App,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(endpoint) = endpoint {
        match (delivery.status, delivery.failure_reason) {
            (DeliveryStatus::Success, _) => app.store.clear_failures(endpoint).await?,
            (DeliveryStatus::Failed, Some(reason)) => {
                tell_failure(app, delivery, endpoint, reason, now).await?;
            }
            _ => {}
        }
    }
    app.store.settle_count(delivery).await
}

async fn tell_failure(
    app: &App,
    delivery: &Delivery,
    endpoint: &Endpoint,
    reason: FailureReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut disabled = false;
    // An owner who changed the endpoint since then means another receiver than the one that is gone.
    if reason == FailureReason::Gone && endpoint.updated_at <= delivery.updated_at {
        disabled = app.store.disable_gone(endpoint, now).await?;
    }
    if counts_against_health(reason, delivery.triggered_by) {
        let limit = app.settings.disable_after_failures;
        let counted = app.store.count_failure(endpoint, &delivery.id, now).await?;
        if let Some(endpoint) = counted.filter(|counted| limit > 0 && counted.consecutive_failures >= limit) {
            let disable_after = app.settings.disable_after;
            disabled |= app.store.disable_after_failures(&endpoint, limit, disable_after, now).await?;
        }
    }
    if disabled {
        tracing::warn!(?reason, "an endpoint was disabled");
    }
    Ok(())
}
