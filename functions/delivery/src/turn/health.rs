//! Tells an endpoint how one of its deliveries ended (contract §7), and the operator what came of that.
//!
//! The delivery's row says that the endpoint is still to be told (`uncounted`), in the same write that ends it, and
//! forgets it afterwards. Whatever breaks in between, the job comes back and finishes: neither a failure nor the
//! success that wipes failures out is lost, nor an operational event, and no request is made again for it.

use echo_shared::decision::counts_against_health;
use echo_shared::delivery::{Delivery, DeliveryStatus, FailureReason};
use echo_shared::endpoint::Endpoint;
use echo_shared::operational::{Kind, is_told};
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;
use echo_shared::transition::Transition;

use crate::own_fault::OwnFault;
use crate::{App, operator};

/// Whether an ending is news for the endpoint.
pub(crate) fn is_news(ending: &Transition, endpoint: &Endpoint) -> bool {
    match (ending.status, ending.failure_reason) {
        (DeliveryStatus::Success, _) => {
            endpoint.consecutive_failures > 0 || endpoint.first_failure_at.is_some() || endpoint.is_down
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
/// When not all of it is certain to be done.
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

/// How a failure changed its endpoint.
struct FailureEffect {
    endpoint: Option<Endpoint>,
    /// This failure disabled it, now or when it was told before.
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
    let was_disabled = endpoint.disabling == Some(disabling);
    let mut latest = endpoint.clone();
    let mut disabled = None;
    // An owner who changed the endpoint since then means another receiver than the one that is gone.
    if reason == FailureReason::Gone && endpoint.updated_at <= delivery.updated_at {
        disabled = app.store.disable_gone(endpoint, &disabling, now).await?;
    }
    if counts_against_health(reason, delivery.triggered_by) && !delivery.counted {
        let limit = app.settings.disable_after_failures;
        if let Some(counted) = app.store.count_failure(endpoint, &delivery.id, now).await? {
            if limit > 0 && counted.consecutive_failures >= limit && disabled.is_none() {
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
        latest = Endpoint { consecutive_failures: latest.consecutive_failures, ..disabled };
    }
    Ok(FailureEffect { endpoint: Some(latest), is_disabled })
}
