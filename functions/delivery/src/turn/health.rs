//! Counts a delivery's end for its endpoint (contract §7), and tells the operator about the effect.
//!
//! The write that ends a delivery also sets `uncounted` on its row, and the last write here clears it. If the function
//! dies in between, the job comes back and finishes the work. So no failure is lost, no success that wipes failures out,
//! and no operational event; and no request is made again.
//!
//! The write that disables an endpoint, or clears its failures, notes the operational event's id on the endpoint's row.
//! A repeat that finds its own id there knows that this delivery did it, and tells the operator again, by the same id.
//! A success at an endpoint in good health makes no read, write or call here.
//!
//! A failure is counted twice if the function dies, or loses DynamoDB, right after the count, and another delivery's
//! failure is counted before this one is taken up again.

use echo_shared::decision::counts_against_health;
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::endpoint::{Endpoint, EndpointState};
use echo_shared::operational::{Kind, is_told};
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;

use crate::own_fault::OwnFault;
use crate::{App, operator};

/// Updates the endpoint after a delivery's end, tells the operator, and then clears `uncounted` on the delivery.
///
/// # Errors
/// When one of these steps is not certain to be done.
pub(crate) async fn tell(
    app: &App,
    delivery: &Delivery,
    endpoint: Option<&Endpoint>,
    now: Timestamp,
) -> Result<(), OwnFault> {
    match (delivery.status, delivery.failure_reason, endpoint) {
        (DeliveryStatus::Success, _, Some(endpoint)) => {
            let recovery = Kind::EndpointRecovered.event_id(delivery);
            if app.store.clear_failures(endpoint, &recovery).await? {
                operator::tell(app, Kind::EndpointRecovered, delivery, Some(endpoint)).await?;
            }
        }
        (DeliveryStatus::Failed, Some(reason), _) => {
            let mut effect = FailureEffect { endpoint: endpoint.cloned(), is_disabled: false };
            if let Some(endpoint) = endpoint {
                effect = tell_failure(app, delivery, endpoint, reason, now).await?;
            }
            if let Err(error) = tell_operator(app, delivery, reason, &effect).await {
                if !delivery.counted {
                    app.store.note_counted(delivery).await?;
                }
                return Err(error);
            }
        }
        _ => {}
    }
    Ok(app.store.settle_count(delivery).await?)
}

/// The endpoint after a failure.
struct FailureEffect {
    endpoint: Option<Endpoint>,
    /// This failure disabled the endpoint, now or in an earlier try of the same job.
    is_disabled: bool,
}

async fn tell_operator(
    app: &App,
    delivery: &Delivery,
    reason: FailureReason,
    effect: &FailureEffect,
) -> Result<(), OwnFault> {
    if is_told(reason, delivery.triggered_by) {
        operator::tell(app, Kind::DeliveryFailed, delivery, effect.endpoint.as_ref()).await?;
    }
    if effect.is_disabled {
        operator::tell(app, Kind::EndpointDisabled, delivery, effect.endpoint.as_ref()).await?;
    }
    Ok(())
}

async fn tell_failure(
    app: &App,
    delivery: &Delivery,
    endpoint: &Endpoint,
    reason: FailureReason,
    now: Timestamp,
) -> Result<FailureEffect, StoreError> {
    let disabling = Kind::EndpointDisabled.event_id(delivery);
    let was_disabled = endpoint.state.disabling == Some(disabling);
    let mut latest = endpoint.clone();
    let mut disabled = None;
    // If the owner changed the endpoint since the attempt, it may lead to another receiver than the one that is gone.
    if reason == FailureReason::Gone && endpoint.updated_at <= delivery.updated_at {
        disabled = app.store.disable_gone(endpoint, &disabling, now).await?;
    }
    if counts_against_health(reason, delivery.triggered_by) && !delivery.counted {
        let limit = app.settings.disable_after_failures;
        if let Some(counted) = app.store.count_failure(endpoint, &delivery.id, now).await? {
            if limit > 0 && counted.state.consecutive_failures >= limit && disabled.is_none() {
                let after = app.settings.disable_after;
                disabled = app.store.disable_after_failures(&counted, limit, after, &disabling, now).await?;
            }
            latest = counted;
        }
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
    Ok(FailureEffect { endpoint: Some(latest), is_disabled })
}
